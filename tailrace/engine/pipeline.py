"""A running pipeline: inputs, filters, router, one queue per output, and the books.

input ──emit──▶ processors ▶ filters ▶ router ──▶ queue of each matching output ──▶ flush ──▶ receipt
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tailrace.config.errors import ConfigError, InvalidConfiguration, Problems
from tailrace.engine.books import Books, FilterBook, InputBook, RouteBook
from tailrace.engine.build import Instance, Plan
from tailrace.engine.busy import BusyClock, Timed
from tailrace.engine.lane import Item
from tailrace.engine.making import Maker
from tailrace.engine.memory import MemoryBudget
from tailrace.engine.ports import InputPort, OutputPort, Source, Tables, Tap
from tailrace.engine.retiring import Retirement
from tailrace.engine.router import parts_of
from tailrace.engine.steps import FilterStep, apply_step, apply_steps, traced_step
from tailrace.engine.ticks import process_age
from tailrace.engine.tracing import PRE_OUTPUT, Trace, Tracer
from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk, Receipt
from tailrace.plugin.log import Log
from tailrace.wire.size import packed_size

if TYPE_CHECKING:
    from tailrace.engine.persistence import Persistence
    from tailrace.engine.storage import Storage
    from tailrace.plugin.dead_letters import DeadLetters
    from tailrace.wire.chunkfile import ChunkFile

MAX_CHUNKS_UP = 128
"""What 0 means for `storage.max_chunks_up`."""
MOST_HOPS = 16
"""How often filters may put an event into the pipeline anew before they are passed over."""
RECHECK_SECONDS = 0.5
QUEUE_RESTART_SECONDS = 1.0
LINE_PADDING = 8
"""Bytes by which Fluent Bit writes an event of a raw line longer than need be."""


class Pipeline:
    """Everything between the inputs of one configuration and its outputs."""

    def __init__(self, plan: Plan, log: Log, storage: Storage | None = None) -> None:
        self.plan = plan
        self.tables = Tables(plan)
        self.storage = storage
        self.log = log
        self.books = Books()
        self.tag_records = plan.services.options.telemetry
        self.taps: list[Tap] = []
        """Called with each chunk that came through the filters (stream processor)."""
        self.on_close: list[Callable[[], None]] = []
        """Called when the pipeline closes."""
        self.busy = BusyClock()
        self.tracers: dict[str, Tracer] = {}
        """Who traces the chunks of an input, by its name."""
        self._loop = asyncio.get_running_loop()
        self.first_beat = self._loop.time() - process_age()
        self._pending: deque[tuple[Chunk, Source]] = deque()
        self.backlog = Source(f"storage_backlog.{len(plan.inputs)}")
        self.dead_letters = self._make_dead_letters()
        self.budget = MemoryBudget(
            plan.services.options.memory_limit,
            lambda: sum(port.queue.nbytes for port in self.outputs),
            lambda: (item.chunk for port in self.outputs for item in port.queue.items()),
            self._loop.time,
            lambda: self.held_bytes,
        )
        self.persistence = self._make_persistence(storage) if storage is not None else None
        self._ingesting = False
        self._room: asyncio.Future[None] | None = None
        self._input_tasks: dict[asyncio.Task[None], InputPort] = {}
        self._queue_tasks: list[asyncio.Task[None]] = []
        self._started: list[Instance] = []
        self.retirement = Retirement(self)
        self.maker = Maker(self)
        self.use(self.maker.tables(plan))
        if storage is not None:
            self.books.inputs[self.backlog.name] = InputBook()

    # Making

    def _make_dead_letters(self) -> DeadLetters | None:
        service = self.plan.services.options
        if not service.storage_keep_rejected:
            return None
        if self.storage is None:
            self.log.warn("[dead letters] storage.keep.rejected does nothing without storage.path")
            return None
        folder = self.storage.path / service.storage_rejected_path
        from tailrace.plugin.dead_letters import DeadLetters

        return DeadLetters(folder, service.storage_rejected_limit, self.log)

    def _make_persistence(self, storage: Storage) -> Persistence:
        from tailrace.engine.persistence import Persistence

        service = self.plan.services.options
        return Persistence(
            storage,
            self.log,
            most_in_memory=service.storage_max_chunks_up or MAX_CHUNKS_UP,
            backlog_limit=service.storage_backlog_mem_limit,
            on_room=self.on_room,
        )

    def use(self, tables: Tables) -> None:
        """From now on chunks go by these tables."""
        self.tables = tables
        self.plan = tables.plan
        self.inputs, self.outputs, self.steps = tables.inputs, tables.outputs, tables.steps
        self._filters_by_tag, self.outputs_by_tag = tables.filters_by_tag, tables.outputs_by_tag
        self.outputs_by_name = {port.name: port for port in tables.outputs}
        self._input_steps = tables.input_steps
        for port in tables.inputs:
            port.source.routes = tables.plan.routes.get(port.name, [])
        for output in tables.outputs:
            output.queue.settings = self.maker.queue_settings(
                output.instance, tables.plan.services.options
            )

    # The way of a chunk

    def ingest(self, chunk: Chunk, port: InputPort) -> None:
        """Count a chunk, take it through processors and filters, and queue it at its outputs. Never waits."""
        book = port.book
        chunk.padding = LINE_PADDING if chunk.is_raw else port.padding or chunk.padding
        chunk.measured = packed_size(chunk)
        book.records += chunk.count
        book.bytes += chunk.measured
        book.in_flight_bytes += chunk.nbytes
        if port.counts_tags:
            self._count_tag(chunk, port.name)
        self._hold(chunk, book)
        chunk.stream = port.name, chunk.stream
        if steps := self._input_steps[port.name]:
            count, size = chunk.count, chunk.measured
            chunk = apply_steps(chunk, steps)
            book.record_change += chunk.count - count
            book.byte_change += (chunk.measured if chunk.count else 0) - size
        if port.source.routes and chunk.count:
            self._part(chunk, port.source)
        else:
            self._pending.append((chunk, port.source))
        self._work_off()

    def _part(self, chunk: Chunk, source: Source) -> None:
        """Decide by conditions where events go, before filters change them; the parts follow one after another."""
        parts = parts_of(chunk, source, self.log)
        if len(parts) > 1:
            chunk.receipt.hold(len(parts) - 1)
        for part in parts:
            part.measured = packed_size(part)
            self._pending.append((part, source))

    @property
    def held_bytes(self) -> int:
        """What inputs hold of messages that are not whole."""
        return sum(port.instance.plugin.held_bytes for port in self.inputs)

    def _count_tag(self, chunk: Chunk, name: str) -> None:
        if chunk.kind is LOGS:
            limits = self.tag_records
            most, longest = limits.max_series, limits.max_tag_length
            self.books.tags.add(name, chunk.tag, chunk.count, most, longest)

    def _hold(self, chunk: Chunk, book: InputBook) -> None:
        """Put the engine's receipt before the input's: it counts what is in flight."""
        theirs, nbytes, packed = chunk.receipt, chunk.nbytes, chunk.measured
        book.held_bytes += packed
        book.held_chunks += 1
        if theirs is not None:
            theirs.hold()

        def settle(receipt: Receipt) -> None:
            book.in_flight_bytes -= nbytes
            book.held_bytes -= packed
            book.held_chunks -= 1
            self.on_room()
            if theirs is not None:
                theirs.release(receipt.refused, receipt.reason)

        chunk.receipt = Receipt(settle, urgent=theirs is not None and theirs.urgent)
        chunk.receipt.hold()

    def comes_from_stored(self, chunk: Chunk) -> bool:
        """Whether the input of these events has `storage.type filesystem`."""
        if type(chunk.stream) is not tuple:
            return False
        name = chunk.stream[0]
        return any(port.source.is_stored for port in self.inputs if port.name == name)

    def emit_again(self, chunk: Chunk, emitter: Source, book: FilterBook) -> None:
        """A filter puts events into the pipeline anew; they follow when the present chunk is through."""
        chunk.measured = packed_size(chunk)
        book.emitted += chunk.count
        book.emitted_bytes += chunk.measured
        if self.tag_records.enabled:
            self._count_tag(chunk, emitter.name)
        chunk.hops += 1
        if chunk.stream is None:
            chunk.stream = emitter.name, None
        if chunk.receipt is None:
            chunk.receipt = Receipt()
        chunk.receipt.hold()
        self._pending.append((chunk, emitter))
        self._work_off()

    def inject(
        self, chunk: Chunk, name: str, /, *, routable: bool = True, is_stored: bool = False
    ) -> None:
        """Take events that something beside the inputs made, under a source's name (stream processor)."""
        book = self.books.inputs.setdefault(name, InputBook())
        chunk.measured = packed_size(chunk)
        book.records += chunk.count
        book.bytes += chunk.measured
        chunk.hops += 1
        if chunk.receipt is None:
            chunk.receipt = Receipt()
        chunk.receipt.hold()
        stored = self.storage is not None and (is_stored or self.comes_from_stored(chunk))
        source = Source(name, routable, is_stored=stored)
        self._pending.append((chunk, source))
        self._work_off()

    def _work_off(self) -> None:
        if self._ingesting:
            return
        self._ingesting = True
        try:
            while self._pending:
                self._pass_on(*self._pending.popleft())
        finally:
            self._ingesting = False

    def _pass_on(self, chunk: Chunk, source: Source) -> None:
        """Filters, taps, outputs; then the share that was held for the way ends."""
        receipt = chunk.receipt
        if chunk.hops <= MOST_HOPS:
            trace = self._begin_trace(chunk, source) if self.tracers else None
            for step in self._filters_by_tag.find(chunk.tag):
                if not chunk.count:
                    break
                if trace is None:
                    chunk = apply_step(chunk, step)
                else:
                    chunk = traced_step(chunk, step, trace)
            if trace is not None and chunk.count:
                trace.tell_input(PRE_OUTPUT, chunk)
                chunk.trace = trace
        else:
            self.log.error(
                f"filters emit events of tag '{chunk.tag}' again and again; they pass the filters now"
            )
        if chunk.count:
            self.books.passed += chunk.count
            if chunk.hops <= MOST_HOPS:
                for tap in self.taps:
                    tap(chunk, source)
            self._route(chunk, source, receipt)
        receipt.release()

    def _begin_trace(self, chunk: Chunk, source: Source) -> Trace | None:
        tracer = self.tracers.get(source.name)
        if tracer is None:
            return None
        trace = tracer.begin(chunk)
        if tracer.is_over:
            del self.tracers[source.name]
        return trace

    def tell_traces(self, instance: Instance, items: list[Item], result: int) -> None:
        for item in items:
            if item.chunk.trace is not None:
                item.chunk.trace.tell_output(instance, result)

    def _route(self, chunk: Chunk, source: Source, receipt: Receipt) -> None:
        names = chunk.routed
        targets = tuple(
            self.outputs_by_name[name] for name in names if name in self.outputs_by_name
        )
        self._queue(chunk, targets or self._targets(chunk.tag, source), source, receipt, names)

    def _targets(self, tag: str, source: Source) -> tuple[OutputPort, ...]:
        return self.outputs_by_tag.find(tag) if source.routable else ()

    def _queue(
        self,
        chunk: Chunk,
        targets: tuple[OutputPort, ...],
        source: Source,
        receipt: Receipt,
        named: tuple[str, ...] = (),
    ) -> None:
        """Put a chunk into the queues of its outputs; on disk first if its source is stored."""
        wanted = [target for target in targets if chunk.kind in target.handles]
        if not wanted:
            self.books.unrouted += chunk.count
            if chunk.kind is LOGS:
                book = self.books.unmatched.setdefault(source.name, RouteBook())
                book.drop(chunk.count, chunk.measured or packed_size(chunk))
            return
        packed = chunk.measured = chunk.measured or packed_size(chunk)
        disk = self.persistence if source.is_stored else None
        if disk is not None and disk.queue(chunk, wanted, source, receipt, named):
            return
        for target in wanted:
            target.queue.put(chunk, receipt, source.name, packed=packed)

    async def _feed_backlog(self, persistence: Persistence) -> None:
        """Queue what earlier runs left on disk, as memory allows."""
        from tailrace.engine.persistence import Backlog

        def on_found(count: int) -> None:
            self.books.inputs[self.backlog.name].records += count
            self.books.passed += count

        try:
            await persistence.feed_backlog(
                self.outputs, Backlog(persistence, self.backlog, self._backlog_targets, on_found)
            )
        except Exception as bug:  # told, since nobody waits for this task
            trace = "".join(traceback.format_exception(bug))
            self.log.error(f"[storage] the backlog waits for the next start:\n{trace}")

    def _backlog_targets(self, file: ChunkFile) -> list[OutputPort]:
        named = [self.outputs_by_name[name] for name in file.routes if name in self.outputs_by_name]
        kind = (LOGS, METRICS, TRACES, PROFILES)[file.kind]
        return [
            port for port in named or self.outputs_by_tag.find(file.tag) if kind in port.handles
        ]

    # Flow control

    def make_room_for(self, port: InputPort) -> None:
        """`storage.type memrb`: give up the oldest chunks of an input until it is under its limit."""
        while port.over_limit:
            dropped = [each.queue.drop_oldest("memrb full", port.name) for each in self.outputs]
            port.ring_drops += sum(dropped)
            if not any(dropped):
                return

    @property
    def busy_seconds(self) -> dict[tuple[str, str], float]:
        """Seconds that the event loop spent in each instance, by kind and name."""
        return self.busy.seconds

    @property
    def loaded_chunks(self) -> int:
        """Chunks that lie on disk and in memory as well."""
        return self.persistence.in_memory if self.persistence is not None else 0

    def measure(self) -> None:
        """Let instances set gauges that are only worth it when somebody looks."""
        for instance in self.plan.instances():
            try:
                instance.plugin.measure()
            except Exception as error:
                instance.context.log.error(f"can't measure: {type(error).__name__}: {error}")

    def pressure_of(self, source: str) -> tuple[int, int]:
        """Of one source, over all outputs: batches being sent, and tries of those that wait for a retry."""
        pressures = [port.queue.pressure(source) for port in self.outputs]
        return sum(busy for busy, _ in pressures), sum(tries for _, tries in pressures)

    @property
    def is_full(self) -> bool:
        return any(port.queue.is_full for port in self.outputs) or self.budget.is_spent

    @property
    def disk_is_full(self) -> bool:
        """The filesystem storage takes nothing at present."""
        return self.persistence is not None and self.persistence.failing

    def on_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def wait_for_room(self) -> None:
        """Until something has left a queue, or a little while (a queue may count as stuck by then)."""
        if self._room is None or self._room.done():
            self._room = self._loop.create_future()
        await asyncio.wait({self._room}, timeout=RECHECK_SECONDS)

    # Life

    async def start(self) -> None:
        """Start outputs, filters, then inputs; `InvalidConfiguration` if one can't."""
        plan = self.plan
        plan.services.running = True
        order = [*plan.outputs, *plan.filters, *plan.customs]
        processors = [each for owner in (*plan.inputs, *plan.outputs) for each in owner.processors]
        try:
            for instance in (*processors, *order, *plan.inputs):
                await self.start_one(instance)
        except InvalidConfiguration:
            await self.close()
            raise
        for instance in self._started:
            instance.context.begin()
        for port in self.outputs:
            self.run_queue(port)
        if self.persistence is not None:
            feeding = self._feed_backlog(self.persistence)
            self._queue_tasks.append(self._loop.create_task(feeding, name="backlog"))
        for input_port in self.inputs:
            self.begin_input(input_port)

    def run_queue(self, port: OutputPort) -> None:
        port.task = self._loop.create_task(self._run_queue(port), name=port.name)
        self._queue_tasks.append(port.task)

    def begin_input(self, port: InputPort) -> None:
        task = self._loop.create_task(self._run_input(port), name=port.name)
        self._input_tasks[task] = port

    async def start_one(self, instance: Instance) -> None:
        self._started.append(instance)
        try:
            await instance.plugin.start()
        except (ConfigError, OSError) as error:
            problems = Problems()
            what, mend = (
                (error.what, error.mend) if isinstance(error, ConfigError) else (str(error), "")
            )
            problems.add(
                what,
                mend=mend,
                place=instance.section.place,
                where=f"{instance.kind} {instance.context.plugin} ({instance.name})",
                exit_code=255,
            )
            raise InvalidConfiguration(problems) from error

    def forget_queue(self, port: OutputPort) -> None:
        """Its task has ended."""
        assert port.task is not None
        self._queue_tasks.remove(port.task)

    async def _run_queue(self, port: OutputPort) -> None:
        """Run one output's queue; a mistake of ours in it must not end the output for good."""
        while True:
            try:
                await port.queue.run()
                return
            except Exception as error:
                trace = "".join(traceback.format_exception(error))
                port.instance.context.log.error(f"its queue failed, it starts again:\n{trace}")
                await asyncio.sleep(QUEUE_RESTART_SECONDS)

    async def _run_input(self, port: InputPort) -> None:
        """Run one input; when it fails, say so and start it anew after a while."""
        wait = 1.0
        while True:
            try:
                await Timed(self.busy, ("input", port.name), port.instance.plugin.run(port.emit))
                return
            except Exception as error:
                trace = "".join(traceback.format_exception(error))
                port.instance.context.log.error(
                    f"stopped unexpectedly, starts again in {wait:.0f} s:\n{trace}"
                )
                await asyncio.sleep(wait)
                wait = min(wait * 2, 60.0)

    # Reload

    async def end_input(self, port: InputPort, grace: float) -> Any:
        """Let one input end; gives what it hands over.

        What it has emitted, and what its processors hold back, is delivered first, within `grace` seconds, so that its
        successor begins behind it.
        """
        tasks = [task for task, each in self._input_tasks.items() if each is port]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            self._input_tasks.pop(task, None)
        for step in self._input_steps.get(port.name, ()):
            self.drain_filter(step)
        end = self._loop.time() + grace
        while port.book.held_chunks and self._loop.time() < end:
            for output in self.outputs:
                output.queue.hurry(port.name)
            await self.wait_for_room()
        if port.book.held_chunks:
            port.instance.context.log.warn(
                f"{port.book.held_chunks} chunks are not delivered yet; what replays may send them again"
            )
        state = port.instance.plugin.hand_over()
        await self.end_instance(port.instance)
        return state

    async def end_instance(self, instance: Instance) -> None:
        """Stop an instance with its processors."""
        for each in (instance, *instance.processors):
            if each in self._started:
                self._started.remove(each)
                await self.stop_one(each)

    async def stop(self, grace: float | None) -> int:
        """Stop reading, flush within `grace` seconds (None: as long as it takes); events that are left."""
        await self._stop_inputs()
        for step in self.steps_that_may_hold():
            self.drain_filter(step)
        for port in (*self.outputs, *self.retirement.ports):
            port.queue.drain()
        await self._wait_until_empty(grace)
        await self._stop_queues()
        if self.persistence is not None and (kept := self.persistence.keep(self.outputs)):
            self.log.info(
                f"[storage] {kept} events that memory held are kept in {self.persistence.storage.path} for the next start"
            )
        left = sum(book.in_flight for book in self.books.outputs.values())
        await self.close()
        return left

    async def _stop_inputs(self) -> None:
        tasks = list(self._input_tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._input_tasks.clear()

    def steps_that_may_hold(self) -> list[FilterStep]:
        """The processors of inputs, then the filters: in this order they give out what they hold back."""
        return [*(step for steps in self._input_steps.values() for step in steps), *self.steps]

    def drain_filter(self, step: FilterStep) -> None:
        drain = getattr(step.instance.plugin, "drain", None)
        if drain is None:
            return
        for chunk in drain():
            step.instance.context.emit(chunk)

    async def _wait_until_empty(self, grace: float | None) -> None:
        end = None if grace is None else self._loop.time() + grace
        while self._waits_for_backlog or not all(
            port.queue.is_empty for port in (*self.outputs, *self.retirement.ports)
        ):
            if end is not None and self._loop.time() >= end:
                return
            if self._room is None or self._room.done():
                self._room = self._loop.create_future()
            await asyncio.wait({self._room}, timeout=0.05)

    @property
    def _waits_for_backlog(self) -> bool:
        """`storage.backlog.flush_on_shutdown`: the end waits until all of the backlog is in the queues."""
        service = self.plan.services.options
        if not service.storage_backlog_flush_on_shutdown or self.persistence is None:
            return False
        return self.persistence.feeding > 0

    async def _stop_queues(self) -> None:
        for task in self._queue_tasks:
            task.cancel()
        await asyncio.gather(*self._queue_tasks, return_exceptions=True)
        self._queue_tasks.clear()

    async def close(self) -> None:
        """End all tasks, then stop every instance that was started. Safe twice."""
        await self._stop_inputs()
        await self.retirement.close()
        for call in self.on_close:
            call()
        self.on_close.clear()
        await self._stop_queues()
        for instance in reversed(self._started):
            await self.stop_one(instance)
        self._started.clear()
        self.plan.services.running = False

    async def stop_one(self, instance: Instance) -> None:
        await instance.context.close()
        try:
            await instance.plugin.stop()
        except Exception as error:
            instance.context.log.error(f"did not stop well: {type(error).__name__}: {error}")
