"""Messages of the Forward protocol, out of a stream of bytes."""

import contextlib
import struct
from itertools import pairwise

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.extension import Extension
from tailrace.wire.forward import ForwardError
from tailrace.wire.forward.reading import (
    Listed,
    MessageStream,
    Packed,
    Single,
    ack,
    read_message,
)

EVENT_TIME = msgpack.ExtType(0, struct.pack(">II", 1700000001, 5))
TEXT = st.text(max_size=5)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | TEXT
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def messages(data, limit=1 << 20):
    values, _, error = MessageStream(limit).feed(data)
    assert error == ""
    return [read_message(value) for value in values]


def pack(*values):
    return b"".join(map(msgpack.packb, values))


@given(values=st.lists(VALUES, max_size=5), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_it_makes_no_difference_in_what_pieces_values_come(values, cuts):
    data = pack(*values)
    stream, found = MessageStream(1 << 20), []
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(places):
        taken = stream.feed(data[start:end])
        assert taken.error == ""
        found += taken.values
    assert found == values
    assert stream.pending == 0


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_give_messages_or_a_reason(pieces):
    stream = MessageStream(64)
    for piece in pieces:
        values, sizes, error = stream.feed(piece)
        assert len(values) == len(sizes)
        for value in values:
            with contextlib.suppress(ForwardError):
                read_message(value)
        if error:
            return
        assert stream.pending <= 64


def test_a_message_over_the_limit_ends_the_stream_after_those_before_it():
    good, large = pack(["t", 1, {"a": 1}]), pack(["t", 2, {"a": "x" * 100}])
    values, _, error = MessageStream(50).feed(good + large)
    assert values == [["t", 1, {"a": 1}]]
    assert error == "a message is larger than 50 bytes"


def test_what_is_not_whole_yet_may_not_be_larger_than_the_limit():
    stream = MessageStream(50)
    assert stream.feed(b"\x92\xa1t\xc6\x00\xff\xff\xff").error == ""
    assert stream.feed(b"x" * 50).error == "a message is larger than 50 bytes"


def test_a_claimed_length_takes_no_memory_before_it_is_there():
    stream = MessageStream(1 << 20)
    for _ in range(100):
        assert stream.feed(b"\xdd\xff\xff\xff\xff").error == ""
    assert stream.pending == 500


def test_nesting_without_end_is_an_error_and_not_a_crash():
    values, _, error = MessageStream(1 << 20).feed(b"\x91" * 100_000)
    assert (values, error) == ([], "a message is nested too deeply")


def test_deep_values_within_the_limits_are_taken():
    body = {}
    for _ in range(900):
        body = {"a": body}
    (message,) = messages(msgpack.Packer().pack(["t", 1]).replace(b"\x92", b"\x93", 1) + deep(900))
    assert message.body.keys() == {"a"}


def deep(levels):
    return b"\x81\xa1a" * levels + b"\x80"


def test_bytes_that_are_no_messagepack_end_the_stream():
    values, _, error = MessageStream(100).feed(pack(["t", 1, {}]) + b"\xc1" + pack(["t", 2, {}]))
    assert values == [["t", 1, {}]]
    assert error == "this is no MessagePack"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["t", 5, {"a": 1}], Single("t", 5_000_000_000, {}, {"a": 1}, None)),
        (["t", 1.5, {}, None], Single("t", 1_500_000_000, {}, {}, None)),
        (
            ["t", EVENT_TIME, {}, {"chunk": "c", "metadata": {"k": 1}}],
            Single("t", 1700000001_000000005, {"k": 1}, {}, "c"),
        ),
        (["t", [[5, {}]], {"chunk": b"c"}], Listed("t", [[5, {}]], b"c")),
        (["t", b"xx", {"size": 3}], Packed("t", b"xx", 3, 0, "", None)),
        (["t", "xx", {"size": "3", "fluent_signal": 2}], Packed("t", b"xx", 0, 2, "", None)),
        ([b"t", b"xx", {"compressed": "gzip"}], Packed("t", b"xx", 0, 0, "gzip", None)),
        (["t", b"xx", {"compressed": "text"}], Packed("t", b"xx", 0, 0, "", None)),
        (
            ["t", b"\x1f\x8bx", {"compressed": "zstd"}],
            Packed("t", b"\x1f\x8bx", 0, 0, "gzip", None),
        ),
        (None, None),
    ],
)
def test_messages_of_all_modes(value, message):
    assert messages(pack(value)) == [message]


@pytest.mark.parametrize(
    "value",
    [
        {"not": "an array"},
        7,
        ["t"],
        [1, 5, {}],
        ["t", 5],
        ["t", 5, "no map"],
        ["t", None, {}],
        ["t", msgpack.ExtType(1, b"12345678"), {}],
        ["t", msgpack.ExtType(0, b"1234"), {}],
        ["t", 5, {}, "no options"],
        ["t", 5, {}, {"chunk": 1}],
        ["t", 5, {}, {"metadata": 1}],
        ["t", [], 1],
        ["t", b"", {"fluent_signal": 3}],
        ["t", b"", {"fluent_signal": "0"}],
        ["t" * 70_000, 5, {}],
    ],
)
def test_what_is_no_message_is_told(value):
    with pytest.raises(ForwardError):
        messages(pack(value))


def test_text_that_is_no_utf8_is_kept():
    (message,) = messages(b"\x93\xa2\xffa\x01\x81\xa1\xfe\xa1\xfd")
    assert (message.tag, message.body) == ("\udcffa", {"\udcfe": "\udcfd"})


def test_packed_entries_as_text_are_kept_byte_by_byte():
    (message,) = messages(b"\x92\xa1t\xd9\x03\x92\xff\x80")
    assert message.entries == b"\x92\xff\x80"


def test_a_value_that_can_not_be_made_leaves_its_neighbours_alone():
    bad_timestamp = b"\x93\xa1t\x01\x81\xa1a\xc7\x01\xff\x00"
    good = pack(["t", 1, {"a": 1}])
    values = MessageStream(1 << 20).feed(good + bad_timestamp + good).values
    assert values[::2] == [["t", 1, {"a": 1}]] * 2
    with pytest.raises(ForwardError, match="can't be read"):
        read_message(values[1])


def test_maps_as_keys_become_text():
    (message,) = messages(b"\x93\xa1t\x01\x81\xa1a\x81\x81\xa1k\x01\x02")
    assert message.body == {"a": {"{'k': 1}": 2}}


def test_extensions_within_events_are_kept():
    (message,) = messages(pack(["t", 1, {"at": EVENT_TIME, "other": msgpack.ExtType(9, b"x")}]))
    assert message.body == {
        "at": Extension(*EVENT_TIME),
        "other": Extension(9, b"x"),
    }


@pytest.mark.parametrize("chunk", ["abc", b"abc", "\udcff"])
def test_an_acknowledgement_gives_the_chunk_back_as_it_came(chunk):
    answer = msgpack.unpackb(ack(chunk), unicode_errors="surrogateescape")
    assert answer == {"ack": chunk}
