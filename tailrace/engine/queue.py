"""One output's own queue: lanes of chunks, flushes, retries, limits.

Nothing here is shared between outputs, so nothing that one output holds can stop another one. Chunks of
one tag from one source form a **lane**; a lane's chunks leave in order, merged up to the output's preferred
size. A lane whose flush failed waits for its retry with its chunks behind it, while other lanes go on; after several
failures in a row the whole output waits, so that a dead server sees one try at a time.
"""

from __future__ import annotations

import asyncio
import heapq
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from typing import Any

from tailrace.engine.books import OutputBook, RouteBook
from tailrace.engine.retry import delay
from tailrace.model import LOGS, Chunk, Receipt, merge
from tailrace.plugin import Output, Partial, Reject, Retry
from tailrace.plugin.log import Log

SOFT_LIMIT_BYTES = 3 << 19
"""How much may wait for an output that works; then its inputs wait, which is the normal flow control."""
HARD_LIMIT_BYTES = 64_000_000
"""How much may wait for an output that fails or hangs, unless `queue_limit` says otherwise."""
STUCK_SECONDS = 1.0
"""A flush that takes longer counts as hanging: then the hard limit applies, so that others go on."""
GATE_AFTER = 3
"""Failures in a row after which the whole output waits instead of one lane."""
SHUTDOWN_RETRY_SECONDS = 0.5

Key = tuple[str, Any, Any]


@dataclass(slots=True, eq=False)
class Item:
    """A chunk on its way to one output; `receipt` holds a share for this route."""

    chunk: Chunk
    receipt: Receipt
    count: int
    nbytes: int
    """Memory, raw bytes."""
    size: int = 0
    """Raw bytes of the events, in memory or not."""
    disk_bytes: int = 0
    """Size of its file, if it has one."""
    order: int = 0
    """Grows with each chunk that this queue takes."""
    source: str = ""
    born: float = 0.0
    """When it was queued, by the loop's clock."""
    packed: int = 0
    """Size as MessagePack, for the counts."""


@dataclass(slots=True, eq=False)
class Batch:
    """What one flush takes: the items, and the chunk made of them."""

    items: list[Item]
    chunk: Chunk
    attempts: int = 0

    @property
    def count(self) -> int:
        return sum(item.count for item in self.items)

    @property
    def nbytes(self) -> int:
        return sum(item.nbytes for item in self.items)


class State(Enum):
    IDLE = auto()
    WAITING = auto()
    READY = auto()
    FLUSHING = auto()
    RETRYING = auto()


@dataclass(slots=True)
class Lane:
    """The chunks of one tag from one source, in order."""

    key: Key
    state: State = State.IDLE
    items: deque[Item] = field(default_factory=deque)
    nbytes: int = 0
    urgent: bool = False
    due: float = 0.0
    batch: Batch | None = None

    @property
    def oldest(self) -> Item | None:
        """The oldest chunk that waits; what is being sent right now does not."""
        if self.batch is not None and self.state is State.RETRYING:
            return self.batch.items[0]
        return self.items[0] if self.items else None


@dataclass(slots=True)
class QueueSettings:
    """What rules one output's queue; seconds and bytes."""

    flush_interval: float = 1.0
    retry_base: float = 5.0
    retry_cap: float = 2000.0
    retry_limit: int | None = 1
    workers: int = 1
    soft_limit: int = SOFT_LIMIT_BYTES
    hard_limit: int = HARD_LIMIT_BYTES
    when_full: str = "block"
    disk_limit: int = 0
    """Most bytes of files that may wait for this output; 0: no limit."""


class OutputQueue:
    """The queue of one output and the flushes that empty it."""

    def __init__(
        self,
        plugin: Output[Any],
        settings: QueueSettings,
        book: OutputBook,
        log: Log,
        on_room: Callable[[], None],
        prepare: Callable[[Chunk], Chunk] | None = None,
        on_refused: Callable[[Chunk, str, int], None] | None = None,
    ) -> None:
        self.plugin = plugin
        self.settings = settings
        self.book = book
        self.log = log
        self.nbytes = 0
        self.disk_bytes = 0
        self.failures = 0
        """Failed flushes in a row."""
        self._on_room = on_room
        self._prepare = prepare
        self._on_refused = on_refused
        self._lanes: dict[Key, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._waiting: deque[Lane] = deque()
        self._retries: list[tuple[float, int, Lane]] = []
        self._sequence = count()
        self._gate_until = 0.0
        self._busy = 0
        self._flush_started: dict[int, float] = {}
        self._wakeup = asyncio.Event()
        self._draining = False
        self._timer: asyncio.TimerHandle | None = None
        self._less: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    # Filling

    @property
    def is_full(self) -> bool:
        """Whether inputs should wait. Only ever true under the policy `block`."""
        settings = self.settings
        if settings.when_full != "block" or self.nbytes < settings.soft_limit:
            return False
        if self.nbytes >= settings.hard_limit:
            return True
        return not (self.failures or self._is_stuck())

    def _is_stuck(self) -> bool:
        oldest = min(self._flush_started.values(), default=None)
        return oldest is not None and self._loop.time() - oldest > STUCK_SECONDS

    def put(
        self,
        chunk: Chunk,
        receipt: Receipt,
        source: str,
        size: int = 0,
        disk_bytes: int = 0,
        packed: int = 0,
    ) -> None:
        """Take a chunk; the queue holds a share of its receipt until its way here has ended.

        `size`: its raw bytes where they are not in memory; `disk_bytes`: the size of its file; `packed`: its size as
        MessagePack (default: the raw size).
        """
        item = Item(
            chunk,
            receipt,
            chunk.count,
            chunk.nbytes,
            size or chunk.nbytes,
            disk_bytes,
            next(self._sequence),
            source,
            self._loop.time(),
            packed or chunk.nbytes,
        )
        receipt.hold()
        self.book.routed += item.count
        self.book.in_flight += item.count
        self.nbytes += item.nbytes
        self.disk_bytes += item.disk_bytes
        if not self._make_room(item):
            return
        key = (chunk.tag, chunk.kind, source)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
        lane.items.append(item)
        lane.nbytes += item.size
        lane.urgent = lane.urgent or receipt.urgent
        if lane.state is State.IDLE:
            self._wait_for_flush(lane)
        if lane.state is State.WAITING and self._is_due_early(lane):
            self._make_ready(lane)

    def _make_room(self, item: Item) -> bool:
        """Apply the policy of a full queue; False if the item itself had to go."""
        settings = self.settings
        while settings.disk_limit and self.disk_bytes > settings.disk_limit and self._lanes:
            if not self.drop_oldest("storage.total_limit_size"):
                break
        if settings.when_full == "block" or self.nbytes <= settings.hard_limit:
            return True
        if settings.when_full == "drop_newest":
            self._end([item], dropped="queue full")
            return False
        while self.nbytes > settings.hard_limit and self.drop_oldest("queue full"):
            pass
        return True

    def drop_oldest(self, reason: str, source: Any = None) -> bool:
        """Give up the oldest chunk that waits (of one source, if given), counted; False if none does.

        What is being sent right now stays; what waits for its retry may go.
        """
        lane = min(
            (
                lane
                for lane in self._lanes.values()
                if (source is None or lane.key[2] == source) and lane.oldest is not None
            ),
            key=lambda lane: lane.oldest.order if lane.oldest else 0,
            default=None,
        )
        if lane is None:
            return False
        if lane.batch is not None and lane.state is State.RETRYING:
            gone, lane.batch = lane.batch.items, None
        else:
            gone = [lane.items.popleft()]
            lane.nbytes -= gone[0].size
        count = sum(item.count for item in gone)
        self.log.error(f"{count} events given up to make room: {reason}")
        self._end(gone, dropped=reason)
        return True

    def _is_due_early(self, lane: Lane) -> bool:
        return lane.urgent or self._draining or lane.nbytes >= self.plugin.preferred_bytes

    def _wait_for_flush(self, lane: Lane) -> None:
        lane.state = State.WAITING
        lane.due = self._loop.time() + self.settings.flush_interval
        self._waiting.append(lane)
        self._wake_at(lane.due)

    def _make_ready(self, lane: Lane) -> None:
        lane.state = State.READY
        self._ready.append(lane)
        self._wakeup.set()

    def _wake_at(self, when: float) -> None:
        if self._timer is not None and not self._timer.cancelled() and self._timer.when() <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._wakeup.set()

    # Emptying

    async def run(self) -> None:
        """Flush what is due, until cancelled."""
        async with asyncio.TaskGroup() as flushes:
            while True:
                lane = self._next_lane()
                if lane is None:
                    self._wakeup.clear()
                    await self._wakeup.wait()
                elif self.settings.workers <= 1:
                    await self._flush(lane)
                else:
                    flushes.create_task(self._flush(lane))

    def _next_lane(self) -> Lane | None:
        """A lane to flush now, marked as flushing; else None, with the timer set for the next."""
        now = self._loop.time()
        self._collect_due(now)
        if self._busy >= max(1, self.settings.workers):
            return None
        if self._gate_until > now and not self._draining:
            self._wake_at(self._gate_until)
            return None
        while self._ready:
            lane = self._ready.popleft()
            if lane.items or lane.batch:
                lane.state = State.FLUSHING
                self._busy += 1
                return lane
            self._forget(lane)
        return None

    def _collect_due(self, now: float) -> None:
        waiting = self._waiting
        while waiting and (
            self._draining or waiting[0].due <= now or waiting[0].state is not State.WAITING
        ):
            lane = waiting.popleft()
            if lane.state is State.WAITING:
                lane.state = State.READY
                self._ready.append(lane)
        while self._retries and self._retries[0][0] <= now:
            lane = heapq.heappop(self._retries)[2]
            lane.state = State.READY
            self._ready.append(lane)
        nexts = ([waiting[0].due] if waiting else []) + (
            [self._retries[0][0]] if self._retries else []
        )
        if nexts:
            self._wake_at(min(nexts))

    def _forget(self, lane: Lane) -> None:
        lane.state = State.IDLE
        self._lanes.pop(lane.key, None)

    def _take(self, lane: Lane) -> list[Item]:
        """The next chunks of a lane, up to the preferred size."""
        plugin, items = self.plugin, lane.items
        taken = [items.popleft()]
        size = taken[0].size
        mergeable = taken[0].chunk.kind is LOGS and not plugin.keeps_chunks
        while mergeable and items and size + items[0].size <= plugin.preferred_bytes:
            size += items[0].size
            taken.append(items.popleft())
        lane.nbytes -= size
        return taken

    def _make_batch(self, items: list[Item]) -> Batch | None:
        """One chunk of the items; None, with the items counted as lost, if their file can't be read any more."""
        try:
            chunk = merge([item.chunk for item in items])
            if self._prepare is not None:
                chunk = self._prepare(chunk)
        except (OSError, ValueError) as error:
            count = sum(item.count for item in items)
            self.log.error(f"{count} events can't be read back from storage: {error}")
            self._end(items, rejected="storage can't be read")
            return None
        return Batch(items, chunk)

    async def _flush(self, lane: Lane) -> None:
        flush_id = next(self._sequence)
        self._flush_started[flush_id] = self._loop.time()
        try:
            if lane.batch is None:
                lane.batch = self._make_batch(self._take(lane))
            if lane.batch is not None:
                await self._try(lane, lane.batch)
        finally:
            del self._flush_started[flush_id]
            self._busy -= 1
            self._go_on(lane)
            self._wakeup.set()

    def _go_on(self, lane: Lane) -> None:
        if lane.state is State.RETRYING:
            return
        if lane.batch is not None:  # cancelled in the middle: it stays to be counted as left
            lane.state = State.IDLE
        elif not lane.items:
            lane.urgent = False
            self._forget(lane)
        elif self._is_due_early(lane):
            self._make_ready(lane)
        else:
            self._wait_for_flush(lane)

    async def _try(self, lane: Lane, batch: Batch) -> None:
        """One flush, and what its outcome means."""
        batch.attempts += 1
        try:
            if batch.chunk.count:
                await self.plugin.flush(batch.chunk)
        except Retry as failure:
            self._retry(lane, batch, failure.why, failure.after)
        except Reject as refusal:
            self._refuse(lane, batch, refusal.why)
        except Partial as partial:
            self._partly(lane, batch, partial)
        except Exception as bug:
            trace = "".join(traceback.format_exception(bug))
            self.log.error(
                f"flush failed unexpectedly, {batch.count} events are given up:\n{trace}"
            )
            self._refuse(lane, batch, f"{type(bug).__name__}: {bug}", logged=True)
        else:
            self._succeed(lane, batch)

    def _succeed(self, lane: Lane, batch: Batch) -> None:
        if self.failures:
            self.log.info("deliveries work again")
        self.failures = 0
        self._gate_until = 0.0
        lane.batch = None
        self._end(batch.items)

    def _refuse(self, lane: Lane, batch: Batch, why: str, logged: bool = False) -> None:
        self.book.errors += 1
        if not logged:
            self.log.error(f"{batch.count} events refused: {why}")
        if self._on_refused is not None:
            self._on_refused(batch.chunk, why, batch.attempts)
        lane.batch = None
        self._end(batch.items, rejected=why)

    def _partly(self, lane: Lane, batch: Batch, partial: Partial) -> None:
        """Some events were taken: the refused ones end here, the others to retry stay the lane's batch."""
        refused = 0
        for chunk, why in partial.rejected:
            refused += chunk.count
            self.book.errors += 1
            if self._on_refused is not None:
                self._on_refused(chunk, why, batch.attempts)
        if partial.rejected:
            self.log.error(f"{refused} events refused: {partial.rejected[0][1]}")
        again = partial.retry
        if again is None or not again.count:
            lane.batch = None
            self._end(
                batch.items, refused=refused, rejected=partial.rejected[0][1] if refused else ""
            )
            return
        share = joined_receipt(batch.items)
        disk_bytes = sum(item.disk_bytes for item in batch.items)
        for item in batch.items:
            self.nbytes -= item.nbytes
        gone = batch.count - again.count
        self.book.in_flight -= gone
        self.book.delivered += gone - refused
        if refused:
            self.book.reject(refused, partial.rejected[0][1])
        first, packed = batch.items[0], sum(item.packed for item in batch.items)
        packed_again = packed * again.count // max(1, batch.count)
        route = self._route(first.source)
        route.deliver(gone - refused, packed - packed_again, self._loop.time() - first.born)
        if refused:
            route.drop(refused, 0)
        self.book.delivered_bytes += packed - packed_again
        rest = Item(
            again,
            share,
            again.count,
            again.nbytes,
            again.nbytes,
            disk_bytes,
            first.order,
            first.source,
            first.born,
            packed_again,
        )
        self.nbytes += rest.nbytes
        batch.items, batch.chunk = [rest], again
        self._retry(lane, batch, partial.why, None)

    def _retry(self, lane: Lane, batch: Batch, why: str, after: float | None) -> None:
        limit, settings = self.settings.retry_limit, self.settings
        self.failures += 1
        if limit is not None and batch.attempts > limit:
            self.book.retries_failed += 1
            self.log.error(
                f"{batch.count} events given up after {batch.attempts} tries (retry_limit {limit}): {why}"
            )
            if self._on_refused is not None:
                self._on_refused(batch.chunk, why, batch.attempts)
            lane.batch = None
            self._end(batch.items, dropped="retries exhausted")
            return
        wait = delay(batch.attempts, settings.retry_base, settings.retry_cap)
        if after is not None:
            wait = max(after, 0.0)
        if self._draining:
            wait = min(wait, SHUTDOWN_RETRY_SECONDS)
        self.book.retries += 1
        self.book.retried_records += batch.count
        self.log.warn(
            f"{batch.count} events will be sent again in {wait:.1f} s (try {batch.attempts}): {why}"
        )
        due = self._loop.time() + wait
        lane.state = State.RETRYING
        heapq.heappush(self._retries, (due, next(self._sequence), lane))
        if self.failures >= GATE_AFTER:
            self._gate_until = self._retries[0][0]
        self._wake_at(due)
        self._on_room()

    def _end(
        self, items: list[Item], *, dropped: str = "", rejected: str = "", refused: int = -1
    ) -> None:
        """Close the way of some items; `refused` of their events were refused (default: all if a reason is given)."""
        book, reason, now = self.book, dropped or rejected, self._loop.time()
        for item in items:
            route = self._route(item.source)
            self.nbytes -= item.nbytes
            self.disk_bytes -= item.disk_bytes
            book.in_flight -= item.count
            lost = item.count if reason and refused < 0 else max(0, min(refused, item.count))
            refused -= lost if refused > 0 else 0
            book.delivered += item.count - lost
            lost_bytes = item.packed * lost // item.count if lost else 0
            if lost:
                (book.drop if dropped else book.reject)(lost, reason)
                route.drop(lost, lost_bytes)
            if lost < item.count:
                book.delivered_bytes += item.packed - lost_bytes
                route.deliver(item.count - lost, item.packed - lost_bytes, now - item.born)
            item.receipt.release(lost, reason)
        if self._less is not None and not self._less.done():
            self._less.set_result(None)
        self._on_room()

    def _route(self, source: str) -> RouteBook:
        route = self.book.routes.get(source)
        if route is None:
            route = self.book.routes[source] = RouteBook()
        return route

    # What waits

    def held(self, source: str) -> int:
        """Bytes of one source's events that wait here, in memory or not."""
        return sum(
            lane.nbytes + (sum(item.size for item in lane.batch.items) if lane.batch else 0)
            for lane in self._lanes.values()
            if lane.key[2] == source
        )

    async def wait_for_less(self) -> None:
        """Until the way of some events has ended here."""
        if self._less is None or self._less.done():
            self._less = self._loop.create_future()
        await self._less

    @property
    def waiting_retries(self) -> int:
        """Batches that wait for their next try."""
        return sum(lane.state is State.RETRYING for lane in self._lanes.values())

    def items(self) -> Iterator[Item]:
        """Everything that is here, what is being sent included."""
        for lane in self._lanes.values():
            if lane.batch is not None:
                yield from lane.batch.items
            yield from lane.items

    def waiting_in_memory(self) -> list[Chunk]:
        """The chunks of logs that have no file, once no flush is under way."""
        return [
            item.chunk for item in self.items() if not item.disk_bytes and item.chunk.kind is LOGS
        ]

    def hand_over(self, chunk: Chunk) -> int:
        """A chunk that waits here lies in a file now, for a later run: its way ends. Gives its events."""
        count = 0
        for lane in self._lanes.values():
            batch = lane.batch
            here = [
                item
                for item in (*(batch.items if batch else ()), *lane.items)
                if item.chunk is chunk
            ]
            for item in here:
                if batch is not None and item in batch.items:
                    batch.items.remove(item)
                else:
                    lane.items.remove(item)
                    lane.nbytes -= item.size
                count += item.count
                self.nbytes -= item.nbytes
                self.book.in_flight -= item.count
                self.book.kept += item.count
                item.receipt.release()
        return count

    def pressure(self, source: str) -> tuple[int, int]:
        """Of one source: batches being sent now, and the tries so far of those that wait for a retry."""
        busy = tries = 0
        for lane in self._lanes.values():
            if lane.key[2] != source:
                continue
            busy += lane.state is State.FLUSHING
            if lane.state is State.RETRYING and lane.batch is not None:
                tries += lane.batch.attempts
        return busy, tries

    # The end

    @property
    def is_empty(self) -> bool:
        return not self._lanes and not self._busy

    def drain(self) -> None:
        """From now on flush without waiting for the interval; what waits for a retry is tried at once."""
        self._draining = True
        self._gate_until = 0.0
        for _, _, lane in sorted(self._retries):
            lane.state = State.READY
            self._ready.append(lane)
        self._retries.clear()
        self._wakeup.set()

    def left(self) -> int:
        """Events that were not delivered."""
        return self.book.in_flight


def joined_receipt(items: list[Item]) -> Receipt:
    """One receipt that releases the share that each item holds."""
    receipts = [item.receipt for item in items]

    def settle(receipt: Receipt) -> None:
        for part in receipts:
            part.release(receipt.refused, receipt.reason)
            receipt.refused = 0

    joined = Receipt(settle)
    joined.hold()
    return joined
