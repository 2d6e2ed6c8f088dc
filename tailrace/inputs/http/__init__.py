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

from tailrace.config import ConfigError, KeyText, option
from tailrace.inputs.http.bodies import read_form, read_json
from tailrace.model import Body, Chunk
from tailrace.net.http_server import Request, Response
from tailrace.net.http_server.http_input import HttpInput, HttpInputOptions
from tailrace.net.http_server.intake import Refusal
from tailrace.net.http_server.tags import clean_tag
from tailrace.plugin import input_plugin

FORM = "application/x-www-form-urlencoded"
JSON_TYPES = ("application/json", "application/x-ndjson")


class HttpOptions(HttpInputOptions):
    add_remote_addr: bool = option(False)
    """Add the address that `X-Forwarded-For` names first to each record, unless it has the key."""

    remote_addr_key: str = option("REMOTE_ADDR")
    """The key for that address."""

    success_header: list[KeyText] = option(many=True)
    """A header of successful answers: `NAME VALUE`. May be given many times."""

    enable_health_endpoint: bool = option(False)
    """Answer `GET /health` with the state ok."""


@input_plugin("http")
class Http(HttpInput[HttpOptions]):
    padding = 4
    default_port = 9880

    def __init__(self, options: HttpOptions) -> None:
        super().__init__(options)
        for name, value in options.success_header:
            if not name.isascii() or "\n" in value or "\r" in value or ":" in name:
                raise ConfigError(
                    f"success_header: '{name} {value}' is no header.", "Give a name and a value."
                )
        self.answer = Response(self.success, b"", tuple(options.success_header))

    @property
    def has_one_tag(self) -> bool:
        """The path of a request is its tag."""
        return False

    # Requests

    async def handle(self, request: Request) -> Response:
        """Take one request."""
        is_health = request.method == "GET" and request.path == "/health"
        if is_health and self.options.enable_health_endpoint:
            return self.health()
        try:
            await self.admit(request)
            self.check(request)
            await self.intake.deliver(lambda: self.chunks_of(request), len(request.body))
        except Refusal as refusal:
            return refusal.response()
        return self.answer

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
        body = self.unpacked(request)
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

    def health(self) -> Response:
        now = self.context.clock.time_ns()
        seconds, fraction = divmod(now, 1_000_000_000)
        stamp = datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        state = {
            "status": "ok",
            "message": "records are taken at this address",
            "timestamp": f"{stamp}.{fraction:09d}Z",
        }
        headers = self.answer.headers
        return Response(200, orjson.dumps(state, option=orjson.OPT_INDENT_2) + b"\n", headers)
