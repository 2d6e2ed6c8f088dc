"""Whatever a server sends, a request ends with an answer or as `Unreachable`."""

import asyncio

import hyperframe.frame as frames
import pytest
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from tailrace.net.connection import Unreachable
from tailrace.net.http2_session import Session
from tailrace.net.http_client import Response

HEAD = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
HEADERS = [[(":status", "200")], [("a", "b")], [(":status", "x")], [(":status", "103")], []]


class Line:
    """A connection on which some bytes come, then the end; it is its own transport."""

    peer = "the server"
    is_lost = False
    io_timeout = 0.0

    def __init__(self, parts):
        self.parts = list(parts)
        self.transport = self
        self.sent = b""

    async def receive(self):
        await asyncio.sleep(0)
        part = self.parts.pop(0) if self.parts else b""
        if isinstance(part, Exception):
            raise part
        return part

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return False

    def get_write_buffer_size(self):
        return 0


def outcome(parts, body=b"body", io_timeout=0.0):
    """What becomes of a request when these bytes come."""

    async def scenario():
        line = Line(parts)
        line.io_timeout = io_timeout
        session = Session(line, 100)
        listening = asyncio.ensure_future(session.listen())
        async with asyncio.timeout(5):
            answer, _ = await asyncio.gather(
                session.request(HEAD, body), listening, return_exceptions=True
            )
        return answer, listening

    answer, listening = asyncio.run(scenario())
    assert listening.exception() is None
    assert isinstance(answer, Response | Unreachable)
    return answer


def frame(kind, stream, flags, content):
    made = kind(stream)
    for flag in flags:
        if flag != "END_HEADERS" or kind is frames.HeadersFrame:
            made.flags.add(flag)
    if kind is frames.HeadersFrame:
        made.data = Encoder().encode(content)
    elif kind is frames.DataFrame:
        made.data = b"x" * len(content) * 30
    elif kind is frames.GoAwayFrame:
        made.last_stream_id = len(content)
    elif kind is frames.PingFrame:
        made.opaque_data = b"12345678"
    elif kind is frames.WindowUpdateFrame:
        made.window_increment = 1 + len(content)
    elif kind is frames.SettingsFrame and not made.flags:
        made.settings = {3: len(content), 4: 10 * len(content)}
    return made.serialize()


FRAMES = st.one_of(
    st.builds(
        frame,
        st.sampled_from([frames.HeadersFrame, frames.DataFrame]),
        st.sampled_from([1, 1, 1, 2, 3]),
        st.sets(st.sampled_from(["END_STREAM", "END_HEADERS"])),
        st.sampled_from(HEADERS),
    ),
    st.builds(frame, st.just(frames.RstStreamFrame), st.just(1), st.just(()), st.just([])),
    st.builds(
        frame,
        st.sampled_from([frames.GoAwayFrame, frames.PingFrame, frames.WindowUpdateFrame]),
        st.just(0),
        st.just(()),
        st.sampled_from(HEADERS),
    ),
    st.builds(
        frame,
        st.just(frames.SettingsFrame),
        st.just(0),
        st.sampled_from([(), ("ACK",)]),
        st.sampled_from(HEADERS),
    ),
)


@given(st.lists(st.binary(), max_size=4))
def test_any_bytes(parts):
    outcome(parts)


@given(st.lists(FRAMES, max_size=8), st.integers(1, 20))
def test_any_frames_in_any_parts(made, size):
    data = b"".join(made)
    outcome([data[at : at + size] for at in range(0, len(data), size)])


@pytest.mark.parametrize(("io_timeout", "is_answered"), [(1000.0, True), (0.0, False)])
def test_silence_before_a_request_does_not_count_against_it(io_timeout, is_answered):
    silence = Unreachable("it sent nothing")
    head = frame(frames.HeadersFrame, 1, ["END_HEADERS", "END_STREAM"], HEADERS[0])
    settings = frame(frames.SettingsFrame, 0, (), [])
    answer = outcome([settings, silence, head], io_timeout=io_timeout)
    assert isinstance(answer, Response) == is_answered


def test_an_answer_is_one():
    settings = frame(frames.SettingsFrame, 0, (), [])
    head = frame(frames.HeadersFrame, 1, ["END_HEADERS"], HEADERS[0])
    data = frame(frames.DataFrame, 1, ["END_STREAM"], HEADERS[0])
    answer = outcome([settings + head + data])
    assert (answer.status, answer.body) == (200, b"x" * 30)
