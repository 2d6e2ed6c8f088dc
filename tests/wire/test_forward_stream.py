"""Whole messages out of a stream of bytes."""

from itertools import pairwise

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.forward.stream import MessageStream

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


def pack(*values):
    return b"".join(map(msgpack.packb, values))


@given(values=st.lists(VALUES, max_size=5), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_it_makes_no_difference_in_what_pieces_values_come(values, cuts):
    data = pack(*values)
    stream, found, count = MessageStream(1 << 20), b"", 0
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(places):
        taken = stream.feed(data[start:end])
        assert taken.error == ""
        found += taken.block
        count += taken.number
    assert (found, count) == (data, len(values))
    assert stream.pending == 0


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_bytes_give_values_or_a_reason(pieces):
    stream = MessageStream(64)
    for piece in pieces:
        block, count, error = stream.feed(piece)
        assert len(block) >= count
        if error:
            return
        assert stream.pending <= 64


def test_a_message_over_the_limit_ends_the_stream_after_those_before_it():
    good, large = pack(["t", 1, {"a": 1}]), pack(["t", 2, {"a": "x" * 100}])
    block, _, error = MessageStream(50).feed(good + large)
    assert block == good
    assert error == "a message is larger than 50 bytes"


def test_many_messages_at_once_may_be_larger_than_the_limit_together():
    good = pack(["t", 1, {"a": 1}])
    assert MessageStream(50).feed(good * 20) == (good * 20, 20, "")


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
    block, _, error = MessageStream(1 << 20).feed(b"\x91" * 100_000)
    assert (block, error) == (b"", "a message is nested too deeply")


def test_bytes_that_are_no_messagepack_end_the_stream():
    good = pack(["t", 1, {}])
    block, _, error = MessageStream(100).feed(good + b"\xc1" + good)
    assert (block, error) == (good, "this is no MessagePack")
