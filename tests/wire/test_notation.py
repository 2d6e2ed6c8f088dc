"""Records as Fluent Bit prints them on standard output."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.extension import Extension
from tailrace.wire.notation import MOST_DEPTH, event_text, value_text

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        ('say "hi"\n', '"say "hi"\n"'),
        (1, "1"),
        (-(1 << 63), "-9223372036854775808"),
        (1.5, "1.500000"),
        (1e20, "100000000000000000000.000000"),
        (True, "true"),
        (False, "false"),
        (None, "nil"),
        (b"a\xff\n", '"a\\xff\\x0a"'),
        (b'"\\', '"\\"\\"'),
        (Extension(5, b'a"\x00'), '(ext: 5)"a\\"\\x00"'),
        ([], "[]"),
        ({}, "{}"),
        ([1, "a", None], '[1, "a", nil]'),
        ((1, 2), "[1, 2]"),
        ({"a": 1, "b": {"c": [2]}}, '{"a"=>1, "b"=>{"c"=>[2]}}'),
        ({1: 2}, "{1=>2}"),
    ],
)
def test_each_type_has_its_notation(value, text):
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("time", "stamp"),
    [
        (0, "0.000000000"),
        (1_700_000_000_000_000_007, "1700000000.000000007"),
        (5_120_000_000, "5.120000000"),
    ],
)
def test_a_time_has_nine_digits_behind_the_point(time, stamp):
    assert event_text(time, {}, {"a": 1}) == f'[[{stamp}, {{}}], {{"a"=>1}}]'


def test_metadata_stands_beside_the_time():
    assert event_text(0, {"m": 1}, {}) == '[[0.000000000, {"m"=>1}], {}]'


@pytest.mark.parametrize("wrap", [lambda inner: {"a": inner}, lambda inner: [inner]])
def test_what_is_nested_too_deeply_ends_in_nil(wrap):
    value = 1
    for _ in range(5_000):
        value = wrap(value)
    text = value_text(value)
    assert "nil" in text
    assert text.count("{") + text.count("[") == MOST_DEPTH + 1


def test_what_is_nested_as_deeply_as_allowed_is_whole():
    value = "end"
    for _ in range(MOST_DEPTH):
        value = [value]
    assert value_text(value) == "[" * MOST_DEPTH + '"end"' + "]" * MOST_DEPTH


@given(anything)
def test_any_value_has_a_text(value):
    assert type(value_text(value)) is str


@given(st.dictionaries(st.integers(), st.lists(st.integers()), max_size=4))
def test_nothing_is_left_out(value):
    rebuilt = value_text(value).replace("=>", ": ")
    assert rebuilt == str(value)
