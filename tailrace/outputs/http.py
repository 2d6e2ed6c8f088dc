"""Send events to an HTTP server, one request for each chunk.

Example:
    Name   http
    Match  *
    Host   logs.example
    Port   443
    URI    /ingest
    Format json_lines
    TLS    on
    Header X-Team storage

A status from 200 to 205 is delivered. 408, 429, all others below 400 and all from 500 on are tried again, after the time of `Retry-After` if
the server gives one. The others from 400 to 499 are refused: the chunk is dropped and counted.

With `body_key` and `headers_key` each event is a request of its own; those that failed alone are tried again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tailrace.config import ConfigError, Options, Seconds, group, one_of, option
from tailrace.model import Body, Chunk
from tailrace.model.accessor import MISSING, Accessor, AccessorError
from tailrace.net.auth import OAuth2Options, TokenSource, basic, bearer
from tailrace.net.aws import AWSOptions, Signer
from tailrace.net.client import ClientOptions, http_client
from tailrace.net.formats import chunk_encoder, known_layout
from tailrace.net.http_client import Response
from tailrace.net.options import HEADER
from tailrace.plugin import (
    Connections,
    Output,
    OutputOptions,
    Partial,
    Refusal,
    Reject,
    Retry,
    output_plugin,
)
from tailrace.wire.compression import COMPRESSORS

JSON, NDJSON, MSGPACK = "application/json", "application/x-ndjson", "application/msgpack"
CONTENT_TYPES = {
    "json": JSON,
    "json_stream": JSON,
    "gelf": JSON,
    "json_lines": NDJSON,
    "msgpack": MSGPACK,
}
COMPRESSIONS = ("gzip", "snappy", "zstd")
DELIVERED = range(200, 206)
TRY_AGAIN = (408, 429)
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
NOT_OF_RECORDS = frozenset({"host", "connection", "content-length", "transfer-encoding"})
"""Headers that rule the connection: what an event says of them could split a request in two."""
Header = tuple[str, str]


class GELFKeys(Options):
    timestamp_key: str = option("timestamp")
    """Format gelf: the key of the time, else the event's."""

    host_key: str = option("host")
    """Format gelf: the key of the host."""

    short_message_key: str = option("short_message")
    """Format gelf: the key of the short message, which each event must have."""

    full_message_key: str = option("full_message")
    """Format gelf: the key of the full message."""

    level_key: str = option("level")
    """Format gelf: the key of the level, a number from 0 to 7 or its syslog name."""


class HTTPOptions(OutputOptions):
    client: ClientOptions = group()
    oauth2: OAuth2Options = group("oauth2.")
    aws: AWSOptions = group("aws_")
    gelf: GELFKeys = group("gelf_")

    uri: str = option("/")
    """Path and query of the requests."""

    http_method: str = option("POST", reader=one_of("POST", "PUT"))
    """POST or PUT."""

    format: str = option("json")
    """json (an array), json_stream, json_lines, gelf or msgpack. An unknown one is reported and counts as msgpack."""

    json_date_format: str = option("double")
    """double, iso8601, iso8601_ns, epoch, epoch_ms or java_sql_timestamp."""

    json_date_key: str = option("date")
    """The key of the time in JSON; false leaves it out."""

    compress: str = option("", reader=one_of("", *COMPRESSIONS))
    """Compress bodies: gzip, snappy or zstd."""

    header: list[tuple[str, str]] = option(many=True, reader=HEADER)
    """A header, as: `X-Team storage`. May be given many times."""

    allow_duplicated_headers: bool = option(True)
    """Off: of several headers of one name only the last is sent."""

    header_tag: str = option("")
    """Name of a header that holds the tag."""

    body_key: str = option("")
    """Record accessor of the body: each event is a request of its own. Needs `headers_key`."""

    headers_key: str = option("")
    """Record accessor of a map of headers. Needs `body_key`."""

    log_response_payload: bool = option(True)
    """Log what the server says along with its status."""

    http_user: str | None = option(None)
    """User for Basic authentication."""

    http_passwd: str = option("", secret=True)
    """Password for Basic authentication."""

    proxy: str = option("")
    """An HTTP proxy, as: http://HOST:PORT. Plain requests name the whole address, TLS goes through a tunnel."""

    http_response_timeout: Seconds = option(60.0, name="http.response_timeout")
    """Longest time for a whole answer; 0: no limit."""

    http_read_idle_timeout: Seconds = option(0.0, name="http.read_idle_timeout")
    """Longest time between two parts of an answer; 0: `net.io_timeout`."""


@output_plugin("http")
class HTTP(Output[HTTPOptions]):
    def __init__(self, options: HTTPOptions) -> None:
        super().__init__(options)
        self.client = http_client(
            options.client,
            self.context,
            port=80,
            proxy_url=options.proxy,
            response_timeout=options.http_response_timeout,
            read_idle_timeout=options.http_read_idle_timeout,
        )
        self.uri = options.uri if options.uri.startswith("/") else "/" + options.uri
        self.layout = known_layout(options.format, list(CONTENT_TYPES), self.context.log)
        self.encode = chunk_encoder(
            "json" if self.layout == "gelf" else self.layout,
            options.json_date_key,
            options.json_date_format,
            self.context,
        )
        self.compress = COMPRESSORS[options.compress] if options.compress else None
        self.tokens: TokenSource | None = None
        if options.oauth2.enable:
            self.tokens = TokenSource(
                options.oauth2,
                self.context,
                options.client.net,
                options.client.tls,
                options.http_response_timeout,
            )
        self.signer = Signer.of(options.aws, self.context, options.client.net)
        self.body_of, self.headers_of = self.accessors()
        own = {name.lower() for name, _ in options.header}
        self.first_headers = without([("Content-Type", CONTENT_TYPES[self.layout])], own)
        self.last_headers = [*without(self.fixed_headers(), own), *options.header]
        self.keep_last = not options.allow_duplicated_headers or self.tokens is not None

    def gelf_body(self, chunk: Chunk) -> tuple[bytes, list[Refusal]]:
        """A line for each event that can be GELF, and the others with the reason."""
        from tailrace.wire.gelf import GELFError, Keys, encode

        given = self.options.gelf
        keys = Keys(
            given.timestamp_key,
            given.host_key,
            given.short_message_key,
            given.full_message_key,
            given.level_key,
        )
        lines: list[bytes] = []
        refused: list[Refusal] = []
        for index, (body, time) in enumerate(zip(chunk.bodies, chunk.times, strict=True)):
            try:
                lines.append(encode(body, time, keys) + b"\n")
            except GELFError as error:
                why = f"an event can't be GELF: {error}"
                refused.append(Refusal(chunk.slice(index, index + 1), why))
        return b"".join(lines), refused

    def accessors(self) -> tuple[Accessor | None, Accessor | None]:
        options = self.options
        if not options.body_key and not options.headers_key:
            return None, None
        if not options.headers_key:
            raise ConfigError("body_key: it needs headers_key too.", "Give headers_key.")
        if not options.body_key:
            raise ConfigError("headers_key: it needs body_key too.", "Give body_key.")
        return accessor("body_key", options.body_key), accessor("headers_key", options.headers_key)

    def fixed_headers(self) -> list[Header]:
        """What stands behind the content type and the tag."""
        options = self.options
        headers: list[Header] = []
        if options.compress:
            headers.append(("Content-Encoding", options.compress))
        if options.http_user is not None:
            headers.append(("Authorization", basic(options.http_user, options.http_passwd)))
        return [*headers, ("User-Agent", "Fluent-Bit")]

    def connections(self) -> Connections:
        return self.client.upstream.connections()

    async def stop(self) -> None:
        await self.client.close()
        if self.tokens is not None:
            await self.tokens.close()
        if self.signer is not None:
            await self.signer.close()

    async def flush(self, chunk: Chunk) -> None:
        if self.body_of is not None and self.headers_of is not None:
            await self.send_each(chunk, self.body_of, self.headers_of)
            return
        refused: list[Refusal] = []
        if self.layout == "gelf":
            body, refused = self.gelf_body(chunk)
        else:
            body = self.encode(chunk)
        if len(refused) < chunk.count:
            await self.send(body, chunk.tag, self.first_headers)
        if refused:
            raise refusal(chunk.count - len(refused), refused)

    async def send_each(self, chunk: Chunk, body_of: Accessor, headers_of: Accessor) -> None:
        """A request for each event; what became of each is told apart."""
        refused: list[Refusal] = []
        bodies: Sequence[Body] = chunk.bodies
        for index, record in enumerate(bodies):
            request = request_of(body_of.get(record), headers_of.get(record))
            if isinstance(request, str):
                refused.append(Refusal(chunk.slice(index, index + 1), request))
                continue
            body, headers = request
            try:
                await self.send(body, chunk.tag, headers)
            except Reject as rejection:
                refused.append(
                    Refusal(chunk.slice(index, index + 1), rejection.why, rejection.status)
                )
            except Retry as failure:
                if not index and not refused:
                    raise
                rest = chunk.slice(index, chunk.count)
                raise Partial(
                    failure.why, rest, refused, failure.after, failure.status
                ) from failure
        if refused:
            raise refusal(chunk.count - len(refused), refused)

    async def send(self, body: bytes, tag: str, headers: Sequence[Header]) -> None:
        """One request; `Retry` or `Reject` unless the server took it."""
        if self.compress is not None:
            body = self.compress(body)
        tagged = [(self.options.header_tag, tag)] if self.options.header_tag else []
        response = await self.request(body, [*headers, *tagged, *self.last_headers])
        status = response.status
        what = f"{self.client.peer}, HTTP status={status}"
        if self.options.log_response_payload and response.body:
            what += f" {response.text()}"
        if status in DELIVERED:
            self.context.log.debug(what)
        elif 400 <= status < 500 and status not in TRY_AGAIN:
            raise Reject(what, status)
        else:
            raise Retry(what, response.retry_after(self.context.clock.time_ns() / 1e9), status)

    async def request(self, body: bytes, headers: list[Header]) -> Response:
        """The request with whatever proves who sends it. A token that the server refuses is replaced once."""
        if self.tokens is None:
            return await self.request_once(body, headers)
        token = await self.tokens.token()
        response = await self.request_once(body, [*headers, ("Authorization", bearer(token))])
        if response.status == 401:
            self.tokens.forget(token)
            token = await self.tokens.token()
            response = await self.request_once(body, [*headers, ("Authorization", bearer(token))])
        return response

    async def request_once(self, body: bytes, headers: list[Header]) -> Response:
        if self.keep_last:
            headers = last_of_each(headers)
        if self.signer is not None:
            hosts = [value for name, value in headers if name.lower() == "host"]
            host = hosts[-1] if hosts else self.client.host_header
            headers = without(headers, {"host"})
            headers = await self.signer.sign(
                self.options.http_method, self.uri, headers, body, host
            )
        return await self.client.request(self.options.http_method, self.uri, body, headers)


def accessor(name: str, text: str) -> Accessor:
    try:
        return Accessor(text)
    except AccessorError as error:
        raise ConfigError(f"{name}: {error}") from error


def request_of(body: Any, headers: Any) -> tuple[bytes, list[Header]] | str:
    """Body and headers of an event, or why there are none."""
    if type(body) is str:
        body = body.encode("utf-8", "surrogateescape")
    if type(body) is not bytes:
        return "the body is missing" if body is MISSING else "the body is neither text nor binary"
    if type(headers) is not dict:
        return "the headers are missing" if headers is MISSING else "the headers are no map"
    return body, [
        (key, value)
        for key, value in headers.items()
        if type(value) is str and TOKEN.fullmatch(key) and key.lower() not in NOT_OF_RECORDS
    ]


def refusal(good: int, refused: list[Refusal]) -> Exception:
    """What to raise when some events, or all, were refused."""
    first = refused[0]
    if good or len(refused) > 1:
        return Partial(first.why, None, refused)
    return Reject(first.why, first.status)


def without(headers: list[Header], names: set[str]) -> list[Header]:
    """The headers but those whose name (lower case) the user gives himself."""
    return [header for header in headers if header[0].lower() not in names]


def last_of_each(headers: list[Header]) -> list[Header]:
    """Of several headers of one name the last, in its place."""
    names = [name.lower() for name, _ in headers]
    return [
        header for index, header in enumerate(headers) if names[index] not in names[index + 1 :]
    ]
