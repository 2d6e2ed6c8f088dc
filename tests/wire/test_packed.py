"""Packed events, and entries of Forward messages of which some are no events."""

import struct
import tracemalloc
from unittest.mock import patch

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Decoded, Group
from tailrace.wire.forward.entries import read_entries, read_packed
from tailrace.wire.msgpack import MsgpackError, decode_events, encode_events
from tailrace.wire.packed import count_packed, decode_packed, decode_whole, split_packed

SECOND = 1_000_000_000


def event_time(seconds, nanoseconds=0):
    return msgpack.ExtType(0, struct.pack(">II", seconds, nanoseconds))


def packed(*values):
    return b"".join(map(msgpack.packb, values))


TIMES = (
    st.integers(0, 1 << 33)
    | st.floats(0, 1e10)
    | st.builds(event_time, st.integers(0, 0xFFFFFFF0), st.integers(0, 999_999_999))
)
BODIES = st.dictionaries(st.text(max_size=3), st.integers(0, 9) | st.text(max_size=3), max_size=3)
HEADS = TIMES | st.tuples(TIMES, BODIES).map(list)
EVENTS = st.lists(st.tuples(HEADS, BODIES).map(list), min_size=1, max_size=6)


@given(events=EVENTS, error=st.integers(-2, 2))
def test_events_are_counted_and_decoded_alike_whatever_size_the_sender_claims(events, error):
    data = packed(*events)
    counted = count_packed(data, len(events) + error)
    assert counted == len(events)
    assert decode_packed(data, counted) == Decoded(*decode_events(data)[:4])
    assert read_packed(data).events == Decoded(*decode_events(data)[:4])


@given(events=EVENTS, error=st.integers(-2, 9), grouped=st.booleans())
def test_many_events_are_counted_part_by_part(events, error, grouped):
    data = packed(*events)
    if grouped:
        times, metadata, bodies, _, _ = decode_events(data)
        data = encode_events(times, metadata, bodies, [Group({}, {"g": 1})] * len(events))
    with (
        patch("tailrace.wire.packed.MOST_AT_ONCE", 1),
        patch("tailrace.wire.packed.PART_BYTES", 20),
    ):
        assert count_packed(data, len(events) + error) == len(events)
        assert count_packed(data + b"\x07", len(events)) is None


def test_counting_many_tiny_events_takes_no_memory_for_each():
    data = b"\x92\x00\x80" * 200_000
    tracemalloc.start()
    try:
        assert count_packed(data) == 200_000
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


@given(EVENTS, st.integers(0, 7), st.lists(st.booleans(), min_size=6, max_size=6))
def test_whole_events_are_what_the_thorough_decoder_makes_of_them(events, count, in_group):
    plain = Decoded(*decode_events(packed(*events))[:4])
    groups = [Group({"g": 1}, {}) if inside else None for inside in in_group[: len(events)]]
    for data in (packed(*events), encode_events(*plain[:3], groups)):
        assert decode_whole(data, count) == Decoded(*decode_events(data)[:4])


@given(st.binary(max_size=40) | EVENTS.map(lambda events: packed(*events, 7)), st.integers(0, 9))
def test_what_is_not_whole_is_left_to_the_thorough_decoder(data, count):
    found = decode_whole(data, count)
    try:
        expected = decode_events(data)
    except MsgpackError:
        assert found is None
    else:
        assert found in (None, Decoded(*expected[:4]))


@given(st.binary(max_size=40), st.integers(-1, 1 << 40))
def test_any_bytes_are_counted_or_read_piece_by_piece(data, size):
    counted = count_packed(data, size)
    if counted is None:
        found = read_packed(data)
        assert len(found.events.times) + found.refused > 0 or not data
    else:
        assert len(decode_packed(data, counted).bodies) == counted


@pytest.mark.parametrize(
    "odd",
    [
        [1, "no map"],
        ["no time", {}],
        [1],
        7,
        [-5, {}, 3],
        [[1], {}],
        [[1, 2], {}],
        [msgpack.ExtType(0, b"1234"), {}],
        [msgpack.ExtType(2, b"12345678"), {}],
        [1e300, {}],
        [float("nan"), {}],
    ],
)
def test_an_entry_that_is_no_event_is_left_out_and_the_others_are_kept(odd):
    data = packed([1, {"a": 1}], odd, [2, {"a": 2}])
    assert count_packed(data, 3) is None
    found = read_packed(data)
    assert found.events.bodies == [{"a": 1}, {"a": 2}]
    assert (found.refused, found.why) == (1, "an entry is no event")


@pytest.mark.parametrize(
    ("rest", "why"),
    [(b"\x92\x01", "an entry is cut off"), (b"\xc1", "an entry is no MessagePack")],
)
def test_what_stands_before_damage_is_kept(rest, why):
    data = packed([1, {"a": 1}]) + rest
    assert count_packed(data, 1) is None
    found = read_packed(data)
    assert (found.events.bodies, found.refused, found.why) == ([{"a": 1}], 1, why)


def test_text_that_is_no_utf8_is_counted_and_kept():
    data = b"\x92\x01\x81\xa1\xff\xa1\xfe" + packed([2, {"a": 1}])
    assert count_packed(data, 2) == 2
    assert decode_packed(data, 2).bodies == [{"\udcff": "\udcfe"}, {"a": 1}]


def test_an_event_that_can_not_be_made_stays_as_bytes():
    bad = b"\x92\x01\x81\xa1a\xc7\x01\xff\x00"
    data = packed([1, {"a": 1}]) + bad
    assert count_packed(data, 2) == 2
    assert decode_packed(data, 2).bodies == [{"a": 1}, {"msgpack": bad}]


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({1: 2}, {"1": 2}),
        ({None: 1, True: 2, 1.5: 3, b"k": 4}, {"null": 1, "true": 2, "1.5": 3, "k": 4}),
    ],
)
def test_keys_become_text(keys, text):
    data = packed([1, keys])
    counted = count_packed(data)
    found = read_packed(data).events if counted is None else decode_packed(data, 1)
    assert found.bodies == [text]


def test_groups_are_kept_and_their_marks_are_no_events():
    group = Group({"schema": "otlp"}, {"resource": {}})
    times, bodies = [SECOND, 2 * SECOND, 3 * SECOND], [{"a": 1}, {"a": 2}, {"a": 3}]
    data = encode_events(times, None, bodies, [None, group, group])
    counted = count_packed(data, 5)
    assert counted == 3
    assert decode_packed(data, 3) == (times, None, bodies, [None, group, group])
    assert read_packed(data).events == (times, None, bodies, [None, group, group])
    assert split_packed(data, counted, 1) == [(data, counted)]


def test_bytes_that_look_like_a_mark_but_are_none_do_no_harm():
    data = packed([5, {"a": 0xFFFFFFFF, "b": b"\xff\xff\xff\xfe"}])
    assert count_packed(data, 1) == 1
    assert decode_packed(data, 1).times == [5 * SECOND]


def test_large_entries_are_split_between_events():
    events = [[number, {"a": "x" * 50}] for number in range(100)]
    data = packed(*events)
    parts = split_packed(data, 100, 1000)
    assert len(parts) > 4
    assert b"".join(part for part, _ in parts) == data
    times = [time for part, count in parts for time in decode_packed(part, count).times]
    assert times == [number * SECOND for number in range(100)]


def test_extensions_are_written_as_they_came():
    data = packed([[event_time(1), {}], {"a": event_time(2), "b": [msgpack.ExtType(7, b"x")]}])
    times, metadata, bodies, _ = decode_packed(data, 1)
    assert encode_events(times, metadata, bodies) == data


@pytest.mark.parametrize(
    ("seconds", "time_ns"),
    [
        (1700000000.25, 1700000000_250000000),
        (-1.5, -1_500000000),
        (1700000000.1, 1700000000_099999904),
    ],
)
def test_floats_are_times_to_the_last_whole_nanosecond(seconds, time_ns):
    assert read_packed(packed([seconds, {}])).events.times == [time_ns]


def test_metadata_that_is_all_empty_is_none():
    data = packed([[event_time(1), {}], {}], [[event_time(2), {}], {}])
    assert decode_packed(data, 2).metadata is None
    assert read_entries([[[1, {}], {}], [[1, {"k": 1}], {}]]).events.metadata == [{}, {"k": 1}]
