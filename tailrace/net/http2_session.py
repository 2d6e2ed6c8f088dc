"""One HTTP/2 connection as a client has it: frames through h2, requests side by side.

Format: RFC 9113.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.exceptions
import h2.settings
from h2 import events

from tailrace.net.connection import CLOSING_SECONDS, Connection, Unreachable
from tailrace.net.http_client import MOST_HEAD_BYTES, MOST_UNWANTED_BYTES, Response, Stale

STREAM_WINDOW = 1 << 20
CONNECTION_WINDOW = 4 << 20
MOST_UNSENT_BYTES = 256 << 20
"""A server that asks for so many answers of the protocol's own and reads none is left."""


class Protocol(h2.connection.H2Connection):
    """h2, but for GOAWAY: the requests that the server still answers after it go on (RFC 9113, 6.8), where h2 takes the connection as closed."""

    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[Any]]:
        event = events.ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        return [], [event]


class Exchange:
    """One request under way: what is still to be sent, and the answer so far."""

    __slots__ = ("done", "has_begun", "parts", "response", "rest", "size")

    def __init__(self, body: bytes, loop: asyncio.AbstractEventLoop) -> None:
        self.rest = memoryview(body)
        self.response = Response(version=2)
        self.parts: list[bytes] = []
        self.size = 0
        self.has_begun = False
        self.done: asyncio.Future[Response] = loop.create_future()

    def finish(self) -> None:
        self.response.body = b"".join(self.parts)
        if not self.done.done():
            self.done.set_result(self.response)

    def fail(self, failure: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(failure)


class Session:
    """One connection that speaks HTTP/2; `listen` must run beside."""

    def __init__(self, connection: Connection, body_limit: int) -> None:
        self.connection = connection
        self.peer = connection.peer
        self.body_limit = body_limit
        self.is_closing = False
        """It takes no new requests."""
        self.uses = 0
        self.heard = 0
        """How often something came from the server."""
        self.task: Any = None
        self._loop = asyncio.get_running_loop()
        self._exchanges: dict[int, Exchange] = {}
        self._room = asyncio.Event()
        self._sent_at = 0.0
        codes = h2.settings.SettingCodes
        self.http = Protocol(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        # What the connection begins with: settings that are changed later count only once the server has taken them.
        self.http.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                codes.ENABLE_PUSH: 0,
                codes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                codes.MAX_HEADER_LIST_SIZE: MOST_HEAD_BYTES,
            },
        )
        self.http.decoder.max_header_list_size = MOST_HEAD_BYTES
        self.http.initiate_connection()
        self.http.increment_flow_control_window(CONNECTION_WINDOW)
        self.flush()

    @property
    def is_idle(self) -> bool:
        return not self._exchanges

    @property
    def is_lost(self) -> bool:
        return self.is_closing or self.connection.is_lost

    # Requests

    async def request(self, headers: list[tuple[str, str]], body: bytes) -> Response:
        """One request and its answer. `Stale` if the server did not look at it."""
        await self._wait_for_room()
        exchange = Exchange(body, self._loop)
        number = self._begin(headers, ends=not body)
        self._exchanges[number] = exchange
        try:
            self._pump(number, exchange)
            self.flush()
            return await exchange.done
        finally:
            if self._exchanges.pop(number, None) is not None and not self.connection.is_lost:
                self._reset(number)  # given up by us
                self.flush()
            self._room.set()

    def _begin(self, headers: list[tuple[str, str]], ends: bool) -> int:
        """Send the head of a request; the number of its stream."""
        try:
            number = int(self.http.get_next_available_stream_id())
            self.http.send_headers(number, headers, end_stream=ends)
        except h2.exceptions.NoAvailableStreamIDError:
            self.is_closing = True
            raise Stale(f"the connection to {self.peer} is used up") from None
        except h2.exceptions.ProtocolError as error:
            raise Unreachable(f"the request can't be sent by HTTP/2: {error}") from error
        self.uses += 1
        self._sent_at = self._loop.time()
        return number

    async def _wait_for_room(self) -> None:
        """Wait while the server allows no further request at the same time."""
        while len(self._exchanges) >= self.http.remote_settings.max_concurrent_streams:
            self._room.clear()
            await self._room.wait()
        if self.is_lost:
            raise Stale(f"{self.peer} ends the connection")

    def _pump(self, number: int, exchange: Exchange) -> None:
        """Send as much of a body as the server has room for."""
        http = self.http
        while exchange.rest:
            room = min(http.local_flow_control_window(number), http.max_outbound_frame_size)
            if room <= 0:
                return
            part, exchange.rest = exchange.rest[:room], exchange.rest[room:]
            http.send_data(number, bytes(part), end_stream=not exchange.rest)

    def _reset(self, number: int) -> None:
        with contextlib.suppress(h2.exceptions.ProtocolError):  # it is closed already
            self.http.reset_stream(number, h2.errors.ErrorCodes.CANCEL)

    def flush(self) -> None:
        """Hand over what h2 has made; its windows bound what may be on its way."""
        data = self.http.data_to_send()
        transport = self.connection.transport
        if not data or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            transport.abort()

    # What comes

    async def listen(self) -> None:
        """Take what the server sends until the connection ends."""
        why = f"{self.peer} closed the connection"
        try:
            while data := await self._receive():
                self.heard += 1
                for event in self.http.receive_data(data):
                    self._handle(event)
                self.flush()
                if self.is_closing and not self._exchanges:
                    return
        except Unreachable as failure:
            why = failure.why
        except (h2.exceptions.ProtocolError, UnicodeDecodeError) as error:
            why = f"the answer of {self.peer} is no HTTP/2: {error}"
            self.flush()
        finally:
            self.is_closing = True
            for exchange in list(self._exchanges.values()):
                exchange.fail(self._failure(exchange, why))
            self._exchanges.clear()
            self._room.set()

    async def _receive(self) -> bytes:
        """What comes next. That nothing came for `net.io_timeout` is no failure while the latest request is younger."""
        while True:
            try:
                return await self.connection.receive()
            except Unreachable:
                age = self._loop.time() - self._sent_at
                waits = self._exchanges and age < self.connection.io_timeout
                if self.connection.is_lost or not waits:
                    raise

    def _failure(self, exchange: Exchange, why: str) -> Unreachable:
        """A kept connection may have been closed meanwhile; that says nothing of the server."""
        is_stale = self.uses > 1 and not exchange.has_begun
        return Stale(why) if is_stale else Unreachable(why)

    def _handle(self, event: Any) -> None:
        number = getattr(event, "stream_id", None) or 0
        exchange = self._exchanges.get(number)
        match event:
            case events.ResponseReceived() if exchange is not None:
                exchange.has_begun = True
                self._take_head(exchange, event.headers)
            case events.TrailersReceived() if exchange is not None:
                exchange.response.trailers = joined(event.headers)
            case events.DataReceived():
                self._take_data(number, exchange, event)
            case events.StreamEnded() if exchange is not None:
                self._end(number, exchange)
            case events.StreamReset() if exchange is not None:
                del self._exchanges[number]
                exchange.fail(self._reset_failure(event))
            case events.WindowUpdated() | events.RemoteSettingsChanged():
                self._pump_all()
                self._room.set()
            case events.ConnectionTerminated():
                self._go_away(event)

    def _take_head(self, exchange: Exchange, headers: Any) -> None:
        exchange.response.headers = joined(headers)
        status = exchange.response.headers.pop(":status", "")
        exchange.response.status = int(status) if status.isdecimal() else 0

    def _take_data(self, number: int, exchange: Exchange | None, event: Any) -> None:
        self.http.acknowledge_received_data(event.flow_controlled_length, number)
        if exchange is None:
            return
        data = event.data
        room = self.body_limit - exchange.size
        exchange.size += len(data)
        if exchange.size > self.body_limit:
            exchange.response.is_cut = True
            data = data[: max(room, 0)]
        if data:
            exchange.parts.append(data)
        if exchange.size > self.body_limit + MOST_UNWANTED_BYTES:
            self._reset(number)
            del self._exchanges[number]
            exchange.finish()

    def _end(self, number: int, exchange: Exchange) -> None:
        del self._exchanges[number]
        if exchange.rest:  # an answer before the request was whole (413, say)
            self._reset(number)
        exchange.finish()

    def _reset_failure(self, event: Any) -> Unreachable:
        code = event.error_code
        if code == h2.errors.ErrorCodes.REFUSED_STREAM:
            return Stale(f"{self.peer} refused the request before it looked at it")
        name = getattr(code, "name", code)
        return Unreachable(f"{self.peer} broke off the request: {name}")

    def _pump_all(self) -> None:
        for number, exchange in list(self._exchanges.items()):
            with contextlib.suppress(h2.exceptions.StreamClosedError):
                self._pump(number, exchange)

    def _go_away(self, event: Any) -> None:
        """No new requests; those beyond the last one that the server looks at are to be sent anew."""
        self.is_closing = True
        last = event.last_stream_id or 0
        for number in [number for number in self._exchanges if number > last]:
            self._exchanges.pop(number).fail(Stale(f"{self.peer} ends the connection"))
        self._room.set()

    def end(self) -> None:
        """End the connection: in an orderly way if the server still listens, else soon."""
        self.say_goodbye()
        self.connection.close()
        self._loop.call_later(CLOSING_SECONDS, self.connection.abort)

    def say_goodbye(self) -> None:
        """Tell the server that the connection ends."""
        self.is_closing = True
        if not self.connection.is_lost:
            with contextlib.suppress(h2.exceptions.ProtocolError):  # it is closed, in h2's view
                self.http.close_connection()
            self.flush()


def joined(headers: Any) -> dict[str, str]:
    """Headers by name; of several of one name the values with commas between."""
    found: dict[str, str] = {}
    for name, value in headers:
        known = found.get(name)
        found[name] = value if known is None else f"{known}, {value}"
    return found
