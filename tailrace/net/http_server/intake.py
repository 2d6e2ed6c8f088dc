"""From a request to the pipeline: what inputs that are spoken to over HTTP do alike.

    intake = Intake(options.server, options.answer_timeout, self.context.metrics)
    await intake.deliver(lambda: [chunk])      # returns when all has come of the chunks that can; `Refusal` else

A client has its answer when its events are delivered, or lie in filesystem storage, or have ended in another way that was
counted; one that gets none sends them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from tailrace.model import Chunk, Receipt
from tailrace.net.bearer import BearerCheck, KeysUnreachable
from tailrace.net.http_server.messages import Request, Response
from tailrace.plugin.log import Log
from tailrace.wire.jwt import TokenError

if TYPE_CHECKING:
    from tailrace.net.http_server.options import HttpServerOptions
    from tailrace.plugin import Emit
    from tailrace.plugin.context import Metrics

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


class QueueMetrics:
    """Requests that wait for their answer, under Fluent Bit's names."""

    def __init__(self, metrics: Metrics) -> None:
        self._requests = self._nbytes = 0
        self._busy = metrics.counter(
            "fluentbit_input_http_server_ingress_queue_busy_total",
            "Number of deferred HTTP server ingress queue busy events.",
        )
        self._pending = metrics.gauge(
            "fluentbit_input_http_server_ingress_queue_pending_events",
            "Current number of deferred HTTP server ingress queue events.",
        )
        self._pending_bytes = metrics.gauge(
            "fluentbit_input_http_server_ingress_queue_pending_bytes",
            "Current number of deferred HTTP server ingress queue bytes.",
        )
        self._busy.inc(0)
        self.add(0, 0)

    def refuse(self) -> None:
        """A request was refused, since too many wait."""
        self._busy.inc()

    def add(self, requests: int, nbytes: int) -> None:
        """So many more wait."""
        self._requests += requests
        self._nbytes += nbytes
        self._pending.set(self._requests)
        self._pending_bytes.set(self._nbytes)


class Intake:
    """Puts what clients send into the pipeline; `answer_timeout` in seconds, 0: none. `metrics` are told what waits."""

    def __init__(
        self, server: HttpServerOptions, answer_timeout: float, metrics: Metrics | None = None
    ) -> None:
        self.most_waiting = server.ingress_queue_event_limit
        self.answer_timeout = answer_timeout
        self.emit: Emit | None = None
        self.waiting = 0
        """Requests that wait for their answer."""
        self.has_room = asyncio.Event()
        self.has_room.set()
        self._queue = None if metrics is None else QueueMetrics(metrics)

    async def run(self, emit: Emit) -> None:
        """Take requests until cancelled."""
        self.emit = emit
        try:
            await asyncio.Event().wait()
        finally:
            self.emit = None

    async def deliver(
        self,
        make: Callable[[], Sequence[Chunk] | Awaitable[Sequence[Chunk]]],
        nbytes: int = 0,
    ) -> None:
        """Put the chunks that `make` gives into the pipeline and wait until all has come of them that can.

        `make` is called once there is room, so that what waits is not decoded yet; `nbytes` is its size, for the metrics.
        """
        if self.waiting >= self.most_waiting:
            if self._queue is not None:
                self._queue.refuse()
            raise Refusal(503, "deferred ingress queue is full")
        self._count(1, nbytes)
        try:
            async with asyncio.timeout(self.answer_timeout or None):
                while not self.has_room.is_set():
                    await self.has_room.wait()
                made = make()
                chunks = await made if isinstance(made, Awaitable) else made
                if chunks:
                    await self.put(chunks)
        except TimeoutError:
            raise Refusal(503, "the records are not delivered yet") from None
        finally:
            self._count(-1, -nbytes)

    def _count(self, requests: int, nbytes: int) -> None:
        self.waiting += requests
        if self._queue is not None:
            self._queue.add(requests, nbytes)

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
