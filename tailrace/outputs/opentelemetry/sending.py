"""One request of OTLP to the server, by HTTP or gRPC, and what its answer means.

Source: OTLP specification, "OTLP/HTTP" and "OTLP/gRPC"; "gRPC over HTTP2" for its messages and trailers.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote

from tailrace.net.auth import TokenSource, basic, bearer
from tailrace.net.aws import Signer
from tailrace.net.client import http2_client, http_client
from tailrace.net.http2_client import HTTP2Client
from tailrace.net.http_client import HTTPClient, Response
from tailrace.outputs.opentelemetry.options import OpenTelemetryOptions
from tailrace.plugin import Context, Reject, Retry
from tailrace.wire.compression import COMPRESSORS
from tailrace.wire.otlp.answer import (
    PartialSuccess,
    read_failure,
    read_failure_header,
    read_success,
)

PROTOBUF, JSON, GRPC = "application/x-protobuf", "application/json", "application/grpc"
DELIVERED = range(200, 206)
TRY_AGAIN = (429, 502, 503, 504)
UNIMPLEMENTED, INTERNAL, UNAUTHENTICATED = 12, 13, 16
CODES = {
    1: "CANCELLED",
    2: "UNKNOWN",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    15: "DATA_LOSS",
    16: "UNAUTHENTICATED",
}
CODES_TO_TRY_AGAIN = (1, 4, 8, 10, 11, 13, 14, 15)
"""OTLP's, and INTERNAL, which Fluent Bit tries again."""
Header = tuple[str, str]


class Path(NamedTuple):
    """Where requests of one signal go."""

    http: str
    grpc: str


class Sender:
    """Sends requests; made once, closed once."""

    def __init__(self, options: OpenTelemetryOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self.client: HTTPClient | HTTP2Client
        self.is_grpc = options.grpc
        if options.grpc or options.http2 != "off":
            self.client = http2_client(
                options.client,
                context,
                port=80,
                proxy_url=options.proxy,
                choice="force" if options.http2 == "force" else "negotiate",
            )
        else:
            self.client = http_client(options.client, context, port=80, proxy_url=options.proxy)
        self.tokens: TokenSource | None = None
        if options.oauth2.enable:
            self.tokens = TokenSource(
                options.oauth2, context, options.client.net, options.client.tls, 60.0
            )
        self.signer = Signer.of(options.aws, context, options.client.net)
        self.compress = COMPRESSORS[options.compress] if options.compress else None
        self.takes_compressed = True
        """Whether the gRPC server knows our compression."""
        self.headers = self._headers([("Content-Type", PROTOBUF)], "Content-Encoding")
        self.grpc_headers = self._headers(
            [("Content-Type", GRPC), ("TE", "trailers")], "Grpc-Encoding"
        )

    def _headers(self, first: list[Header], encoding: str) -> list[Header]:
        """All headers but the token; a header of the user's stands instead of one of ours."""
        options = self.options
        headers = list(first)
        if options.http_user is not None and self.tokens is None:
            headers.append(("Authorization", basic(options.http_user, options.http_passwd)))
        headers.append(("User-Agent", "Fluent-Bit"))
        headers += options.header
        if options.compress:
            headers.append((encoding, options.compress))
        return list({name.lower(): (name, value) for name, value in headers}.values())

    async def send(self, path: Path, content: bytes) -> PartialSuccess:
        """Send one request. `Retry` or `Reject` unless the server took it, at least in part."""
        client = self.client
        if self.is_grpc and isinstance(client, HTTP2Client) and await client.version() == 2:
            return await self._send_grpc(path.grpc, content)
        return await self._send_http(path.http, content)

    async def close(self) -> None:
        await self.client.close()
        if self.tokens is not None:
            await self.tokens.close()
        if self.signer is not None:
            await self.signer.close()

    # HTTP

    async def _send_http(self, target: str, content: bytes) -> PartialSuccess:
        body = self.compress(content) if self.compress is not None else content
        response = await self._request(target, body, self.headers)
        self._check_status(response)
        kind = response.headers.get("content-type", "")
        if PROTOBUF in kind or JSON in kind:
            return read_success(response.body, JSON in kind)
        return PartialSuccess()

    def _check_status(self, response: Response) -> None:
        status = response.status
        what = f"{self.client.peer}, HTTP status={status}{self._said(response)}"
        if status in DELIVERED:
            self.context.log.debug(what)
        elif status in TRY_AGAIN or (status == 401 and self.tokens is not None):
            after = response.retry_after(self.context.clock.time_ns() / 1e9)
            raise Retry(what, after, status)
        else:
            raise Reject(what, status)

    def _said(self, response: Response) -> str:
        """What the server says, for a log line."""
        if not self.options.log_response_payload or not response.body:
            return ""
        kind = response.headers.get("content-type", "")
        if kind.startswith(GRPC):
            return ""
        if kind.startswith(PROTOBUF):
            text = read_failure(response.body).text if response.status not in DELIVERED else ""
            return f" {printable(text)}" if text else ""
        return f" {response.text()}"

    # gRPC

    async def _send_grpc(self, target: str, content: bytes) -> PartialSuccess:
        compress = self.compress if self.takes_compressed else None
        headers = self.grpc_headers
        if compress is None:
            headers = [header for header in headers if header[0] != "Grpc-Encoding"]
        message = compress(content) if compress is not None else content
        flag = b"\1" if compress is not None else b"\0"
        body = b"".join((flag, len(message).to_bytes(4), message))
        response = await self._request(target, body, headers)
        code = grpc_status(response)
        if compress is not None and is_encoding_unknown(code, response):
            self.takes_compressed = False
            self.context.log.warn(
                f"{self.client.peer} does not take {self.options.compress}: requests go as they are from now on"
            )
            return await self._send_grpc(target, content)
        self._check_status(response)
        self._check_code(code, response)
        return read_success(grpc_message(response.body), is_json=False)

    def _check_code(self, code: int | None, response: Response) -> None:
        peer = self.client.peer
        if code is None:
            raise Retry(f"{peer} answered without a grpc-status")
        if code == 0:
            self.context.log.debug(f"{peer}, grpc-status=0")
            return
        what = f"{peer}, grpc-status={code} {CODES.get(code, '')}".rstrip()
        said = printable(unquote(grpc_field(response, "grpc-message")))
        if said and self.options.log_response_payload:
            what += f": {said}"
        if code in CODES_TO_TRY_AGAIN or (code == UNAUTHENTICATED and self.tokens is not None):
            failure = read_failure_header(grpc_field(response, "grpc-status-details-bin"))
            raise Retry(what, failure.after, code)
        raise Reject(what, code)

    # Both

    async def _request(self, target: str, body: bytes, headers: list[Header]) -> Response:
        """The request with whatever proves who sends it. A token that the server refuses is replaced once."""
        if self.tokens is None:
            return await self._request_once(target, body, headers)
        response = Response()
        for _ in range(2):
            token = await self.tokens.token()
            proof = ("Authorization", bearer(token))
            response = await self._request_once(target, body, [*headers, proof])
            if response.status != 401 and grpc_status(response) != UNAUTHENTICATED:
                break
            self.tokens.forget(token)
        return response

    async def _request_once(self, target: str, body: bytes, headers: list[Header]) -> Response:
        if self.signer is not None:
            hosts = [value for name, value in headers if name.lower() == "host"]
            rest = [header for header in headers if header[0].lower() != "host"]
            host = hosts[-1] if hosts else self.client.host_header
            headers = await self.signer.sign("POST", target, rest, body, host)
        return await self.client.request("POST", target, body, headers)


def grpc_field(response: Response, name: str) -> str:
    """A field of the trailers, which stand among the headers where there is no message."""
    return response.trailers.get(name, response.headers.get(name, ""))


def grpc_status(response: Response) -> int | None:
    """The status of a call; None if there is none."""
    text = grpc_field(response, "grpc-status").strip()
    return int(text) if text.isdecimal() and len(text) < 6 else None


def is_encoding_unknown(code: int | None, response: Response) -> bool:
    """Whether a call failed for its compression: UNIMPLEMENTED, with grpcio INTERNAL."""
    said = grpc_field(response, "grpc-message")
    return code == UNIMPLEMENTED or (code == INTERNAL and "grpc-encoding" in said)


def grpc_message(body: bytes) -> bytes:
    """The message in a gRPC body; empty if there is none, or a compressed one, which was not asked for."""
    size = int.from_bytes(body[1:5])
    return body[5 : 5 + size] if body[:1] == b"\0" and len(body) >= 5 + size else b""


def printable(text: str) -> str:
    """What a server said, for a log line."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:1000])
