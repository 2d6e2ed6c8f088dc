"""Inputs that are spoken to over HTTP: a server, its options, and answers that are given when events are delivered.

@input_plugin("mine")
class Mine(HttpInput[MineOptions]):
    default_port = 9880

    async def handle(self, request: Request) -> Response:
        await self.admit(request)
        await self.intake.deliver(lambda: [chunk_of(request)], len(request.body))
        return Response(self.success)
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, TypeVar

from tailrace.config import Seconds, group, option
from tailrace.model import Chunk
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
from tailrace.plugin import Emit, Input, InputOptions
from tailrace.wire.compression import CompressionError, TooLarge

SUCCESSES = (200, 201, 204)


class HttpInputOptions(InputOptions):
    listen: ListenOptions = group()
    tls: ServerTLSOptions = group()
    server: HttpServerOptions = group()
    oauth2: BearerOptions = group("oauth2.")

    tag_key: str = option("")
    """Take the tag of a record from this field (a key or record accessor), if it is text."""

    successful_response_code: int = option(201)
    """Status of successful answers: 200, 201 or 204."""

    answer_timeout: Seconds = option(60.0)
    """Longest time that a request waits for its records to be delivered; then it is answered with 503. 0: without limit."""


HttpInputO = TypeVar("HttpInputO", bound=HttpInputOptions)


class HttpInput(Input[HttpInputO]):
    """`success` is the status of successful answers, `limit` the most bytes that a body unpacks to."""

    default_port: ClassVar[int]

    def __init__(self, options: HttpInputO) -> None:
        super().__init__(options)
        self.server: HttpServer | None = None
        self.intake = Intake(options.server, options.answer_timeout, self.context.metrics)
        self.get_tag = tag_getter(options.tag_key)
        self.limit = options.server.buffer_max_size * UNPACKED_RATIO
        self.success = options.successful_response_code
        if self.success not in SUCCESSES:
            self.context.log.warn(
                f"successful_response_code {self.success} is not 200, 201 or 204: 201"
            )
            self.success = 201
        self._bearer = (
            BearerCheck(options.oauth2, self.context) if options.oauth2.validate else None
        )

    @abstractmethod
    async def handle(self, request: Request) -> Response:
        """Take one request."""

    @property
    def replays(self) -> bool:
        """A client without an answer sends again."""
        return True

    @property
    def held_bytes(self) -> int:
        return self.server.held_bytes if self.server is not None else 0

    async def start(self) -> None:
        options = self.options
        self.server = await open_http_server(
            self.handle,
            options.server,
            options.listen,
            options.tls,
            self.context,
            self.default_port,
        )

    async def run(self, emit: Emit) -> None:
        await self.intake.run(emit)

    async def stop(self) -> None:
        if self.server is not None:
            server, self.server = self.server, None
            await server.close(grace_seconds=0.5)
        if self._bearer is not None:
            await self._bearer.close()

    def pause(self) -> None:
        self.intake.has_room.clear()

    def resume(self) -> None:
        self.intake.has_room.set()

    async def admit(self, request: Request) -> None:
        """Refuse a request without a token that holds, if tokens are asked for."""
        if self._bearer is not None:
            await admit(request, self._bearer, self.context.log)

    def unpacked(self, request: Request) -> bytes:
        """The body of a request, unpacked; one that is not packed as it says is taken as it came.

        Compat: Fluent Bit does so too (conformance: inputs/http_gzip).
        """
        try:
            return request.unpacked(self.limit)
        except TooLarge as error:
            raise Refusal(413, str(error)) from error
        except CompressionError as error:
            self.context.log.debug(f"{request.peer}: the body is read as it came: {error}")
            return request.body

    def by_tag(self, chunk: Chunk) -> list[Chunk]:
        """A chunk of logs by the tags that its records name, if they do."""
        if self.get_tag is None:
            return [chunk]
        tags = [self.get_tag(body) or chunk.tag for body in chunk.bodies]
        return [part.with_tag(tag) for tag, part in chunk.split(tags).items()]
