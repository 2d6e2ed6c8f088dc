import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.testing import make_plugin, run_filter


def converted(rule, value):
    """What `v` becomes, in a batch in which something else can be converted."""
    section = f"{rule}\nstr_key other done int"
    [body] = run_filter("type_converter", section, {"v": value, "other": "1"})
    return body["x"]


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("42", "int", 42),
        (" -8 ", "int", -8),
        ("12abc", "int", 12),
        ("-1e3", "int", -1),
        ("abc", "int", "abc"),
        ("", "int", ""),
        ("0x1f", "int", "0x1f"),
        ("99999999999999999999999", "int", (1 << 63) - 1),
        ("7", "uint", 7),
        ("9" * 30, "uint", (1 << 64) - 1),
        ("1f", "hex", 31),
        ("0x1f", "hex", 31),
        ("TRUE", "bool", True),
        ("false", "bool", False),
        ("yes", "bool", "yes"),
        ("a", "str", "a"),
        ("-7", "uint", (1 << 64) - 7),
        ("2.75", "float", 2.75),
        ("-1e3", "float", -1000.0),
        ("12abc", "float", 12.0),
        ("abc", "float", 0.0),
        ("0x1f", "float", 31.0),
        ("x", "string", "x"),
    ],
)
def test_text_is_read_as_far_as_it_goes(text, kind, expected):
    found = converted(f"str_key v x {kind}", text)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ("int_key v x string", -42, "-42"),
        ("int_key v x float", 5, 5.0),
        ("int_key v x uint", -1, (1 << 64) - 1),
        ("uint_key v x int", 7, 7),
        ("uint_key v x int", -2, -2),
        ("uint_key v x uint", -2, -2),
        ("uint_key v x float", -2, 18446744073709551614.0),
        ("uint_key v x string", -2, "18446744073709551614"),
        ("float_key v x int", -2.75, -2),
        ("float_key v x string", 2.75, "2.75"),
        ("float_key v x string", 1e10, "10000000000.0"),
        ("float_key v x string", 1e-7, "1e-07"),
        ("float_key v x string", 0.1 + 0.2, "0.3"),
    ],
)
def test_numbers_are_converted(rule, value, expected):
    found = converted(rule, value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("rule", "value"),
    [("int_key v x string", "5"), ("str_key v x int", 5), ("float_key v x int", None)],
)
def test_a_value_of_another_type_is_appended_as_it_is(rule, value):
    assert converted(rule, value) == value


def test_rules_for_texts_come_first_and_look_at_the_event_as_it_came():
    section = "str_key a b int\nint_key n a string\nint_key b c string"
    [body] = run_filter("type_converter", section, {"a": "1", "n": 2})
    assert list(body.items()) == [("n", 2), ("b", 1), ("a", "2")]


def test_a_source_may_lie_deeper_and_may_be_missing():
    section = "str_key $r['l'][0] x int"
    out = run_filter("type_converter", section, {"r": {"l": ["7"]}}, {"r": 1}, {})
    assert [body.get("x") for body in out] == [7, None, None]


@pytest.mark.parametrize("section", ["", "str_key a b date", "str_key $[ b int"])
def test_what_will_not_do_is_refused(section):
    with pytest.raises(ConfigError):
        make_plugin("filter", "type_converter", section)


def test_a_rule_needs_three_words():
    with pytest.raises(InvalidConfiguration):
        make_plugin("filter", "type_converter", "str_key a b")


@given(
    text=st.text("0123456789-+.eE xXaf", max_size=25),
    kind=st.sampled_from(["int", "uint", "float"]),
)
def test_any_text_gives_a_number_within_64_bit_or_stays(text, kind):
    found = converted(f"str_key v x {kind}", text)
    if kind == "float":
        assert type(found) is float
        assert not math.isnan(found)
    else:
        assert found == text or -(1 << 63) <= found < 1 << 64


@given(value=st.floats(-1e300, 1e300))
def test_a_float_as_text_is_it_to_sixteen_digits(value):
    assert float(converted("float_key v x string", value)) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize("value", [1e20, -1e20, float("inf"), float("nan")])
def test_a_float_that_no_integer_holds_stays_what_it_is(value):
    [out] = run_filter("type_converter", "float_key f i int\nfloat_key f u uint", {"f": value})
    assert repr([out["i"], out["u"]]) == repr([value, value])


def test_an_unsigned_integer_takes_all_of_64_bit():
    [out] = run_filter(
        "type_converter", "float_key f u uint\nfloat_key g v uint", {"f": 9.3e18, "g": -1.5}
    )
    assert (out["u"], out["v"]) == (9_300_000_000_000_000_000, 2**64 - 1)


def test_a_type_may_be_abbreviated():
    [out] = run_filter("type_converter", "str_key s i i\nint_key n t str", {"s": "7", "n": 8})
    assert (out["i"], out["t"]) == (7, "8")


def test_where_nothing_can_be_converted_events_stay_as_they_are():
    section = "str_key a i int\nint_key b c bool"
    assert run_filter("type_converter", section, {"a": "x", "b": 1}) == [{"a": "x", "b": 1}]
    out = run_filter("type_converter", section, {"a": "x"}, {"a": "7"})
    assert [body["i"] for body in out] == ["x", 7]
