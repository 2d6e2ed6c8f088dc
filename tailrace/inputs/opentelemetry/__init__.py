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

Metrics, traces and profiles need the extra `otlp`: `pip install tailrace[otlp]`. Logs need nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from tailrace.config import Seconds, group, option
from tailrace.inputs.opentelemetry import grpc
from tailrace.inputs.opentelemetry.grpc import GrpcError
from tailrace.inputs.opentelemetry.signals import Payload, Reader, Taken, endpoints
from tailrace.model import LOGS, Chunk
from tailrace.net.bearer import BearerCheck, BearerOptions
from tailrace.net.http_server import HttpServer, Request, Response
from tailrace.net.http_server.intake import Intake, Refusal, admit
from tailrace.net.http_server.options import (
    UNPACKED_RATIO,
    HttpServerOptions,
    open_http_server,
)
from tailrace.net.http_server.tags import tag_getter
from tailrace.net.options import ListenOptions, ServerTLSOptions
from tailrace.plugin import Emit, Input, InputOptions, input_plugin
from tailrace.wire.compression import CompressionError, TooLarge
from tailrace.wire.otlp.decode_logs import METADATA_KEY, LogKeys
from tailrace.wire.otlp.errors import MissingLibrary, OtlpError, TooMany, has_library

DEFAULT_PORT = 4318
LARGE_BYTES = 256 * 1024
SUCCESSES = (200, 201, 204)
GRPC_STATUS = {401: grpc.UNAUTHENTICATED, 413: grpc.RESOURCE_EXHAUSTED, 503: grpc.UNAVAILABLE}
"""What gRPC calls a refusal; others are invalid arguments."""


class OpentelemetryOptions(InputOptions):
    listen: ListenOptions = group()
    tls: ServerTLSOptions = group()
    server: HttpServerOptions = group()
    oauth2: BearerOptions = group("oauth2.")

    tag_from_uri: bool = option(True)
    """Make the tag of the path (`v1_logs` of `/v1/logs`), unless `tag` is given; off: the tag is the input's name."""

    tag_key: str = option("")
    """Take the tag of logs from this field of each record (a key or record accessor), if it is text."""

    successful_response_code: int = option(201)
    """Status of successful answers: 200, 201 or 204."""

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

    answer_timeout: Seconds = option(60.0)
    """Longest time that a request waits for its data to be delivered; then it is answered with 503. 0: without limit."""


@input_plugin("opentelemetry")
class Opentelemetry(Input[OpentelemetryOptions]):
    def __init__(self, options: OpentelemetryOptions) -> None:
        super().__init__(options)
        self.server: HttpServer | None = None
        self.intake = Intake(options.server, options.answer_timeout, self.context.metrics)
        self.bearer = BearerCheck(options.oauth2, self.context) if options.oauth2.validate else None
        self.get_tag = tag_getter(options.tag_key)
        self.endpoints = endpoints(options.profiles_support)
        keys = LogKeys(options.logs_body_key, options.logs_metadata_key)
        self.reader = Reader(
            keys, options.raw_traces, options.encode_profiles_as_log, self.context.clock
        )
        self.limit = options.server.buffer_max_size * UNPACKED_RATIO
        self.success = options.successful_response_code
        if self.success not in SUCCESSES:
            self.context.log.warn(
                f"successful_response_code {self.success} is not 200, 201 or 204: 201"
            )
            self.success = 201

    @property
    def replays(self) -> bool:
        """A client without an answer sends again."""
        return True

    async def start(self) -> None:
        options = self.options
        if not has_library():
            self.context.log.warn(
                "metrics, traces and profiles can't be taken without opentelemetry-proto: pip install tailrace[otlp]"
            )
        self.server = await open_http_server(
            self.handle, options.server, options.listen, options.tls, self.context, DEFAULT_PORT
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
            if self.bearer is not None:
                await admit(request, self.bearer, self.context.log)
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
                made += self.by_tag(chunk)
        return made

    def messages(self, request: Request, payload: Payload) -> list[bytes]:
        """The bodies in the request, unpacked."""
        if payload.is_grpc:
            return grpc.messages_of(request, self.limit)
        try:
            return [request.unpacked(self.limit)]
        except TooLarge as error:
            raise Refusal(413, str(error)) from error
        except CompressionError as error:
            # Compat: a body that is not packed as it says is read as it came (Fluent Bit 5.1.1).
            self.context.log.debug(f"{request.peer}: the body is read as it came: {error}")
            return [request.body]

    def tag_of(self, payload: Payload) -> str:
        if self.options.tag or not self.options.tag_from_uri:
            return self.tag
        return payload.signal.tag

    def by_tag(self, chunk: Chunk) -> list[Chunk]:
        """The chunk by the tags that its records name, if they do."""
        if self.get_tag is None or chunk.kind is not LOGS:
            return [chunk]
        tags = [self.get_tag(body) or chunk.tag for body in chunk.bodies]
        return [part.with_tag(tag) for tag, part in chunk.split(tags).items()]
