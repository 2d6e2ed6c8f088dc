"""Take records that are posted over HTTP, and answer when they are delivered.

Example:
    Name   http
    Listen 0.0.0.0
    Port   9880

    POST /app.log with {"a": 1}  ->  {"a": 1} under the tag app.log

Bodies are JSON (an object, an array of objects, or several one after another; `application/json`, `application/x-ndjson`) or
a form (`application/x-www-form-urlencoded`), also packed with gzip, deflate, zstd or snappy. The tag is the path with `_` for
all but letters, digits, dots and underscores; without a path it is that of the input.

A request is answered with success when its records are delivered, or lie in filesystem storage, or have ended in another way that
was counted; a client that gets no such answer may send them again. 503 says that they are not delivered yet, or that too much waits.
"""

from __future__ import annotations

import asyncio
import datetime

import orjson

from tailrace.config import ConfigError, KeyText, Seconds, group, option
from tailrace.inputs.http.bodies import Refusal, read_form, read_json
from tailrace.inputs.http.tags import clean_tag, tag_getter
from tailrace.model import Body, Chunk, Receipt
from tailrace.net.bearer import BearerCheck, BearerOptions, KeysUnreachable
from tailrace.net.http_server import HttpServer, Request, Response
from tailrace.net.http_server.options import (
    UNPACKED_RATIO,
    HttpServerOptions,
    open_http_server,
)
from tailrace.net.options import ListenOptions, ServerTLSOptions
from tailrace.plugin import Emit, Input, InputOptions, input_plugin
from tailrace.wire.compression import CompressionError, TooLarge
from tailrace.wire.jwt import TokenError

DEFAULT_PORT = 9880
FORM = "application/x-www-form-urlencoded"
JSON_TYPES = ("application/json", "application/x-ndjson")
SUCCESSES = (200, 201, 204)


class HttpOptions(InputOptions):
    listen: ListenOptions = group()
    tls: ServerTLSOptions = group()
    server: HttpServerOptions = group()
    oauth2: BearerOptions = group("oauth2.")

    add_remote_addr: bool = option(False)
    """Add the address that `X-Forwarded-For` names first to each record, unless it has the key."""

    remote_addr_key: str = option("REMOTE_ADDR")
    """The key for that address."""

    success_header: list[KeyText] = option(many=True)
    """A header of successful answers: `NAME VALUE`. May be given many times."""

    tag_key: str = option("")
    """Take the tag from this field of each record (a key or record accessor), if it is text."""

    successful_response_code: int = option(201)
    """Status of successful answers: 200, 201 or 204."""

    enable_health_endpoint: bool = option(False)
    """Answer `GET /health` with the state ok."""

    answer_timeout: Seconds = option(60.0)
    """Longest time that a request waits for its records to be delivered; then it is answered with 503. 0: without limit."""


@input_plugin("http")
class Http(Input[HttpOptions]):
    padding = 4

    def __init__(self, options: HttpOptions) -> None:
        super().__init__(options)
        self.server: HttpServer | None = None
        self.emit: Emit | None = None
        self.get_tag = tag_getter(options.tag_key)
        self.success = self.make_success(options)
        self.bearer = BearerCheck(options.oauth2, self.context) if options.oauth2.validate else None
        self.waiting = 0
        """Requests that wait for their answer."""
        self.has_room = asyncio.Event()
        self.has_room.set()

    def make_success(self, options: HttpOptions) -> Response:
        status = options.successful_response_code
        if status not in SUCCESSES:
            self.context.log.warn(f"successful_response_code {status} is not 200, 201 or 204: 201")
            status = 201
        for name, value in options.success_header:
            if not name.isascii() or "\n" in value or "\r" in value or ":" in name:
                raise ConfigError(
                    f"success_header: '{name} {value}' is no header.", "Give a name and a value."
                )
        return Response(status, b"", tuple(options.success_header))

    @property
    def replays(self) -> bool:
        """A client without an answer sends again."""
        return True

    async def start(self) -> None:
        options = self.options
        self.server = await open_http_server(
            self.handle,
            options.server,
            options.listen,
            options.tls,
            self.context,
            DEFAULT_PORT,
        )

    async def run(self, emit: Emit) -> None:
        self.emit = emit
        try:
            await asyncio.Event().wait()
        finally:
            self.emit = None

    async def stop(self) -> None:
        if self.server is not None:
            server, self.server = self.server, None
            await server.close(grace_seconds=0.5)
        if self.bearer is not None:
            await self.bearer.close()

    def pause(self) -> None:
        self.has_room.clear()

    def resume(self) -> None:
        self.has_room.set()

    # Requests

    async def handle(self, request: Request) -> Response:
        """Take one request."""
        is_health = request.method == "GET" and request.path == "/health"
        if is_health and self.options.enable_health_endpoint:
            return self.health()
        try:
            if self.bearer is not None:
                await self.admit(request, self.bearer)
            self.check(request)
            await self.deliver(request)
        except Refusal as refusal:
            return refusal.response()
        return self.success

    async def admit(self, request: Request, bearer: BearerCheck) -> None:
        """Refuse a request without a token that holds."""
        try:
            await bearer.check(request.headers.get("authorization", ""))
        except TokenError as error:
            self.context.log.warn(f"{request.peer}: refused: the token: {error}")
            raise Refusal(401, "unauthorized") from error
        except KeysUnreachable as error:
            raise Refusal(503, "the token can't be checked now") from error

    def check(self, request: Request) -> None:
        """Refuse what is no request with records."""
        if not request.target.startswith("/"):
            raise Refusal(400, "invalid request")
        if request.method != "POST":
            raise Refusal(400, "invalid HTTP method")
        if "content-type" not in request.headers:
            raise Refusal(400, "header 'Content-Type' is not set")
        if request.media_type != FORM and request.media_type not in JSON_TYPES:
            raise Refusal(400, "invalid 'Content-Type'")
        if not request.body:
            raise Refusal(400, "no payload found")

    def read(self, request: Request) -> tuple[str, list[Body]]:
        """The request's tag and records."""
        limit = self.options.server.buffer_max_size * UNPACKED_RATIO
        try:
            body = request.unpacked(limit)
        except TooLarge as error:
            raise Refusal(413, str(error)) from error
        except CompressionError as error:
            # Compat: a body that is not packed as it says is read as it came (conformance: http_gzip).
            self.context.log.debug(f"{request.peer}: the body is read as it came: {error}")
            body = request.body
        if request.media_type == FORM:
            records = [read_form(body)]
        else:
            records, odd = read_json(body)
            if odd:
                self.context.log.warn(f"{request.peer}: dropped: {odd} items that are no objects")
                self.context.drop(odd, "no object")
        if self.options.add_remote_addr:
            self.add_address(request, records)
        path = request.path[1:]
        return (clean_tag(path) if path else self.tag), records

    def add_address(self, request: Request, records: list[Body]) -> None:
        address = request.headers.get("x-forwarded-for", "").partition(",")[0].strip()
        key = self.options.remote_addr_key
        if not address:
            return
        for body in records:
            if key not in body:
                body[key] = address

    async def deliver(self, request: Request) -> None:
        """Put the records into the pipeline and wait until all has come of them that can."""
        if self.waiting >= self.options.server.ingress_queue_event_limit:
            raise Refusal(503, "deferred ingress queue is full")
        self.waiting += 1
        try:
            async with asyncio.timeout(self.options.answer_timeout or None):
                while not self.has_room.is_set():
                    await self.has_room.wait()
                tag, records = self.read(request)
                if records:
                    await self.put(tag, records, len(request.body))
        except TimeoutError:
            raise Refusal(503, "the records are not delivered yet") from None
        finally:
            self.waiting -= 1

    async def put(self, tag: str, records: list[Body], nbytes: int) -> None:
        emit = self.emit
        if emit is None:
            raise Refusal(503, "the agent is stopping")
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_settled(receipt: Receipt) -> None:
            if not settled.done():
                settled.set_result(None)

        receipt = Receipt(on_settled, urgent=True)
        receipt.hold()
        now = self.context.clock.time_ns()
        chunk = Chunk(tag, [now] * len(records), records, None, nbytes)
        for part in self.by_tag(chunk):
            part.receipt = receipt
            await emit(part)
        receipt.release()
        await settled

    def by_tag(self, chunk: Chunk) -> list[Chunk]:
        """The chunk by the tags that its records name, if they do."""
        if self.get_tag is None:
            return [chunk]
        tags = [self.get_tag(body) or chunk.tag for body in chunk.bodies]
        return [part.with_tag(tag) for tag, part in chunk.split(tags).items()]

    def health(self) -> Response:
        now = self.context.clock.time_ns()
        seconds, fraction = divmod(now, 1_000_000_000)
        stamp = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        state = {
            "status": "ok",
            "message": "records are taken at this address",
            "timestamp": f"{stamp}.{fraction:09d}Z",
        }
        headers = self.success.headers
        return Response(200, orjson.dumps(state, option=orjson.OPT_INDENT_2) + b"\n", headers)
