"""Protobuf's wire format and OTLP's values in it, against the protobuf library."""

import math

import pytest
from google.protobuf.wrappers_pb2 import Int64Value, UInt64Value
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValueList

from tailrace.wire.otlp.protobuf import (
    MOST_HEADS,
    MOST_KEYS,
    MOST_SIZES,
    SIZES,
    TABLES,
    any_value,
    key_values,
    many_key_values,
    plain_key_values,
    text,
    varint,
    zigzag,
)

words = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | words
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
)


def plain(value):
    """An `AnyValue` as the value it stands for."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {each.key: plain(each.value) for each in value.kvlist_value.values}
    return getattr(value, kind)


@given(values)
def test_a_value_is_read_back_by_the_library(value):
    assert plain(AnyValue.FromString(any_value(value))) == value


@given(values)
def test_values_are_the_bytes_that_the_library_writes(value):
    encoded = any_value(value)
    assert AnyValue.FromString(encoded).SerializeToString() == encoded


def test_an_empty_key_is_a_key():
    assert plain(AnyValue.FromString(any_value({"": None, "a": 1}))) == {"": None, "a": 1}


def test_types_stay_apart():
    assert [any_value(each) for each in (1, True, 1.0)] == [
        b"\x18\x01",
        b"\x10\x01",
        b"\x21\0\0\0\0\0\0\xf0\x3f",
    ]
    assert math.isnan(plain(AnyValue.FromString(any_value(math.nan))))


@pytest.mark.parametrize(
    ("value", "raw"),
    [("a\udcff", b"a\xff"), ("\ud800", b"\xed\xa0\x80"), ("é\udc80", b"\xc3\xa9\x80")],
)
def test_text_that_is_no_unicode_becomes_bytes(value, raw):
    assert plain(AnyValue.FromString(any_value(value))) == raw


def test_a_key_that_is_no_unicode_is_replaced():
    assert plain(
        AnyValue(kvlist_value=KeyValueList.FromString(key_values(b"\x0a", {"a\udcff": 1})))
    ) == {"a?": 1}
    assert text(b"\x0a", "a\udcff") == b"\x0a\x02a?"


def test_an_unsigned_number_of_64_bits_keeps_its_bits():
    assert plain(AnyValue.FromString(any_value(2**64 - 1))) == -1


@given(st.integers(0, 2**64 - 1))
def test_varint_is_the_libraries(number):
    assert UInt64Value(value=number).SerializeToString() == (
        b"\x08" + varint(number) if number else b""
    )


@given(st.integers(-(2**63), -1))
def test_a_negative_varint_takes_ten_bytes(number):
    assert Int64Value.FromString(b"\x08" + varint(number)).value == number
    assert len(varint(number)) == 10


@pytest.mark.parametrize(
    ("number", "encoded"), [(0, 0), (-1, 1), (1, 2), (-2, 3), (20, 40), (-4096, 8191)]
)
def test_zigzag(number, encoded):
    assert zigzag(number) == varint(encoded)


def test_a_value_that_is_nested_too_deeply_is_an_error_not_a_crash():
    value = {}
    for _ in range(5000):
        value = {"a": value}
    with pytest.raises(RecursionError):
        any_value(value)


@given(st.dictionaries(words | st.just("a\udcff"), values | st.just("b\udcff"), max_size=5))
def test_maps_are_written_as_plainly_as_they_could_be(attributes):
    for tag in (b"\x0a", b"\x32"):
        assert key_values(tag, attributes) == plain_key_values(tag, attributes)


ROWS = st.lists(values | st.just("b\udcff"), min_size=6, max_size=6)


@given(st.dictionaries(words, ROWS, max_size=4))
def test_maps_of_the_same_keys_are_written_as_each_by_itself(columns):
    maps = [{key: column[row] for key, column in columns.items()} for row in range(6)]
    expected = [plain_key_values(b"\x32", each) for each in maps]
    assert many_key_values(b"\x32", maps) == expected


@given(st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3), max_size=8))
def test_maps_of_any_keys_are_written_as_each_by_itself(maps):
    assert many_key_values(b"\x0a", maps) == [plain_key_values(b"\x0a", each) for each in maps]


@pytest.mark.parametrize(
    "column", [["a", "bc"], [1, 500], [1.5, -0.0], [{"a": 1}, {"a": 2}], [True, None], [[1], []]]
)
def test_each_kind_of_column(column):
    maps = [{"k": value} for value in column * 4]
    expected = [plain_key_values(b"\x0a", each) for each in maps]
    assert many_key_values(b"\x0a", maps) == expected


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 191, 192, 5000, 20_000])
def test_texts_of_all_lengths_are_written_the_same_each_time(size):
    attributes = {"k": "x" * size, "m": {"y": "z" * size}}
    expected = plain_key_values(b"\x32", attributes)
    assert [key_values(b"\x32", attributes) for _ in range(2)] == [expected] * 2


def test_the_memory_of_keys_and_lengths_has_a_limit():
    for number in range(MOST_KEYS + 10):
        key_values(b"\x0a", {f"key{number}": 1})
    for number in range(MOST_HEADS + 10):
        key_values(b"\x0a", {"k": "x" * number, "n": number})
    tables = TABLES[b"\x0a"]
    texts, _, integers, _ = tables["k"]
    assert len(tables) <= MOST_KEYS
    assert len(texts) <= MOST_HEADS
    assert len(integers) <= 10


def test_negative_and_large_numbers_are_not_remembered():
    for number in range(MOST_SIZES + 10):
        key_values(b"\x0a", {"n": -number, "m": number})
    assert len(SIZES) <= MOST_SIZES
