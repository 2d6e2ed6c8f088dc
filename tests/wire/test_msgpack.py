"""MessagePack events: what is written is read back, and no bytes break the reader."""

import struct

import msgpack as packer
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.model import Chunk, Group
from tailrace.model.chunk import merge
from tailrace.model.extension import Extension
from tailrace.wire.msgpack import (
    MsgpackError,
    count_events,
    decode_events,
    encode_each,
    encode_events,
    packed_events,
)

SECOND = 1_000_000_000
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.binary(max_size=8)
    | st.builds(Extension, st.integers(0, 127), st.binary(max_size=9))
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
bodies = st.dictionaries(st.text(max_size=4), values, max_size=3)
times = st.integers(0, 0xFFFFFFFD * SECOND)
rows = st.lists(st.tuples(times, bodies, bodies), max_size=4)


def columns(rows):
    return ([row[column] for row in rows] for column in range(3))


def packed(rows):
    return encode_events(*columns(rows))


def place_of_error(read, data):
    """Where reading stops; the end if it does not."""
    try:
        read(data)
    except MsgpackError as error:
        return error.position
    return len(data)


@given(rows)
def test_what_is_written_is_read_back(rows):
    events = decode_events(packed(rows))
    assert events.is_whole
    assert events.times == [row[0] for row in rows]
    assert events.bodies == [row[2] for row in rows]
    assert events.metadata in (None, [row[1] for row in rows])
    assert (events.metadata is None) == (not any(row[1] for row in rows))


@given(st.lists(st.tuples(times, bodies), max_size=3))
def test_no_metadata_is_written_as_empty_metadata(rows):
    times, bodies = [row[0] for row in rows], [row[1] for row in rows]
    assert encode_events(times, None, bodies) == encode_events(times, [{}] * len(rows), bodies)


@given(rows)
def test_events_are_counted_without_being_read(rows):
    assert count_events(packed(rows)) == len(rows)


@given(st.binary(max_size=80), rows)
@example(b"\xc1", [])
@example(b"\xdd\xff\xff\xff\xff", [])
@example(b"\xdb\xff\xff\xff\xff", [])
@example(b"\x92\x00\x81\x90\x01", [])
def test_any_bytes_give_events_or_the_declared_error(data, rows):
    for candidate in (data, packed(rows) + data, b"\x92\x00" + data, b"\x92\x92\x00\x80" + data):
        for read in (decode_events, count_events):
            assert 0 <= place_of_error(read, candidate) <= len(candidate)


@given(rows, st.binary(min_size=1, max_size=40), st.data())
def test_damage_leaves_the_events_before_it(rows, damage, data):
    whole = packed(rows)
    cut = data.draw(st.integers(0, len(whole)))
    events = decode_events(whole[:cut] + b"\xc1" + damage, lenient=True)
    ends = [len(packed(rows[:count])) for count in range(len(rows) + 1)]
    kept = sum(end <= cut for end in ends) - 1
    assert events.bodies[:kept] == [row[2] for row in rows[:kept]]
    assert len(events.times) == len(events.bodies)


@pytest.mark.parametrize("head", [b"\x92\x92\xd7\x00%b\x80", b"\x92\xd7\x00%b"])
def test_lenient_reading_goes_on_behind_the_damage(head):
    whole = [
        head % struct.pack(">II", second, 0) + b"\x81\xa1n" + bytes([second])
        for second in range(1, 5)
    ]
    damaged = whole[0] + whole[1][:-1] + b"\xc1" + whole[2][:-3] + whole[3]
    events = decode_events(damaged, lenient=True)
    assert ([body["n"] for body in events.bodies], events.is_whole) == ([1, 4], False)


@given(rows)
def test_lenient_reading_says_that_something_is_missing(rows):
    events = decode_events(packed(rows) + b"\xc1", lenient=True)
    assert (len(events.bodies), events.is_whole) == (len(rows), False)


@pytest.mark.parametrize("head", [b"\x92\x00" + b"\x81\xa1a" * 100_000, b"\x91" * 100_000])
@pytest.mark.parametrize("read", [decode_events, count_events])
def test_deep_nesting_is_the_declared_error(head, read):
    with pytest.raises(MsgpackError):
        read(head + b"\xc0")


@pytest.mark.parametrize(
    ("head", "time"),
    [
        (b"\x05", 5 * SECOND),
        (b"\xcb" + struct.pack(">d", 1.5), 3 * SECOND // 2),
        (b"\xd7\x00" + struct.pack(">II", 5, 7), 5 * SECOND + 7),
        (b"\xc7\x08\x00" + struct.pack(">II", 5, 7), 5 * SECOND + 7),
    ],
)
def test_each_form_of_a_time_is_read_in_old_and_new_events(head, time):
    for event in (b"\x92" + head + b"\x80", b"\x92\x92" + head + b"\x80\x80"):
        assert decode_events(event).times == [time]


@pytest.mark.parametrize("head", ["text", None, float("nan"), 1e300, [1], [1, 2], [1, {}, 3]])
def test_a_head_without_a_time_is_the_declared_error(head):
    with pytest.raises(MsgpackError):
        decode_events(packer.packb([head, {}]))


def test_an_error_names_the_byte_of_its_event():
    good = encode_events([1], None, [{"a": 1}])
    with pytest.raises(MsgpackError) as caught:
        decode_events(good + b"\xa1x")
    assert caught.value.position == len(good)


@pytest.mark.parametrize("time", [-SECOND // 2, -100 * SECOND, 5_000_000_000 * SECOND])
def test_a_time_beyond_event_time_is_written_as_a_float(time):
    for metadata in (None, [{"m": 1}]):
        assert decode_events(encode_events([time], metadata, [{}])).times == [time]


groups_of_events = st.lists(
    st.none() | st.builds(Group, st.just({"resource_id": 1}), bodies), min_size=1, max_size=3
)


@given(rows, groups_of_events, st.data())
def test_events_come_back_in_their_groups(rows, known, data):
    groups = [data.draw(st.sampled_from(known)) for _ in rows]
    events = decode_events(encode_events(*columns(rows), groups))
    assert events.bodies == [row[2] for row in rows]
    assert (events.groups or [None] * len(rows)) == groups
    assert events.is_whole


def mark(seconds, metadata, body):
    return (
        b"\x92\x92\xd7\x00"
        + struct.pack(">iI", seconds, 0)
        + packer.packb(metadata)
        + packer.packb(body)
    )


def test_marks_are_no_events_and_their_group_is_one_object():
    begin, end = mark(-1, {"g": 1}, {"r": 2}), mark(-2, {}, {})
    inside = encode_events([5, 6], None, [{"n": 1}, {"n": 2}])
    data = begin + inside + end + encode_events([7], None, [{"n": 3}])
    events = decode_events(data)
    assert events.bodies == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert events.groups == [Group({"g": 1}, {"r": 2})] * 2 + [None]
    assert events.groups[0] is events.groups[1]
    assert encode_events(*events[:4]) == data


def test_a_group_that_nothing_ends_goes_to_the_next_one_or_the_end():
    one, other = mark(-1, {}, {"r": 1}), mark(-1, {}, {"r": 2})
    event = encode_events([5], None, [{}])
    groups = decode_events(event + one + event + other + event + event).groups
    assert [group and group.body["r"] for group in groups] == [None, 1, 2, 2]


def test_groups_without_events_are_no_groups():
    data = mark(-1, {}, {"r": 1}) + mark(-2, {}, {}) + encode_events([5], None, [{}])
    assert decode_events(data).groups is None


@given(rows, groups_of_events, st.data())
def test_each_event_can_be_read_alone_with_its_group(rows, known, data):
    groups = [data.draw(st.sampled_from(known)) for _ in rows]
    for row, group, event in zip(rows, groups, encode_each(*columns(rows), groups), strict=True):
        read = decode_events(event)
        assert (read.times, read.bodies) == ([row[0]], [row[2]])
        assert (read.groups or [None])[0] == group


@pytest.mark.parametrize("seconds", [-1, -2])
def test_a_time_before_1970_is_no_mark(seconds):
    events = decode_events(encode_events([seconds * SECOND], None, [{"n": 1}]))
    assert (events.times, events.groups) == ([seconds * SECOND], None)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1 << 70, float(1 << 70)),
        (-(1 << 70), -float(1 << 70)),
        ((1, 2), [1, 2]),
        ("\udcff", "\udcff"),
    ],
)
def test_what_messagepack_has_no_type_for_is_written_all_the_same(value, read):
    assert decode_events(encode_events([1], None, [{"a": value}])).bodies == [{"a": read}]


LINES = st.lists(
    st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)), max_size=40)
    | st.sampled_from([31, 32, 255, 256, 65535, 65536]).map(lambda length: "x" * length),
    min_size=1,
    max_size=8,
)


@given(LINES, st.lists(st.integers(-1, 2), min_size=8, max_size=8), st.booleans())
def test_raw_lines_are_written_as_their_maps_would_be(lines, seconds, as_block):
    times = [second * SECOND + 5 for second in seconds[: len(lines)]]
    key = "log é"

    def raw():
        if as_block:
            return Chunk.of_block("t", times, key, "\n".join(lines).encode())
        return Chunk.of_lines("t", times, key, lines, 1)

    expected = encode_events(times, None, [{key: line} for line in lines])
    chunk = raw()
    assert packed_events(chunk) == expected
    assert packed_events(merge([raw(), raw()])) == expected * 2
    assert not chunk.decoded or min(times) < 0


def test_bytes_that_are_no_text_leave_raw_lines_as_they_came():
    chunk = Chunk.of_block("t", [SECOND], "log", b"a\xff")
    assert packed_events(chunk).endswith(b"\xa3log\xa2a\xff")


def test_raw_lines_with_metadata_or_groups_keep_them():
    chunk = Chunk.of_lines("t", [SECOND], "log", ["a"], 1)
    chunk.metadata = [{"m": 1}]
    assert decode_events(packed_events(chunk)).metadata == [{"m": 1}]
    chunk = Chunk.of_lines("t", [SECOND], "log", ["a"], 1)
    chunk.groups = [Group({}, {"g": 1})]
    assert decode_events(packed_events(chunk)).groups == [Group({}, {"g": 1})]


def test_a_time_within_a_record_is_an_extension_as_any_other():
    body = {"at": packer.ExtType(0, bytes(8)), "list": [packer.ExtType(7, b"x")]}
    event = packer.packb([[packer.ExtType(0, bytes(8)), {}], body])
    events = decode_events(event)
    assert (events.times, events.bodies) == (
        [0],
        [{"at": Extension(0, bytes(8)), "list": [Extension(7, b"x")]}],
    )
    assert encode_events(*events[:4]) == event
    assert encode_events([0], [{"m": 1}], events.bodies).endswith(packer.packb(body))
