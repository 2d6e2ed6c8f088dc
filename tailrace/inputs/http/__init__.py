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

import datetime

import orjson

from tailrace.config import ConfigError, KeyText, Seconds, group, option
from tailrace.inputs.http.bodies import read_form, read_json
from tailrace.model import Body, Chunk
from tailrace.net.bearer import BearerCheck, BearerOptions
from tailrace.net.http_server import HttpServer, Request, Response
from tailrace.net.http_server.intake import Intake, Refusal, admit
from tailrace.net.http_server.options import (
    UNPACKED_RATIO,
    HttpServerOptions,
    open_http_server,
)
from tailrace.net.http_server.tags import clean_tag, tag_getter
from tailrace.net.options import ListenOptions, ServerTLSOptions
from tailrace.plugin import Emit, Input, InputOptions, input_plugin
from tailrace.wire.compression import CompressionError, TooLarge

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
        self.intake = Intake(options.server, options.answer_timeout, self.context.metrics)
        self.get_tag = tag_getter(options.tag_key)
        self.success = self.make_success(options)
        self.bearer = BearerCheck(options.oauth2, self.context) if options.oauth2.validate else None

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
    def has_one_tag(self) -> bool:
        """The path of a request is its tag."""
        return False

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
        await self.intake.run(emit)

    @property
    def held_bytes(self) -> int:
        return self.server.held_bytes if self.server is not None else 0

    async def stop(self) -> None:
        if self.server is not None:
            server, self.server = self.server, None
            await server.close(grace_seconds=0.5)
        if self.bearer is not None:
            await self.bearer.close()

    def pause(self) -> None:
        self.intake.has_room.clear()

    def resume(self) -> None:
        self.intake.has_room.set()

    # Requests

    async def handle(self, request: Request) -> Response:
        """Take one request."""
        is_health = request.method == "GET" and request.path == "/health"
        if is_health and self.options.enable_health_endpoint:
            return self.health()
        try:
            if self.bearer is not None:
                await admit(request, self.bearer, self.context.log)
            self.check(request)
            await self.intake.deliver(lambda: self.chunks_of(request), len(request.body))
        except Refusal as refusal:
            return refusal.response()
        return self.success

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

    def chunks_of(self, request: Request) -> list[Chunk]:
        """The request's records, by tag."""
        tag, records = self.read(request)
        now = self.context.clock.time_ns()
        chunk = Chunk(tag, [now] * len(records), records, None, len(request.body))
        return self.by_tag(chunk) if records else []

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
