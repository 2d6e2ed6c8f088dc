"""One HTTP/2 connection: frames through h2, each stream answered by a task of its own.

Format: RFC 9113. What a client may do to a server beyond size is limited here: streams that are reset as fast as they
are opened (CVE-2023-44487) and control frames whose answers nobody reads.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from tailrace.net.acceptor import Outflow, peer_of
from tailrace.net.http_server.messages import Request, Response, plain

if TYPE_CHECKING:
    from tailrace.net.http_server import HttpServer

STREAM_WINDOW = 1 << 20
CONNECTION_WINDOW = 4 << 20
FREE_RESETS = 200
"""Resets that a client is not asked about; beyond, at most two for each request it let finish."""
GRPC = "application/grpc"
GRPC_CODES = {413: 8, 503: 14}
"""What gRPC calls a status of the server's own: RESOURCE_EXHAUSTED, UNAVAILABLE; others are INTERNAL (13)."""


def for_grpc(response: Response) -> Response:
    """A refusal as a gRPC client understands it."""
    code = GRPC_CODES.get(response.status, 13)
    text = response.body.decode("ascii", "replace").strip()
    trailers = (("grpc-status", str(code)), ("grpc-message", text))
    return Response(200, b"", (("content-type", GRPC),), trailers)


class Stream:
    """One request on its way in, then its answer on its way out."""

    __slots__ = ("body_bytes", "headers", "method", "parts", "rest", "target", "task", "trailers")

    def __init__(self) -> None:
        self.method = ""
        self.target = ""
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []
        self.body_bytes = 0
        self.rest: memoryview | None = None
        self.trailers: list[tuple[str, str]] = []
        self.task: asyncio.Task[None] | None = None


class Http2(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.limits = server.limits
        self.transport: Any = None
        self.peer = ""
        self.heard_at = server.now()
        self.closing = False
        self.streams: dict[int, Stream] = {}
        self.outflow = Outflow()
        self.resets = 0
        self.finished = 0
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.http = h2.connection.H2Connection(config)
        # What the connection begins with: settings that are changed later count only once the client has taken them.
        self.http.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self.limits.streams,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: self.limits.head_bytes,
            },
        )
        self.http.decoder.max_header_list_size = self.limits.head_bytes

    # The transport's calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.peer = peer_of(transport)
        self.http.initiate_connection()
        self.http.increment_flow_control_window(CONNECTION_WINDOW)
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        self.closing = True
        for number in list(self.streams):
            self.end(number)
        self.server.forget(self)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        """The client reads too slowly: hear no more of it until it does."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.server.now()
        if self.closing:
            return
        try:
            events = self.http.receive_data(data)
            for event in events:
                self.handle(event)
        except (h2.exceptions.ProtocolError, UnicodeDecodeError):
            self.close()
            return
        self.send()

    def send(self) -> None:
        data = self.http.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    # Events

    def handle(self, event: Any) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.begin(event)
        elif isinstance(event, h2.events.DataReceived):
            self.take(event)
        elif isinstance(event, h2.events.StreamEnded):
            self.whole(event.stream_id)
        elif isinstance(event, h2.events.WindowUpdated):
            for number in [event.stream_id] if event.stream_id else list(self.streams):
                self.pump(number)
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            for number in list(self.streams):
                self.pump(number)
        elif isinstance(event, h2.events.StreamReset):
            self.end(event.stream_id)
            self.resets += 1
            if self.resets > FREE_RESETS + 2 * self.finished:
                self.close(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.close()

    def begin(self, event: h2.events.RequestReceived) -> None:
        stream = self.streams[event.stream_id or 0] = Stream()
        for name, value in event.headers or ():
            key, text = str(name), str(value)
            if key == ":method":
                stream.method = text
            elif key == ":path":
                stream.target = text
            elif key == ":authority":
                stream.headers["host"] = text
            elif not key.startswith(":"):
                known = stream.headers.get(key)
                stream.headers[key] = text if known is None else f"{known}, {text}"
        length = stream.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self.limits.body_bytes:
            self.refuse(event.stream_id or 0, plain(413))

    def take(self, event: h2.events.DataReceived) -> None:
        number, data = event.stream_id or 0, event.data or b""
        self.http.acknowledge_received_data(event.flow_controlled_length or 0, number)
        stream = self.streams.get(number)
        if stream is None or stream.rest is not None:
            return
        if stream.body_bytes + len(data) > self.limits.body_bytes:
            self.refuse(number, plain(413))
        elif not self.server.held.take(len(data)):
            self.refuse(number, self.server.busy())
        else:
            stream.body_bytes += len(data)
            stream.parts.append(data)

    def whole(self, number: int) -> None:
        stream = self.streams.get(number)
        if stream is None or stream.rest is not None:
            return
        body = b"".join(stream.parts)
        stream.parts, stream.body_bytes = [], 0  # it is the handler's now; see `answer`
        request = Request(stream.method, stream.target, stream.headers, body, "2", self.peer)
        stream.task = self.server.spawn(self.answer(number, request))

    # Answers

    async def answer(self, number: int, request: Request) -> None:
        try:
            response = await self.server.answer(request)
        finally:
            self.server.held.give_back(len(request.body))
        if number in self.streams and not self.closing:
            self.reply(number, response, is_head=request.method == "HEAD")
            self.send()
        if self.server.closing:
            self.shut()

    def refuse(self, number: int, response: Response) -> None:
        """Answer before the body is whole; what still comes of it is passed over."""
        stream = self.streams[number]
        self.server.held.give_back(stream.body_bytes)
        stream.body_bytes, stream.parts = 0, []
        if stream.headers.get("content-type", "").startswith(GRPC):
            response = for_grpc(response)
        self.reply(number, response)

    def reply(self, number: int, response: Response, is_head: bool = False) -> None:
        headers = [(":status", str(response.status))]
        headers += [(name.lower(), value) for name, value in response.headers]
        trailers = [(name.lower(), value) for name, value in response.trailers]
        if response.has_body and not trailers:
            headers.append(("content-length", str(len(response.body))))
        body = response.body if response.has_body and not is_head else b""
        stream = self.streams[number]
        stream.rest = memoryview(body)
        if body:
            stream.trailers = trailers
        else:
            headers += trailers  # gRPC's "trailers only": one frame of headers ends the stream
        try:
            self.http.send_headers(number, headers, end_stream=not body)
        except h2.exceptions.ProtocolError:
            self.end(number)
            return
        if body:
            self.pump(number)
        else:
            self.finish(number)

    def pump(self, number: int) -> None:
        """Send as much of an answer's body as the client has room for."""
        stream = self.streams.get(number)
        if stream is None or not stream.rest:
            return
        try:
            while stream.rest:
                room = min(
                    self.http.local_flow_control_window(number), self.http.max_outbound_frame_size
                )
                if room <= 0:
                    return
                part, stream.rest = stream.rest[:room], stream.rest[room:]
                ends = not stream.rest and not stream.trailers
                self.http.send_data(number, bytes(part), end_stream=ends)
            if stream.trailers:
                self.http.send_headers(number, stream.trailers, end_stream=True)
        except h2.exceptions.ProtocolError:
            self.end(number)
            return
        self.finish(number)

    def finish(self, number: int) -> None:
        self.finished += 1
        stream = self.streams[number]
        stream.task = None
        self.end(number)

    def end(self, number: int) -> None:
        """Forget a stream; a handler that still works for it goes on, its answer goes nowhere."""
        stream = self.streams.pop(number, None)
        if stream is not None:
            self.server.held.give_back(stream.body_bytes)

    def close(self, code: int = h2.errors.ErrorCodes.NO_ERROR) -> None:
        if not self.closing:
            self.closing = True
            with contextlib.suppress(h2.exceptions.ProtocolError):  # it may be closed, in h2's view
                self.http.close_connection(code)
            self.send()
            self.transport.close()

    def look(self, now: float) -> None:
        """Close when the client has been silent for too long, unless a handler works for it; cut it off when it takes nothing."""
        limits = self.limits
        if self.outflow.stands_still(self.transport, now, limits.idle_seconds):
            self.transport.abort()
            return
        waits = any(
            stream.task is not None and stream.rest is None for stream in self.streams.values()
        )
        if limits.idle_seconds and now - self.heard_at > limits.idle_seconds and not waits:
            self.close()

    def shut(self) -> None:
        """The server closes: now, or after the answers under way."""
        if not self.streams:
            self.close()
