"""From a request to the pipeline: what inputs that are spoken to over HTTP do alike.

    intake = Intake(options.server, options.answer_timeout)
    await intake.deliver(lambda: [chunk])      # returns when all has come of the chunks that can; `Refusal` else

A client has its answer when its events are delivered, or lie in filesystem storage, or have ended in another way that was
counted; one that gets none sends them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tailrace.model import Chunk, Receipt
from tailrace.net.bearer import BearerCheck, KeysUnreachable
from tailrace.net.http_server.messages import Request, Response
from tailrace.plugin.log import Log
from tailrace.wire.jwt import TokenError

if TYPE_CHECKING:
    from tailrace.net.http_server.options import HttpServerOptions
    from tailrace.plugin import Emit

HEADERS = {401: (("WWW-Authenticate", "Bearer"),), 503: (("Retry-After", "1"),)}
"""What a refusal of a status says beside its text."""


class Refusal(Exception):
    """A request that is not taken; `status` and `text` are the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    def response(self) -> Response:
        headers = HEADERS.get(self.status, ())
        return Response(self.status, f"error: {self.text}\n".encode(), headers)


class Intake:
    """Puts what clients send into the pipeline; `answer_timeout` in seconds, 0: none."""

    def __init__(self, server: HttpServerOptions, answer_timeout: float) -> None:
        self.most_waiting = server.ingress_queue_event_limit
        self.answer_timeout = answer_timeout
        self.emit: Emit | None = None
        self.waiting = 0
        """Requests that wait for their answer."""
        self.has_room = asyncio.Event()
        self.has_room.set()

    async def run(self, emit: Emit) -> None:
        """Take requests until cancelled."""
        self.emit = emit
        try:
            await asyncio.Event().wait()
        finally:
            self.emit = None

    async def deliver(self, make: Callable[[], Sequence[Chunk]]) -> None:
        """Put the chunks that `make` gives into the pipeline and wait until all has come of them that can.

        `make` is called once there is room, so that what waits is not decoded yet.
        """
        if self.waiting >= self.most_waiting:
            raise Refusal(503, "deferred ingress queue is full")
        self.waiting += 1
        try:
            async with asyncio.timeout(self.answer_timeout or None):
                while not self.has_room.is_set():
                    await self.has_room.wait()
                chunks = make()
                if chunks:
                    await self.put(chunks)
        except TimeoutError:
            raise Refusal(503, "the records are not delivered yet") from None
        finally:
            self.waiting -= 1

    async def put(self, chunks: Sequence[Chunk]) -> None:
        emit = self.emit
        if emit is None:
            raise Refusal(503, "the agent is stopping")
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_settled(receipt: Receipt) -> None:
            if not settled.done():
                settled.set_result(None)

        receipt = Receipt(on_settled, urgent=True)
        receipt.hold()
        for chunk in chunks:
            chunk.receipt = receipt
            await emit(chunk)
        receipt.release()
        await settled


async def admit(request: Request, bearer: BearerCheck, log: Log) -> None:
    """Refuse a request without a token that holds."""
    try:
        await bearer.check(request.headers.get("authorization", ""))
    except TokenError as error:
        log.warn(f"{request.peer}: refused: the token: {error}")
        raise Refusal(401, "unauthorized") from error
    except KeysUnreachable as error:
        raise Refusal(503, "the token can't be checked now") from error
