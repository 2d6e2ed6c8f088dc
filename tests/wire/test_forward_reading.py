"""What the messages of the Forward protocol say."""

import struct

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.extension import Extension
from tailrace.wire.forward import ForwardError
from tailrace.wire.forward.reading import (
    Listed,
    Packed,
    Singles,
    _read_each,
    ack,
    read_messages,
)
from tailrace.wire.forward.stream import MessageStream

EVENT_TIME = msgpack.ExtType(0, struct.pack(">II", 1700000001, 5))


def pack(*values):
    return b"".join(map(msgpack.packb, values))


def read(data):
    block, count, error = MessageStream(1 << 20).feed(data)
    assert error == ""
    return read_messages(block, count)


def single(tag="t", time_ns=1_000_000_000, body=None, metadata=None, chunk=None, nbytes=0):
    chunks = [] if chunk is None else [chunk]
    return Singles(tag, [time_ns], [metadata or {}], [body or {}], chunks, nbytes)


def alike(message):
    """A message without what differs between the ways to read it."""
    if type(message) is Singles:
        return message._replace(metadata=message.metadata or [{} for _ in message.times], nbytes=0)
    return message._replace(nbytes=0) if type(message) is Listed else message


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["t", 5, {"a": 1}], single(time_ns=5_000_000_000, body={"a": 1})),
        (["t", 1.5, {}, None], single(time_ns=1_500_000_000)),
        (
            ["t", EVENT_TIME, {}, {"chunk": "c", "metadata": {"k": 1}}],
            single(time_ns=1700000001_000000005, metadata={"k": 1}, chunk="c"),
        ),
        (["t", 1, {}, {}, "more"], single()),
        (["t", [[5, {}]], {"chunk": b"c"}], Packed("t", pack([5, {}]), 1, 0, "", b"c")),
        (["t", []], Packed("t", b"", 0, 0, "", None)),
        (["t", [7] * 20], Packed("t", pack(*[7] * 20), 20, 0, "", None)),
        (["t", [7] * 70_000, None], Packed("t", pack(*[7] * 70_000), 70_000, 0, "", None)),
        (["t", b"xx", {"size": 3}], Packed("t", b"xx", 3, 0, "", None)),
        (["t", b"x" * 300], Packed("t", b"x" * 300, 0, 0, "", None)),
        (["t", b"x" * 70_000], Packed("t", b"x" * 70_000, 0, 0, "", None)),
        (["t", "xx", {"size": "3", "fluent_signal": 2}], Packed("t", b"xx", 0, 2, "", None)),
        (["t", "x" * 40], Packed("t", b"x" * 40, 0, 0, "", None)),
        (["t" * 300, "x" * 300], Packed("t" * 300, b"x" * 300, 0, 0, "", None)),
        ([b"t", b"xx", {"compressed": "gzip"}], Packed("t", b"xx", 0, 0, "gzip", None)),
        (["t", b"xx", {"compressed": "text"}], Packed("t", b"xx", 0, 0, "", None)),
        (
            ["t", b"\x1f\x8bx", {"compressed": "zstd"}],
            Packed("t", b"\x1f\x8bx", 0, 0, "gzip", None),
        ),
    ],
)
def test_messages_of_all_modes(value, message):
    (found,) = read(pack(value))
    assert alike(found) == message


@pytest.mark.parametrize(
    "value",
    [
        {"not": "an array"},
        7,
        [],
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
        ["t", [], {"chunk": None}],
        ["t", b"", {"fluent_signal": 3}],
        ["t", b"", {"fluent_signal": "0"}],
        ["t" * 70_000, 5, {}],
        ["t" * 70_000, []],
        ["t" * 70_000, b""],
    ],
)
def test_what_is_no_message_is_told_and_what_follows_it_is_not_read(value):
    first, error = read(pack(["t", 1, {}], value, ["t", 1, {}]))
    assert alike(first) == single()
    assert type(error) is ForwardError


ANY = st.recursive(
    st.none()
    | st.integers(-5, 5)
    | st.sampled_from(["", "t", "u", "chunk"])
    | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)
OPTIONS = st.none() | st.fixed_dictionaries(
    {}, optional={"chunk": st.sampled_from("xy"), "metadata": st.just({"k": 1}), "size": ANY}
)
MESSAGES = st.lists(
    st.tuples(st.sampled_from("tu"), st.integers(0, 9) | st.just(EVENT_TIME), st.just({"a": 1}))
    | st.tuples(st.sampled_from("tu"), st.integers(0, 9), st.just({"b": 1}), OPTIONS)
    | st.tuples(st.sampled_from("tu"), st.binary(max_size=3), OPTIONS)
    | st.lists(ANY, max_size=4)
    | ANY,
    max_size=5,
)


@given(MESSAGES)
def test_all_at_once_or_one_by_one_makes_no_difference(values):
    block, count, _ = MessageStream(1 << 20).feed(pack(*values))
    if count:
        found, expected = read_messages(block, count), _read_each(block)
        assert [listed(each) for each in found] == [listed(each) for each in expected]


def listed(message):
    """A message in a form that is the same however it was read."""
    if type(message) is ForwardError:
        return "error"
    if type(message) is Listed:
        data = b"".join(map(msgpack.packb, message.entries))
        return Packed(message.tag, data, len(message.entries), 0, "", message.chunk)
    return alike(message)


def test_single_events_are_joined_by_their_tag_up_to_the_next_message_of_entries():
    found = read(
        pack(["a", 1, {"n": 1}], ["b", 1, {"n": 2}], ["a", 1, {"n": 3}, {"chunk": "c"}])
        + pack(["a", b"x"], ["a", 1, {"n": 4}])
    )
    events = [
        (each.tag, [body["n"] for body in each.bodies], each.chunks)
        for each in found
        if type(each) is Singles
    ]
    assert events == [("a", [1, 3], ["c"]), ("b", [2], []), ("a", [4], [])]
    assert [type(each) for each in found] == [Singles, Singles, Packed, Singles]


def test_nil_is_passed_over():
    assert read(pack(None)) == []
    assert [alike(each) for each in read(pack(None, ["t", 1, {}]))] == [single()]


def test_the_sizes_of_messages_are_those_of_their_bytes():
    data = pack(*[["t", 1, {"n": n}] for n in range(10)])
    (found,) = read(data)
    assert found.nbytes == len(data)


def test_deep_values_within_the_limits_are_taken():
    (message,) = read(b"\x93\xa1t\x01" + b"\x81\xa1a" * 900 + b"\x80")
    assert message.bodies[0].keys() == {"a"}


def test_text_that_is_no_utf8_is_kept():
    (message,) = read(b"\x93\xa2\xffa\x01\x81\xa1\xfe\xa1\xfd")
    assert (message.tag, message.bodies) == ("\udcffa", [{"\udcfe": "\udcfd"}])


def test_packed_entries_as_text_are_kept_byte_by_byte():
    (message,) = read(b"\x92\xa1t\xd9\x03\x92\xff\x80")
    assert message.entries == b"\x92\xff\x80"


def test_a_value_that_can_not_be_made_is_told():
    bad_timestamp = b"\x93\xa1t\x01\x81\xa1a\xc7\x01\xff\x00"
    first, error = read(pack(["t", 1, {"a": 1}]) + bad_timestamp)
    assert first.bodies == [{"a": 1}]
    assert "can't be read" in str(error)


def test_maps_as_keys_become_text():
    (message,) = read(b"\x93\xa1t\x01\x81\xa1a\x81\x81\xa1k\x01\x02")
    assert message.bodies == [{"a": {"{'k': 1}": 2}}]


def test_extensions_within_events_are_kept():
    (message,) = read(pack(["t", 1, {"at": EVENT_TIME, "other": msgpack.ExtType(9, b"x")}]))
    assert message.bodies == [{"at": Extension(*EVENT_TIME), "other": Extension(9, b"x")}]


@pytest.mark.parametrize("chunk", ["abc", b"abc", "\udcff"])
def test_an_acknowledgement_gives_the_chunk_back_as_it_came(chunk):
    answer = msgpack.unpackb(ack(chunk), unicode_errors="surrogateescape")
    assert answer == {"ack": chunk}
