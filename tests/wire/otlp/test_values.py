"""Attributes and bodies of OTLP as plain values."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from tailrace.wire.otlp.errors import OtlpError
from tailrace.wire.otlp.values import (
    MOST_DEPTH,
    plain_attributes,
    plain_value,
    read_attributes,
    read_value,
)


def text(value):
    return {"stringValue": value}


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"stringValue": "x"}, "x"),
        ({"stringValue": None}, ""),
        ({"boolValue": False}, False),
        ({"intValue": "-9223372036854775808"}, -(1 << 63)),
        ({"intValue": 7}, 7),
        ({"intValue": "18446744073709551616"}, 18446744073709551616.0),
        ({"doubleValue": 1}, 1.0),
        ({"doubleValue": "1.5"}, 1.5),
        ({"doubleValue": "-Infinity"}, float("-inf")),
        ({"bytesValue": "AAH/"}, b"\x00\x01\xff"),
        ({"bytesValue": "-_8"}, b"\xfb\xff"),
        ({"arrayValue": {"values": [text("a"), {"intValue": "1"}, {}]}}, ["a", 1, None]),
        ({"arrayValue": {}}, []),
        ({"arrayValue": [text("a")]}, ["a"]),
        ({"kvlistValue": {"values": [{"key": "k", "value": text("v")}]}}, {"k": "v"}),
        ({"kvlistValue": {}}, {}),
        ({"STRINGVALUE": "x"}, "x"),
        ({"a": 1, "b": text("x")}, {"a": 1, "b": "x"}),
        ({}, {}),
    ],
)
def test_json_values_of_every_kind(given, value):
    assert plain_value(given) == value


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"stringValue": 5}, ".stringValue"),
        ({"boolValue": "true"}, ".boolValue"),
        ({"intValue": "12x"}, ".intValue"),
        ({"intValue": 1.5}, ".intValue"),
        ({"doubleValue": True}, ".doubleValue"),
        ({"doubleValue": "x"}, ".doubleValue"),
        ({"bytesValue": "*"}, ".bytesValue"),
        ({"arrayValue": {"values": 1}}, ".arrayValue.values"),
        ({"arrayValue": {"value": []}}, ".arrayValue"),
        ({"kvlistValue": {"values": [{"value": {}}]}}, ".kvlistValue.values[0]"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(given, where):
    with pytest.raises(OtlpError) as caught:
        plain_value(given)
    assert str(caught.value).startswith(where.lstrip("."))


@pytest.mark.parametrize(
    ("pair", "made"),
    [
        ({"key": "a", "value": text("x")}, {"a": "x"}),
        ({"key": "a"}, {"a": ""}),
        ({"key": "a", "value": {}}, {"a": None}),
        ({"Key": "a", "Value": text("x")}, {"a": "x"}),
    ],
)
def test_json_attributes(pair, made):
    assert plain_attributes([pair]) == made


@pytest.mark.parametrize("pairs", [{}, [1], [{}], [{"key": 1}], [{"key": "a", "value": "x"}]])
def test_what_are_no_attributes_is_refused(pairs):
    with pytest.raises(OtlpError):
        plain_attributes(pairs)


def test_values_in_values_have_a_limit():
    given = text("x")
    for _ in range(MOST_DEPTH + 1):
        given = {"arrayValue": {"values": [given]}}
    with pytest.raises(OtlpError, match="values in values"):
        plain_value(given)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "stringValue",
                    "intValue",
                    "doubleValue",
                    "bytesValue",
                    "arrayValue",
                    "kvlistValue",
                    "boolValue",
                    "values",
                    "key",
                    "value",
                    "x",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(given=json_values)
def test_any_json_gives_a_value_or_an_error(given):
    with contextlib.suppress(OtlpError):
        plain_value(given)


def message_of(value):
    made = AnyValue()
    match value:
        case bool():
            made.bool_value = value
        case str():
            made.string_value = value
        case int():
            made.int_value = value
        case float():
            made.double_value = value
        case bytes():
            made.bytes_value = value
        case list():
            made.array_value.SetInParent()
            made.array_value.values.extend([message_of(each) for each in value])
        case dict():
            made.kvlist_value.SetInParent()
            made.kvlist_value.values.extend(pairs_of(value))
    return made


def pairs_of(value):
    return [KeyValue(key=key, value=message_of(each)) for key, each in value.items()]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(value=plain)
def test_every_value_comes_out_of_protobuf_as_it_went_in(value):
    assert read_value(message_of(value)) == value


def test_of_a_repeated_key_the_last_value_counts():
    assert read_attributes([*pairs_of({"a": 1}), *pairs_of({"a": 2})]) == {"a": 2}
