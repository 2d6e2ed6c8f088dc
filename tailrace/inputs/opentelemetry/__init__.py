"""Take logs, metrics and traces of OpenTelemetry (OTLP), over HTTP and gRPC on one port, and answer when they are delivered.

Example:
    Name   opentelemetry
    Listen 0.0.0.0
    Port   4318

    POST /v1/logs with OTLP/JSON or protobuf  ->  its records under the tag v1_logs

Paths are `/v1/logs`, `/v1/metrics`, `/v1/traces` and, with `profiles_support`, `/v1development/profiles`; gRPC's services have the
names of the OTLP specification. Bodies are protobuf (`application/x-protobuf`) or JSON (`application/json`; profiles only as logs), also
packed with gzip, zstd, deflate or snappy.

A log record's body is the event's body if it is a map, else it stands under `log`. Attributes, severity, trace and span are the
event's metadata under `otlp`; resource and scope are kept as the event's group.

A request is answered with success when its data is delivered, or lies in filesystem storage, or has ended in another way that was
counted; a client that gets no such answer may send it again. What can't be taken of a request (data points without a value) is
named in the answer, as OTLP's partial success.

Metrics, traces and profiles need the extra `otlp`: `pip install 'tailrace[otlp]'`. Logs need nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from tailrace.config import option
from tailrace.inputs.opentelemetry import grpc
from tailrace.inputs.opentelemetry.grpc import GrpcError
from tailrace.inputs.opentelemetry.signals import Payload, Reader, Taken, endpoints
from tailrace.model import LOGS, Chunk
from tailrace.net.http_server import Request, Response
from tailrace.net.http_server.http_input import HttpInput, HttpInputOptions
from tailrace.net.http_server.intake import Refusal
from tailrace.plugin import input_plugin
from tailrace.wire.otlp.decode_logs import METADATA_KEY, LogKeys
from tailrace.wire.otlp.errors import MissingLibrary, OtlpError, TooMany, has_library

LARGE_BYTES = 256 * 1024
GRPC_STATUS = {401: grpc.UNAUTHENTICATED, 413: grpc.RESOURCE_EXHAUSTED, 503: grpc.UNAVAILABLE}
"""What gRPC calls a refusal; others are invalid arguments."""


class OpentelemetryOptions(HttpInputOptions):
    tag_from_uri: bool = option(True)
    """Make the tag of the path (`v1_logs` of `/v1/logs`), unless `tag` is given; off: the tag is the input's name."""

    raw_traces: bool = option(False)
    """Take traces in JSON as log records: the request as it came, one record."""

    logs_metadata_key: str = option(METADATA_KEY)
    """The key in an event's metadata for what a log record says beside its body."""

    logs_body_key: str = option("")
    """Put every log record's body under this key; without it a body that is a map is the record, any other stands under `log`."""

    profiles_support: bool = option(False)
    """Take profiles too, an experimental signal of OpenTelemetry; as protobuf."""

    encode_profiles_as_log: bool = option(False)
    """Take profiles as log records, with `profiles_support`: the text of each request under `Profile`."""


@input_plugin("opentelemetry")
class Opentelemetry(HttpInput[OpentelemetryOptions]):
    default_port = 4318

    def __init__(self, options: OpentelemetryOptions) -> None:
        super().__init__(options)
        self.endpoints = endpoints(options.profiles_support)
        keys = LogKeys(options.logs_body_key, options.logs_metadata_key)
        self.reader = Reader(
            keys, options.raw_traces, options.encode_profiles_as_log, self.context.clock
        )

    async def start(self) -> None:
        if not has_library():
            self.context.log.warn(
                "metrics, traces and profiles can't be taken without opentelemetry-proto: pip install 'tailrace[otlp]'"
            )
        await super().start()

    # Requests

    async def handle(self, request: Request) -> Response:
        """Take one request, of HTTP or gRPC."""
        endpoint = self.endpoints.get(request.path)
        if endpoint is None:
            known = request.target.startswith("/")
            return Refusal(
                404 if known else 400, "invalid endpoint" if known else "invalid request"
            ).response()
        is_grpc = endpoint.is_grpc
        taken = Taken()
        try:
            await self.admit(request)
            if request.method != "POST":
                raise Refusal(400, "invalid HTTP method")
            if not request.body:
                raise Refusal(400, "invalid content-length")
            is_grpc = is_grpc and grpc.is_grpc(request)
            payload = Payload(endpoint.signal, request.headers.get("content-type"), is_grpc)
            await self.intake.deliver(lambda: self.take(request, payload, taken), len(request.body))
        except GrpcError as error:
            return error.response()
        except Refusal as refusal:
            if is_grpc:
                return grpc.answer(
                    GRPC_STATUS.get(refusal.status, grpc.INVALID_ARGUMENT), refusal.text
                )
            return refusal.response()
        except OtlpError as error:
            return self.refuse(request, error, is_grpc)
        except MissingLibrary as error:
            self.context.log.error(f"{request.peer}: {request.path} is refused: {error}")
            if is_grpc:
                return grpc.answer(grpc.UNIMPLEMENTED, str(error))
            return Refusal(501, str(error)).response()
        if taken.why:
            self.context.log.warn(f"{request.peer}: left out of {request.path}: {taken.why}")
            if taken.rejected:
                self.context.drop(taken.rejected, "invalid")
        if is_grpc:
            return grpc.answer(grpc.OK, "", taken.answer(endpoint.signal, is_json=False))
        if not taken.rejected:
            return Response(self.success)
        body = taken.answer(endpoint.signal, payload.is_json)
        return Response(200 if self.success == 204 else self.success, body, payload.headers)

    def refuse(self, request: Request, error: OtlpError, is_grpc: bool) -> Response:
        """The answer to what is no OTLP; it says what is wrong, as does the log."""
        self.context.log.error(f"{request.peer}: {request.path} is refused: {error}")
        if isinstance(error, TooMany):
            return (
                grpc.answer(grpc.RESOURCE_EXHAUSTED, str(error))
                if is_grpc
                else Refusal(413, str(error)).response()
            )
        if is_grpc:
            return grpc.answer(grpc.INVALID_ARGUMENT, f"deserialisation error: {error}")
        return Response(400, b"invalid request: deserialisation error\n")

    def take(
        self, request: Request, payload: Payload, taken: Taken
    ) -> Sequence[Chunk] | Awaitable[Sequence[Chunk]]:
        """What the request holds; of a large one in a thread, so that others are not kept waiting."""
        if len(request.body) < LARGE_BYTES:
            return self.chunks_of(request, payload, taken)
        return asyncio.to_thread(self.chunks_of, request, payload, taken)

    def chunks_of(self, request: Request, payload: Payload, taken: Taken) -> Sequence[Chunk]:
        """What the request holds."""
        tag = self.tag_of(payload)
        made: list[Chunk] = []
        for data in self.messages(request, payload):
            for chunk in self.reader.read(payload, data, tag, taken):
                made += self.by_tag(chunk) if chunk.kind is LOGS else [chunk]
        return made

    def messages(self, request: Request, payload: Payload) -> list[bytes]:
        """The bodies in the request, unpacked."""
        if payload.is_grpc:
            return grpc.messages_of(request, self.limit)
        return [self.unpacked(request)]

    def tag_of(self, payload: Payload) -> str:
        if self.options.tag or not self.options.tag_from_uri:
            return self.tag
        return payload.signal.tag
