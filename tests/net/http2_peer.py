"""An HTTP/2 server with scripted answers, for tests of what sends."""

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from tailrace.testing import Request
from tailrace.testing.servers import StreamServer


class Act(Enum):
    """What the server does instead of an answer."""

    CLOSE = auto()
    HANG = auto()
    REFUSE = auto()
    """Resets the stream with REFUSED_STREAM."""
    CANCEL = auto()
    """Resets the stream with INTERNAL_ERROR."""
    GO_AWAY = auto()
    """Says that it looked at no request of this one's number or above, and closes."""
    LEAVE = auto()
    """Announces the end of the connection (GOAWAY), then answers 200."""
    GARBAGE = auto()
    PING = auto()
    """Asks whether the client is there, and answers the request once it says so."""


CLOSE, HANG, REFUSE, CANCEL, GO_AWAY, LEAVE, GARBAGE, PING = Act


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    early: bool = False
    """As soon as the head of the request is there."""
    informational: bool = False
    """After an answer of 103."""


class HTTP2Peer(StreamServer):
    """`script` holds one step for each request, the last one for all further ones; `settings` are HTTP/2's.

    `window`: bytes of a request's body that it takes without being asked again.
    """

    def __init__(self, script=(200,), tls=None, settings=None, window=None):
        super().__init__(tls)
        self.script = list(script)
        self.settings = dict(settings or {})
        if window is not None:
            self.settings[h2.settings.SettingCodes.INITIAL_WINDOW_SIZE] = window
        self.requests = []
        self.most_at_once = 0
        self.released = asyncio.Event()
        """Answers of HANG are given once this is set (in its loop)."""

    def release(self):
        self._loop.call_soon_threadsafe(self.released.set)

    def step(self):
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    async def _talk(self, reader, writer, number):
        http = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        http.local_settings = h2.settings.Settings(
            client=False,
            initial_values={h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100, **self.settings},
        )
        http.initiate_connection()
        writer.write(http.data_to_send())
        streams, steps = {}, {}
        while data := await reader.read(1 << 16):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    streams[event.stream_id] = (dict(event.headers), [])
                    steps[event.stream_id] = self.step()
                    self.most_at_once = max(self.most_at_once, len(streams))
                    step = steps[event.stream_id]
                    if isinstance(step, Answer) and step.early:
                        self.answer(http, event.stream_id, step)
                elif isinstance(event, h2.events.DataReceived):
                    http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    streams[event.stream_id][1].append(event.data)
                elif isinstance(event, h2.events.PingAckReceived):
                    self.answer(http, int.from_bytes(event.ping_data), Answer())
                elif isinstance(event, h2.events.StreamEnded):
                    head, parts = streams.pop(event.stream_id)
                    self.requests.append(
                        Request(
                            head[":method"],
                            head[":path"],
                            head,
                            b"".join(parts),
                            number,
                            list(head.items()),
                        )
                    )
                    self._tell()
                    if not await self.act(http, writer, event.stream_id, steps[event.stream_id]):
                        return
            writer.write(http.data_to_send())

    async def act(self, http, writer, stream, step):
        """Whether the connection goes on."""
        if step is CLOSE:
            return False
        if step is GARBAGE:
            writer.write(bytes(90))  # DATA frames of no stream
            return False
        if step is GO_AWAY:
            http.close_connection(last_stream_id=stream - 2 if stream > 1 else 0)
            writer.write(http.data_to_send())
            return False
        if step is HANG:
            task = asyncio.get_running_loop().create_task(self.answer_later(http, writer, stream))
            self._tasks.add(task)
        elif step is PING:
            http.ping(stream.to_bytes(8))
        elif step is REFUSE:
            http.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        elif step is CANCEL:
            http.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif step is LEAVE:
            state = http.state_machine.state
            http.close_connection(last_stream_id=stream)
            http.state_machine.state = state  # h2 takes it as closed, which it is not yet
            self.answer(http, stream, Answer())
        else:
            self.answer(http, stream, Answer(step) if isinstance(step, int) else step)
        return True

    async def answer_later(self, http, writer, stream):
        await self.released.wait()
        self.answer(http, stream, Answer())
        writer.write(http.data_to_send())

    def answer(self, http, stream, step):
        if step.early and stream in self._answered:
            return
        self._answered.add(stream)
        if step.informational:
            http.send_headers(stream, [(":status", "103"), ("link", "</a>")])
        head = [(":status", str(step.status)), *step.headers.items()]
        http.send_headers(stream, head, end_stream=not step.body and not step.trailers)
        if step.body:
            at = 0
            while at < len(step.body):
                part = step.body[at : at + http.max_outbound_frame_size]
                at += len(part)
                last = at >= len(step.body) and not step.trailers
                http.send_data(stream, part, end_stream=last)
        if step.trailers:
            http.send_headers(stream, list(step.trailers.items()), end_stream=True)

    @property
    def _answered(self):
        return self.__dict__.setdefault("answered", set())
