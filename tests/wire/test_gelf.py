"""GELF."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.gelf import GELFError, Keys, encode

TIME = 1_700_000_000_500_000_000


def text(body, keys=None):
    return encode({"short_message": "m", **body}, TIME, keys or Keys()).decode()


def test_the_form_is_fluent_bits():
    assert text({"host": "h", "n": 1, "f": 1.5, "b": True}) == (
        '{"version":"1.1", "short_message":"m", "host":"h", "_n":1, "_f":1.500000, "_b":"true", '
        '"timestamp":1700000000.500}'
    )


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"a": 1, "b": {"c": None}}, '"_x_a":1, "_x_b_c":null'),
        ([1, "b", None, False, [2]], '"_x":"1, b, null, false, 2"'),
        ([{"k": 1, "m": {"n o": "p"}}], '"_x":"k=1 m_n_o=p"'),
        ('q"', '"_x":"q\\""'),
        (float("inf"), '"_x":null'),
    ],
)
def test_a_value_becomes_a_field(value, field):
    assert f", {field}, " in text({"x": value})


@pytest.mark.parametrize("body", [{"id": 1}, {"x": None}])
def test_some_fields_are_left_out(body):
    assert list(json.loads(text(body))) == ["version", "short_message", "timestamp"]


@pytest.mark.parametrize(
    ("level", "number"), [("3", 3), ("WARNING", 4), (9, 9), ("loud", "loud"), ("8", "8")]
)
def test_a_level_is_a_number_where_it_can_be(level, number):
    assert json.loads(text({"level": level}))["level"] == number


@pytest.mark.parametrize("level", [-1, 1.5, None, True, []])
def test_another_level_is_refused(level):
    with pytest.raises(GELFError, match="level"):
        text({"level": level})


def test_an_event_without_a_short_message_is_refused():
    with pytest.raises(GELFError, match="msg"):
        encode({"short_message": "m"}, TIME, Keys(short_message="msg"))


def test_signs_that_a_key_can_not_have_become_underlines():
    assert '"_a_b__c-d.e"' in text({"a b\u00e9c-d.e": 1}).replace("__", "__")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(body=st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_what_comes_out_is_json(body):
    body = {key: value for key, value in body.items() if key != "level"}
    assert json.loads(text(body))["version"] == "1.1"
