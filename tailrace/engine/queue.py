"""One output's own queue: lanes of chunks, flushes, retries, limits.

Nothing here is shared between outputs, so nothing that one output holds can stop another one. Chunks of
one tag from one source form a **lane**; a lane's chunks leave in order, merged up to the output's preferred
size. A lane whose flush failed waits for its retry with its chunks behind it, while other lanes go on; new data for it
brings an early try of its oldest chunk, which does not count. After several failures in a row the breaker opens, so
that a dead server sees one try at a time; once it answers again all that waits goes on at once.
"""

from __future__ import annotations

import asyncio
import heapq
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from tailrace.engine.books import OutputBook, RouteBook
from tailrace.engine.breaker import Breaker
from tailrace.engine.busy import BusyClock, Timed
from tailrace.engine.concurrency import AdaptiveLimit
from tailrace.engine.lane import Batch, Item, Key, Lane, State
from tailrace.engine.retry import delay
from tailrace.engine.ticks import next_beat
from tailrace.engine.tracing import DELIVERED, REFUSED, RETRYING
from tailrace.model import LOGS, Chunk, Receipt
from tailrace.model.chunk import MERGEABLE
from tailrace.plugin import Output, Partial, Reject, Retry
from tailrace.plugin.log import Log, counted

SOFT_LIMIT_BYTES = 3 << 19
"""How much may wait for an output that works; then its inputs wait, which is the normal flow control."""
HARD_LIMIT_BYTES = 64_000_000
"""How much may wait for an output that fails or hangs, unless `queue_limit` says otherwise."""
STUCK_SECONDS = 1.0
"""A flush that takes longer counts as hanging: then the hard limit applies, so that others go on."""
SHUTDOWN_RETRY_SECONDS = 0.5

Refused = Callable[[Chunk, str, int, int, list[Receipt]], None]
"""Takes events that were given up, the reason, the status, the number of tries, and the receipts they belong to."""
Spill = Callable[[Chunk, Receipt], tuple[Chunk, Receipt, int] | None]
"""Writes a chunk to the disk, and holds its receipt until it is durable there: what stands for it in memory, the receipt of that, and bytes on disk; None if it can't be."""


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class QueueSettings:
    """What rules one output's queue; seconds and bytes."""

    flush_interval: float = 1.0
    first_beat: float = 0.0
    """A time of the loop from which flush intervals are counted."""
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
        on_refused: Refused | None = None,
        spill: Spill | None = None,
        busy: BusyClock | None = None,
        name: str = "",
        on_result: Callable[[list[Item], int], None] | None = None,
    ) -> None:
        self.plugin = plugin
        self.settings = settings
        self.book = book
        self.log = log
        self.busy = busy or BusyClock()
        self._key = ("output", name)
        self._on_result = on_result
        self.nbytes = 0
        self.disk_bytes = 0
        self.breaker = Breaker(settings.retry_cap)
        self.concurrency = AdaptiveLimit(settings.workers)
        self._on_room = on_room
        self._prepare = prepare
        self._on_refused = on_refused
        self._spill = spill
        self._lanes: dict[tuple[Key, int], Lane] = {}
        self._ready: deque[Lane] = deque()
        self._waiting: deque[Lane] = deque()
        self._retries: list[tuple[float, int, Lane]] = []
        self._sequence = count()
        self._busy = 0
        self._flush_started: dict[int, float] = {}
        self._wakeup = asyncio.Event()
        self._draining = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
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
        return not self.is_behind

    @property
    def is_behind(self) -> bool:
        """Whether the output fails or hangs, so that others must not wait for it."""
        return self.breaker.failures > 0 or self._is_stuck()

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
        if not self.breaker.is_closed:
            item.rest()
        if self._make_room(item):
            self._line_up((chunk.tag, chunk.kind, source), item)

    def _line_up(self, key: Key, item: Item) -> None:
        lane = self._lane_for(key)
        lane.items.append(item)
        lane.nbytes += item.size
        lane.urgent = lane.urgent or item.receipt.urgent
        if lane.state is State.IDLE:
            self._wait_for_flush(lane)
        if lane.state is State.WAITING and self._is_due_early(lane):
            self._make_ready(lane)
        elif lane.state is State.RETRYING:
            self._probe_soon(lane)

    def _lane_for(self, key: Key) -> Lane:
        """Where an item of this key goes: to the first lane that is not being sent or full, else to the shortest."""
        lanes: list[Lane] = []
        for number in range(self.settings.workers):
            lane = self._lanes.get((key, number))
            if lane is None:
                lane = self._lanes[key, number] = Lane(key, number=number)
                return lane
            if lane.state is not State.FLUSHING and lane.nbytes < self.plugin.preferred_bytes:
                return lane
            lanes.append(lane)
        return min(lanes, key=lambda lane: lane.nbytes)

    def release_waiting(self) -> list[tuple[Key, Item]]:
        """Take out everything that is not being sent right now, in order; the books go on counting it as in flight."""
        released: list[tuple[Key, Item]] = []
        for lane in list(self._lanes.values()):
            items: list[Item] = []
            if lane.state is not State.FLUSHING:
                if lane.batch is not None:
                    items += lane.batch.items
                    lane.batch = None
                lane.state = State.IDLE
                del self._lanes[lane.key, lane.number]
            items += lane.items
            lane.items.clear()
            lane.nbytes = 0
            released += [(lane.key, item) for item in items]
        for _, item in released:
            self.nbytes -= item.nbytes
            self.disk_bytes -= item.disk_bytes
        self._ready.clear()
        self._waiting.clear()
        self._retries.clear()
        return sorted(released, key=lambda pair: pair[1].order)

    def take_over(self, released: list[tuple[Key, Item]]) -> None:
        """Take in what another queue of the same output has released."""
        for key, item in released:
            item.order = next(self._sequence)
            self.nbytes += item.nbytes
            self.disk_bytes += item.disk_bytes
            self._line_up(key, item)

    def give_up(self, item: Item, reason: str) -> None:
        """Drop an item that was released, counted."""
        self.nbytes += item.nbytes
        self.disk_bytes += item.disk_bytes
        self._end([item], dropped=reason)

    def forget(self, item: Item, settle: bool) -> int:
        """End with an item that was released: others have it now (`settle`), or its file waits for a later run. Its events."""
        self.book.in_flight -= item.count
        self.book.kept += item.count
        if settle:
            item.receipt.release()
        return item.count

    def hurry(self, source: str) -> None:
        """Flush what waits of one source without waiting for the interval; retries keep their times."""
        for lane in self._lanes.values():
            if lane.key[2] == source:
                lane.urgent = True
                if lane.state is State.WAITING:
                    self._make_ready(lane)

    @property
    def is_flushing(self) -> bool:
        return self._busy > 0

    def _make_room(self, item: Item) -> bool:
        """Apply the policy of a full queue; False if the item itself had to go."""
        settings = self.settings
        while settings.disk_limit and self.disk_bytes > settings.disk_limit:
            if not self.drop_oldest("storage.total_limit_size"):
                break
        if settings.when_full == "block" or self.nbytes <= settings.hard_limit:
            return True
        if settings.when_full == "overflow":
            self._overflow(item)
        elif settings.when_full == "drop_newest":
            self._end([item], dropped="queue full")
            return False
        else:
            while self.nbytes > settings.hard_limit and self.drop_oldest("queue full"):
                pass
        return True

    def _overflow(self, item: Item) -> None:
        """Let an item wait on the disk; its receipt is settled then. If the disk won't take it, it stays in memory."""
        if item.disk_bytes or self._spill is None:
            return
        spilled = self._spill(item.chunk, item.receipt)
        if spilled is None:
            return
        durable = item.receipt
        self.nbytes -= item.nbytes
        item.chunk, item.receipt, item.disk_bytes = spilled
        item.nbytes = item.chunk.nbytes
        self.nbytes += item.nbytes
        self.disk_bytes += item.disk_bytes
        item.receipt.hold()
        durable.release()

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
            gone = lane.batch.drop_oldest()
            if not lane.batch.items:
                lane.batch = None
        else:
            gone = lane.items.popleft()
            lane.nbytes -= gone.size
        self.log.error(f"{counted(gone.count, 'event')} given up to make room: {reason}")
        self._end([gone], dropped=reason)
        return True

    def _is_due_early(self, lane: Lane) -> bool:
        return lane.urgent or self._draining or lane.nbytes >= self.plugin.preferred_bytes

    def _wait_for_flush(self, lane: Lane) -> None:
        lane.state = State.WAITING
        settings = self.settings
        lane.due = next_beat(self._loop.time(), settings.first_beat, settings.flush_interval)
        self._waiting.append(lane)
        self._wake_at(lane.due)

    def _probe_soon(self, lane: Lane) -> None:
        """New data came for a lane that waits for its retry: try earlier, as new data would be."""
        when = self._loop.time() + self.settings.flush_interval
        if when < lane.due:
            self._push_retry(lane, when)

    def _push_retry(self, lane: Lane, when: float) -> None:
        lane.turn = next(self._sequence)
        heapq.heappush(self._retries, (when, lane.turn, lane))
        self._wake_at(when)

    def _make_ready(self, lane: Lane) -> None:
        lane.state = State.READY
        self._ready.append(lane)
        self._wakeup.set()

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            if self._timer_due <= when:
                return
            self._timer.cancel()
        # Its own note of the time: a handle of uvloop for a time that has passed knows none.
        self._timer, self._timer_due = self._loop.call_at(when, self._on_timer), when

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
        if self._busy >= self.concurrency.now:
            return None
        if not self.breaker.may_start(now, self._busy):
            if self.breaker.open_until > now:
                self._wake_at(self.breaker.open_until)
            return None
        while self._ready:
            lane = self._ready.popleft()
            if lane.items or lane.batch:
                return self._begin(lane)
            self._forget(lane)
        if self._retries and not (self.breaker.is_closed or self._draining):
            return self._begin(self._pop_retry())  # the breaker's own try, before its time
        return None

    def _begin(self, lane: Lane) -> Lane:
        lane.state = State.FLUSHING
        self._busy += 1
        return lane

    def _pop_retry(self) -> Lane:
        lane = heapq.heappop(self._retries)[2]
        self._drop_void_retries()
        return lane

    def _drop_void_retries(self) -> None:
        retries = self._retries
        while retries and (
            retries[0][1] != retries[0][2].turn or retries[0][2].state is not State.RETRYING
        ):
            heapq.heappop(retries)

    def _collect_due(self, now: float) -> None:
        waiting = self._waiting
        while waiting and (
            self._draining or waiting[0].due <= now or waiting[0].state is not State.WAITING
        ):
            lane = waiting.popleft()
            if lane.state is State.WAITING:
                lane.state = State.READY
                self._ready.append(lane)
        self._drop_void_retries()
        while self._retries and self._retries[0][0] <= now:
            lane = self._pop_retry()
            lane.state = State.READY
            self._ready.append(lane)
            self._drop_void_retries()
        nexts = ([waiting[0].due] if waiting else []) + (
            [self._retries[0][0]] if self._retries else []
        )
        if nexts:
            self._wake_at(min(nexts))

    def _forget(self, lane: Lane) -> None:
        lane.state = State.IDLE
        self._lanes.pop((lane.key, lane.number), None)

    def _take(self, lane: Lane) -> list[Item]:
        """The next chunks of a lane, up to the preferred size."""
        plugin, items = self.plugin, lane.items
        taken = [items.popleft()]
        size = taken[0].size
        mergeable = taken[0].chunk.kind in MERGEABLE and not plugin.keeps_chunks
        while mergeable and items and size + items[0].size <= plugin.preferred_bytes:
            if items[0].is_rest != taken[0].is_rest:
                break  # processors have seen what is left of a batch
            size += items[0].size
            taken.append(items.popleft())
        lane.nbytes -= size
        return taken

    def _open_batch(self, batch: Batch) -> Chunk | None:
        """The batch's chunk; None, with its items counted as lost, if their file can't be read any more."""
        try:
            chunk = batch.merge()
            if self._prepare is not None and not batch.items[0].is_rest:
                chunk = self._prepare(chunk)
        except (OSError, ValueError) as error:
            if self._take_out_unreadable(batch):
                return self._open_batch(batch) if batch.items else None
            self.log.error(f"{batch.count} events can't be made ready: {error}")
            self._end(batch.items, rejected="storage can't be read")
            return None
        batch.chunk = chunk
        return chunk

    def _take_out_unreadable(self, batch: Batch) -> bool:
        """Leave out the items that can't be read, so that they don't cost the others; their files stay. Whether there are any."""
        found = False
        for item in list(batch.items):
            try:
                item.chunk.unopened().open()
            except (OSError, ValueError) as error:
                found = True
                batch.items.remove(item)
                self.log.error(f"{item.count} events can't be read back from storage: {error}")
                if not item.disk_bytes:
                    self._end([item], rejected="storage can't be read")
                    continue
                self.nbytes -= item.nbytes
                self.disk_bytes -= item.disk_bytes
                self.book.in_flight -= item.count
                self.book.reject(item.count, "storage can't be read")
        self._tell_room()
        return found

    async def _flush(self, lane: Lane) -> None:
        flush_id = next(self._sequence)
        self._flush_started[flush_id] = self._loop.time()
        try:
            if lane.batch is None and lane.items:  # a worker may begin after they were taken away
                lane.batch = Batch(self._take(lane))
            batch = lane.batch
            chunk = (batch.chunk or self._open_batch(batch)) if batch is not None else None
            if batch is None or chunk is None:
                lane.batch = None
            else:
                await self._try(lane, batch, chunk)
        finally:
            del self._flush_started[flush_id]
            self._busy -= 1
            self._go_on(lane)
            self._wakeup.set()

    def _go_on(self, lane: Lane) -> None:
        if lane.state is State.RETRYING:
            return
        if lane.batch is not None:  # cancelled in the middle
            self._make_ready(lane)
        elif not lane.items:
            lane.urgent = False
            self._forget(lane)
        elif self._is_due_early(lane) or lane.items[0].born <= lane.due <= self._loop.time():
            self._make_ready(lane)  # the latter: more than one flush takes was due
        else:
            self._wait_for_flush(lane)

    async def _try(self, lane: Lane, batch: Batch, chunk: Chunk) -> None:
        """One flush, and what its outcome means."""
        began = self._loop.time()
        counts = not batch.attempts or began >= lane.due or self._draining
        batch.attempts += counts
        try:
            if chunk.count:
                await Timed(self.busy, self._key, self.plugin.flush(chunk))
        except Retry as failure:
            self._tell(batch.items, RETRYING)
            self._retry(lane, batch, failure, counts)
        except Reject as refusal:
            self._tell(batch.items, REFUSED)
            self._refuse(lane, batch, chunk, refusal.why, refusal.status)
        except Partial as partial:
            self._tell(batch.items, RETRYING if partial.retry else REFUSED)
            self._partly(lane, batch, partial, counts)
        except OSError as error:  # of the network or the disk: it may pass
            self._tell(batch.items, RETRYING)
            self._retry(lane, batch, Retry(f"{type(error).__name__}: {error}"), counts)
        except Exception as bug:
            trace = "".join(traceback.format_exception(bug))
            self.log.error(
                f"flush failed unexpectedly, {batch.count} events are given up:\n{trace}"
            )
            self._refuse(lane, batch, chunk, f"{type(bug).__name__}: {bug}", logged=True)
        else:
            self._tell(batch.items, DELIVERED)
            self._succeed(lane, batch, self._loop.time() - began)

    def _tell(self, items: list[Item], result: int) -> None:
        if self._on_result is not None:
            self._on_result(items, result)

    def _succeed(self, lane: Lane, batch: Batch, seconds: float) -> None:
        self.concurrency.succeed(seconds)
        self._note_answer()
        lane.batch = None
        self._end(batch.items)

    def _note_answer(self) -> None:
        """The destination is there: after failures everything that waits for it is tried at once."""
        if self.breaker.is_closed:
            self.breaker.succeed()
            return
        self.breaker.succeed()
        self.log.info("deliveries work again")
        self._make_retries_ready()

    def _make_retries_ready(self) -> None:
        for _, turn, lane in sorted(self._retries):
            if lane.state is State.RETRYING and turn == lane.turn:
                self._make_ready(lane)
        self._retries.clear()

    def _refuse(
        self,
        lane: Lane,
        batch: Batch,
        chunk: Chunk,
        why: str,
        status: int = 0,
        logged: bool = False,
    ) -> None:
        self.book.errors += 1
        if not logged:
            self.log.error(f"{counted(batch.count, 'event')} refused: {why}")
            self._note_answer()
        self._give_away(batch, chunk, why, status)
        lane.batch = None
        self._end(batch.items, rejected=why)

    def _give_away(self, batch: Batch, chunk: Chunk, why: str, status: int) -> None:
        if self._on_refused is not None:
            receipts = [item.receipt for item in batch.items]
            self._on_refused(chunk, why, status, batch.attempts, receipts)

    def _partly(self, lane: Lane, batch: Batch, partial: Partial, counts: bool) -> None:
        """Some events were taken: the refused ones end here, the others to retry stay the lane's batch."""
        refused = 0
        for refusal in partial.rejected:
            refused += refusal.chunk.count
            self.book.errors += 1
            self._give_away(batch, refusal.chunk, refusal.why, refusal.status)
        why = partial.rejected[0].why if refused else ""
        if refused:
            self.log.error(f"{counted(refused, 'event')} refused: {why}")
        again = partial.retry
        if again is None or not again.count:
            self._note_answer()
            lane.batch = None
            self._end(batch.items, refused=refused, rejected=why)
            return
        if again.count < batch.count:
            self._note_answer()
        share = joined_receipt(batch.items)
        disk_bytes = sum(item.disk_bytes for item in batch.items)
        first = batch.items[0]
        for item in batch.items:
            self.nbytes -= item.nbytes
        gone = batch.count - again.count
        self.book.in_flight -= gone
        self.book.delivered += gone - refused
        if refused:
            self.book.reject(refused, why)
        packed = sum(item.packed for item in batch.items)
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
            is_rest=True,
        )
        self.nbytes += rest.nbytes
        batch.items, batch.chunk = [rest], again
        self._retry(lane, batch, Retry(partial.why, partial.after, partial.status), counts)

    def _retry(self, lane: Lane, batch: Batch, failure: Retry, counts: bool) -> None:
        limit, settings, now = self.settings.retry_limit, self.settings, self._loop.time()
        self.concurrency.fail()
        opened = self.breaker.fail(now, failure.after)
        if self._draining:
            self.breaker.let_through()
        if limit is not None and batch.attempts > limit:
            self._give_up(lane, batch, failure)
            return
        if counts:
            wait = delay(batch.attempts, settings.retry_base, settings.retry_cap)
            if failure.after is not None:
                wait = max(failure.after, 0.0)
            if self._draining:
                wait = min(wait, SHUTDOWN_RETRY_SECONDS)
            lane.due = now + wait
            self.book.wait(wait)
            self.log.warn(
                f"{counted(batch.count, 'event')} will be sent again in {wait:.1f} s (try {batch.attempts}): {failure.why}"
            )
        if opened:
            for item in self.items():
                item.rest()
            self.log.warn(
                f"{self.breaker.failures} failures in a row: one try at a time until it answers again"
            )
        self.book.retries += 1
        self.book.retried_records += batch.count
        batch.rest(keeps_chunk=self._prepare is not None)
        lane.state = State.RETRYING
        self._push_retry(lane, lane.due)
        self._on_room()

    def _give_up(self, lane: Lane, batch: Batch, failure: Retry) -> None:
        if self.settings.retry_limit != 0:
            self.book.retries_failed += 1
        self.log.error(
            f"{counted(batch.count, 'event')} given up after {batch.attempts} tries "
            f"(retry_limit {self.settings.retry_limit}): {failure.why}"
        )
        if batch.chunk is not None:
            self._give_away(batch, batch.chunk, failure.why, failure.status)
        lane.batch = None
        self._end(batch.items, dropped="retries exhausted")

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
                route.drop(lost if item.chunk.kind is LOGS else 0, lost_bytes)
            if lost < item.count:
                book.delivered_bytes += item.packed - lost_bytes
                routed = item.count - lost if item.chunk.kind is LOGS else 0
                route.deliver(routed, item.packed - lost_bytes, now - item.born)
            item.receipt.release(lost, reason)
        self._tell_room()

    def _tell_room(self) -> None:
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

    def oldest_age(self) -> float:
        """Seconds that the oldest chunk has waited here; 0 if none does."""
        now = self._loop.time()
        return max((now - item.born for item in self.items()), default=0.0)

    async def wait_for_less(self) -> None:
        """Until the way of some events has ended here."""
        if self._less is None or self._less.done():
            self._less = self._loop.create_future()
        await self._less

    @property
    def waiting_retries(self) -> int:
        """Batches that wait for their next try."""
        return sum(lane.state is State.RETRYING for lane in self._lanes.values())

    def in_hand(self) -> Iterator[Item]:
        """What is being sent, or waits for its next try."""
        for lane in self._lanes.values():
            if lane.batch is not None:
                yield from lane.batch.items

    def items(self) -> Iterator[Item]:
        """Everything that is here, what is being sent included."""
        for lane in self._lanes.values():
            if lane.batch is not None:
                yield from lane.batch.items
            yield from lane.items

    def waiting_in_memory(self) -> list[Chunk]:
        """The chunks that have no file of their own, once no flush is under way."""
        return [item.chunk for item in self.items() if item.is_rest or not item.disk_bytes]

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
                self.disk_bytes -= item.disk_bytes
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
        self.breaker.let_through()
        self._make_retries_ready()
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
