"""One request of OTLP to the server, and what its answer means."""

from __future__ import annotations

from typing import NamedTuple

from tailrace.net.auth import TokenSource, basic, bearer
from tailrace.net.aws import Signer
from tailrace.net.client import http_client
from tailrace.net.http_client import Response
from tailrace.outputs.opentelemetry.options import OpenTelemetryOptions
from tailrace.plugin import Context, Reject, Retry
from tailrace.wire.compression import COMPRESSORS
from tailrace.wire.otlp.answer import PartialSuccess, read_failure, read_success

PROTOBUF = "application/x-protobuf"
DELIVERED = range(200, 206)
TRY_AGAIN = (429, 502, 503, 504)
Header = tuple[str, str]


class Path(NamedTuple):
    """Where requests of one signal go."""

    http: str


class Sender:
    """Sends requests; made once, closed once."""

    def __init__(self, options: OpenTelemetryOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self.client = http_client(options.client, context, port=80, proxy_url=options.proxy)
        self.tokens: TokenSource | None = None
        if options.oauth2.enable:
            self.tokens = TokenSource(
                options.oauth2, context, options.client.net, options.client.tls, 60.0
            )
        self.signer = Signer.of(options.aws, context, options.client.net)
        self.compress = COMPRESSORS[options.compress] if options.compress else None
        self.headers = self._headers()

    def _headers(self) -> list[Header]:
        """All headers but the token; a header of the user's stands instead of one of ours."""
        options = self.options
        headers: list[Header] = [("Content-Type", PROTOBUF)]
        if options.http_user is not None and self.tokens is None:
            headers.append(("Authorization", basic(options.http_user, options.http_passwd)))
        headers.append(("User-Agent", "Fluent-Bit"))
        headers += options.header
        if options.compress:
            headers.append(("Content-Encoding", options.compress))
        return list({name.lower(): (name, value) for name, value in headers}.values())

    async def send(self, path: Path, content: bytes) -> PartialSuccess:
        """Send one request. `Retry` or `Reject` unless the server took it, at least in part."""
        body = self.compress(content) if self.compress is not None else content
        response = await self._request(path.http, body)
        status = response.status
        what = f"{self.client.peer}, HTTP status={status}"
        said = self._said(response)
        if status in DELIVERED:
            self.context.log.debug(what + said)
            kind = response.headers.get("content-type", "")
            return read_success(response.body, kind.startswith("application/json"))
        if status in TRY_AGAIN or (status == 401 and self.tokens is not None):
            after = response.retry_after(self.context.clock.time_ns() / 1e9)
            raise Retry(what + said, after, status)
        raise Reject(what + said, status)

    def _said(self, response: Response) -> str:
        """What the server says, for a log line."""
        if not self.options.log_response_payload or not response.body:
            return ""
        if response.headers.get("content-type", "").startswith(PROTOBUF):
            text = read_failure(response.body).text if response.status not in DELIVERED else ""
            return f" {text}" if text else ""
        return f" {response.text()}"

    async def _request(self, target: str, body: bytes) -> Response:
        """The request with whatever proves who sends it. A token that the server refuses is replaced once."""
        if self.tokens is None:
            return await self._request_once(target, body, self.headers)
        response = Response()
        for _ in range(2):
            token = await self.tokens.token()
            headers = [*self.headers, ("Authorization", bearer(token))]
            response = await self._request_once(target, body, headers)
            if response.status != 401:
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

    async def close(self) -> None:
        await self.client.close()
        if self.tokens is not None:
            await self.tokens.close()
        if self.signer is not None:
            await self.signer.close()
