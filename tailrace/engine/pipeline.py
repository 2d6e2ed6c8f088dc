"""A running pipeline: inputs, filters, router, one queue per output, and the books.

input ──emit──▶ processors ▶ filters ▶ router ──▶ queue of each matching output ──▶ flush ──▶ receipt
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tailrace.config.errors import FAILED_START, ConfigError, InvalidConfiguration, Problems
from tailrace.engine.books import (
    Books,
    FilterBook,
    InputBook,
    OutputBook,
    ProcessorBook,
    RouteBook,
)
from tailrace.engine.build import Instance, Plan
from tailrace.engine.busy import BusyClock, Timed
from tailrace.engine.lane import Item
from tailrace.engine.memory import MemoryBudget
from tailrace.engine.ports import InputPort, OutputPort, Source, Tables, Tap
from tailrace.engine.queue import (
    HARD_LIMIT_BYTES,
    SOFT_LIMIT_BYTES,
    OutputQueue,
    QueueSettings,
    Spill,
)
from tailrace.engine.refused import check_secondaries, refusal_handler
from tailrace.engine.router import (
    TagTable,
    match_rule,
    split_by_routes,
)
from tailrace.engine.service import ServiceOptions
from tailrace.engine.steps import FilterStep, add_to, apply_step, apply_steps, traced_step
from tailrace.engine.ticks import process_age
from tailrace.engine.tracing import PRE_OUTPUT, Trace, Tracer
from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk, Receipt
from tailrace.plugin.base import DEFAULT_RETRIES, NO_RETRY_LIMIT
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
RETIRE_SECONDS = 0.05
DEFAULT_RETRY_LIMIT = 1
GROUPS = ("logs", "metrics", "traces", "profiles")
LINE_PADDING = 8
"""Bytes by which Fluent Bit writes an event of a raw line longer than need be."""


class Pipeline:
    """Everything between the inputs of one configuration and its outputs."""

    def __init__(self, plan: Plan, log: Log, storage: Storage | None = None) -> None:
        self.plan = plan
        self._tables = Tables(plan)
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
        self._first_beat = self._loop.time() - process_age()
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
        self._persistence = self._make_persistence(storage) if storage is not None else None
        self._ingesting = False
        self._room: asyncio.Future[None] | None = None
        self._input_tasks: dict[asyncio.Task[None], InputPort] = {}
        self._queue_tasks: list[asyncio.Task[None]] = []
        self._started: list[Instance] = []
        self._retiring: list[OutputPort] = []
        """Outputs that a reload has taken out and that still have something to deliver."""
        self._retirements: set[asyncio.Task[None]] = set()
        self.use(self.make_tables(plan))
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
            on_room=self._on_room,
        )

    def make_tables(self, plan: Plan) -> Tables:
        """What a plan needs to run here; instances that run already keep their ports. `InvalidConfiguration` if it can't be."""
        problems = Problems()
        known = self._tables
        outputs = [
            known.port_of(instance) or self._output_port(instance, problems)
            for instance in plan.outputs
        ]
        inputs = [known.port_of(instance) or self._input_port(instance) for instance in plan.inputs]
        steps = [
            (instance, known.step_of(instance) or self._filter_step(instance))
            for instance in plan.filters
        ]
        wrong = check_secondaries({each.name: each.options.secondary for each in plan.outputs})
        if wrong:
            problems.add(f"secondary: {wrong}.", mend="Name the alias of another output.")
        lonely = len(plan.outputs) == 1 and len(plan.inputs) <= 1
        tables = Tables(plan, inputs, outputs, [step for _, step in steps])
        tables.filters_by_tag = TagTable(
            [
                (rule, step)
                for instance, step in steps
                if (rule := match_rule(instance, False, problems))
            ]
        )
        tables.outputs_by_tag = TagTable(
            [
                (rule, port)
                for port in outputs
                if (rule := match_rule(port.instance, lonely, problems))
            ]
        )
        for port in inputs:
            before = known.input_steps.get(port.name, ())
            if [step.instance for step in before] != port.instance.processors or not before:
                units = self._units("input", port.instance)
                before = tuple(
                    self._filter_step(each, unit)
                    for each, unit in zip(port.instance.processors, units, strict=True)
                )
                for number, step in enumerate(before, 1):
                    self._let_processor_emit(step, before[number:], port.source)
            tables.input_steps[port.name] = before
        if problems.errors:
            raise InvalidConfiguration(problems)
        for problem in problems:
            self.log.warn(str(problem))
        return tables

    def use(self, tables: Tables) -> None:
        """From now on chunks go by these tables."""
        self._tables = tables
        self.plan = tables.plan
        self.inputs, self.outputs, self.steps = tables.inputs, tables.outputs, tables.steps
        self._filters_by_tag, self._outputs_by_tag = tables.filters_by_tag, tables.outputs_by_tag
        self._outputs_by_name = {port.name: port for port in tables.outputs}
        self._input_steps = tables.input_steps
        for port in tables.inputs:
            port.source.routes = tables.plan.routes.get(port.name, [])
        for output in tables.outputs:
            output.queue.settings = self._queue_settings(
                output.instance, tables.plan.services.options
            )

    def _let_processor_emit(
        self, step: FilterStep, following: tuple[FilterStep, ...], source: Source
    ) -> None:
        """What a processor of an input emits anew goes through those behind it, then through the filters, by the input's routes."""
        emit = step.instance.context.on_emit
        assert emit is not None

        def pass_on(chunk: Chunk) -> None:
            for each in following:
                chunk = apply_step(chunk, each)
            receipt = chunk.receipt
            if receipt is not None:
                receipt.hold()  # parts may end at once, and others are still to come
            for part in parts_of(chunk, source, self.log):
                emit(part)
            if receipt is not None:
                receipt.release()

        step.instance.context.on_emit = pass_on

    def _input_port(self, instance: Instance) -> InputPort:
        port = InputPort(instance, self, self.books.inputs.setdefault(instance.name, InputBook()))
        self._let_emit(instance, port)
        return port

    def _units(self, scope: str, owner: Instance) -> list[ProcessorBook]:
        """Books of the processors of an input or output, which Fluent Bit numbers group by group."""
        groups = [each.section.group or GROUPS[0] for each in owner.processors]
        order = sorted(range(len(groups)), key=lambda place: GROUPS.index(groups[place]))
        made: dict[int, ProcessorBook] = {}
        for stage, place in enumerate(order):
            plugin = owner.processors[place].context.plugin
            labels = (scope, owner.name, plugin, str(stage), groups[place])
            made[place] = self.books.processors.setdefault(labels, ProcessorBook())
        return [made[place] for place in range(len(groups))]

    def _filter_step(self, instance: Instance, unit: ProcessorBook | None = None) -> FilterStep:
        book = self.books.filters.setdefault(instance.name, FilterBook())
        book.is_processor = instance.kind == "processor"
        step = FilterStep(instance, book, self.busy, unit)
        name = getattr(instance.options, "emitter_name", "") or f"emitter_for_{instance.name}"
        stored, unstored = Source(name, is_stored=True), Source(name)
        always = getattr(instance.options, "emitter_storage_type", "") == "filesystem"

        def emit(chunk: Chunk) -> None:
            is_stored = always or self._comes_from_stored(chunk)
            self._emit_again(chunk, stored if is_stored else unstored, step.book)

        instance.context.on_emit = emit
        instance.context.on_drop = lambda count, reason: add_to(step.book.dropped, reason, count)
        return step

    def _let_emit(self, instance: Instance, port: InputPort) -> None:
        instance.context.on_emit = lambda chunk: self.ingest(chunk, port)
        instance.context.on_drop = lambda count, reason: add_to(port.book.dropped, reason, count)

    def _output_port(self, instance: Instance, problems: Problems) -> OutputPort:
        settings = self._queue_settings(instance, self.plan.services.options)
        options = instance.options
        book = self.books.outputs.setdefault(instance.name, OutputBook())
        for each in instance.processors:
            if getattr(each.plugin, "emits_anew", False):
                problems.add(
                    "as a processor of an output it can't send events anew: they would go to all outputs.",
                    mend="Put it among the filters, or the processors of the input.",
                    place=each.section.place,
                    where=f"{each.kind} {each.context.plugin} ({each.name})",
                    exit_code=FAILED_START,
                )
        steps = [
            FilterStep(each, FilterBook(), self.busy, unit)
            for each, unit in zip(instance.processors, self._units("output", instance), strict=True)
        ]
        prepare = (lambda chunk: apply_steps(chunk.copy(deep=True), steps)) if steps else None
        spill = None
        if options.queue_full == "overflow":
            spill = self._spill_for(instance, problems)
        queue = OutputQueue(
            instance.plugin,
            settings,
            book,
            instance.context.log,
            self._on_room,
            prepare,
            on_refused=refusal_handler(instance, self.dead_letters, self._secondary(instance)),
            spill=spill,
            busy=self.busy,
            name=instance.name,
            on_result=lambda items, result: self._tell_traces(instance, items, result),
        )
        return OutputPort(instance, queue)

    def _secondary(self, instance: Instance) -> Callable[[], OutputPort] | None:
        name = instance.options.secondary
        return (lambda: self._outputs_by_name[name]) if name else None

    def _queue_settings(self, instance: Instance, service: ServiceOptions) -> QueueSettings:
        options, retry_limit = instance.options, instance.options.retry_limit
        if retry_limit == NO_RETRY_LIMIT:
            instance.context.log.warn(
                f"retry_limit: a number below 1 will not do, {DEFAULT_RETRY_LIMIT} counts. For none give no_retries."
            )
        workers = max(1, options.workers)
        hard_limit = options.queue_limit or min(HARD_LIMIT_BYTES, self.budget.limit // 2)
        return QueueSettings(
            flush_interval=service.flush,
            first_beat=self._first_beat,
            retry_base=service.scheduler_base,
            retry_cap=service.scheduler_cap,
            retry_limit=DEFAULT_RETRY_LIMIT
            if retry_limit in (DEFAULT_RETRIES, NO_RETRY_LIMIT)
            else retry_limit,
            workers=workers,
            disk_limit=options.storage_total_limit_size,
            soft_limit=min(SOFT_LIMIT_BYTES * workers, hard_limit),
            hard_limit=hard_limit,
            when_full=options.queue_full,
        )

    def _spill_for(self, instance: Instance, problems: Problems) -> Spill | None:
        disk, overflow = self._persistence, Source(f"overflow_of_{instance.name}")
        if disk is not None:
            return lambda chunk, receipt: disk.spill(chunk, receipt, instance.name, overflow)
        entry = instance.section.last("queue_full")
        problems.add(
            "queue_full is overflow, but the service has no storage.path.",
            mend="Add to the service section: storage.path FOLDER.",
            place=entry.place if entry else instance.section.place,
            where=f"output {instance.name}",
        )
        return None

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
            self._on_room()
            if theirs is not None:
                theirs.release(receipt.refused, receipt.reason)

        chunk.receipt = Receipt(settle, urgent=theirs is not None and theirs.urgent)
        chunk.receipt.hold()

    def _comes_from_stored(self, chunk: Chunk) -> bool:
        """Whether the input of these events has `storage.type filesystem`."""
        if type(chunk.stream) is not tuple:
            return False
        name = chunk.stream[0]
        return any(port.source.is_stored for port in self.inputs if port.name == name)

    def _emit_again(self, chunk: Chunk, emitter: Source, book: FilterBook) -> None:
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
        stored = self.storage is not None and (is_stored or self._comes_from_stored(chunk))
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

    def _tell_traces(self, instance: Instance, items: list[Item], result: int) -> None:
        for item in items:
            if item.chunk.trace is not None:
                item.chunk.trace.tell_output(instance, result)

    def _route(self, chunk: Chunk, source: Source, receipt: Receipt) -> None:
        names = chunk.routed
        targets = tuple(
            self._outputs_by_name[name] for name in names if name in self._outputs_by_name
        )
        self._queue(chunk, targets or self._targets(chunk.tag, source), source, receipt, names)

    def _targets(self, tag: str, source: Source) -> tuple[OutputPort, ...]:
        return self._outputs_by_tag.find(tag) if source.routable else ()

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
        disk = self._persistence if source.is_stored else None
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
        named = [
            self._outputs_by_name[name] for name in file.routes if name in self._outputs_by_name
        ]
        kind = (LOGS, METRICS, TRACES, PROFILES)[file.kind]
        return [
            port for port in named or self._outputs_by_tag.find(file.tag) if kind in port.handles
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
        return self._persistence.in_memory if self._persistence is not None else 0

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
        return self._persistence is not None and self._persistence.failing

    def _on_room(self) -> None:
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
        if self._persistence is not None:
            feeding = self._feed_backlog(self._persistence)
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

    def retire(self, port: OutputPort, successor: OutputPort | None, grace: float | None) -> None:
        """An output is taken out: its successor of the same name gets what waits, else it delivers what it has, in the background.

        `grace`: seconds that it may take for that; None: as long as it takes.
        """
        self._retiring.append(port)
        if successor is not None:
            successor.queue.take_over(port.queue.release_waiting())
        else:
            port.queue.drain()
        task = self._loop.create_task(self._retire(port, successor, grace), name=port.name)
        self._retirements.add(task)
        task.add_done_callback(self._retirements.discard)

    async def _retire(
        self, port: OutputPort, successor: OutputPort | None, grace: float | None
    ) -> None:
        end = None if grace is None else self._loop.time() + grace
        queue = port.queue
        while not queue.is_empty and not (successor is not None and not queue.is_flushing):
            if end is not None and self._loop.time() >= end:
                break
            await asyncio.sleep(RETIRE_SECONDS)
        if port.task is not None:
            port.task.cancel()
            await asyncio.gather(port.task, return_exceptions=True)
            self._queue_tasks.remove(port.task)
        if successor is not None:
            successor.queue.take_over(queue.release_waiting())
        elif not queue.is_empty:
            self._hand_on(port)
        self._retiring.remove(port)
        await self.end_instance(port.instance)

    def _hand_on(self, port: OutputPort) -> None:
        """What a removed output has not delivered goes to outputs that are new since; else it waits on disk, or is given up."""
        queue = port.queue
        handed = on_disk = 0
        for key, item in queue.release_waiting():
            heirs = [
                heir
                for heir in self._outputs_by_tag.find(key[0])
                if heir.born > item.born and item.chunk.kind in heir.handles
            ]
            for heir in heirs:
                heir.queue.put(
                    item.chunk, item.receipt, item.source, item.size, item.disk_bytes, item.packed
                )
            if heirs:
                handed += queue.forget(item, settle=True)
            elif item.disk_bytes:
                on_disk += queue.forget(item, settle=False)
            else:
                queue.give_up(item, "output removed by a reload")
        lost = queue.book.dropped.get("output removed by a reload", 0)
        port.instance.context.log.warn(
            f"not delivered in time: {handed} events go to new outputs, {on_disk} wait on disk, {lost} are given up"
        )

    async def stop(self, grace: float | None) -> int:
        """Stop reading, flush within `grace` seconds (None: as long as it takes); events that are left."""
        await self._stop_inputs()
        for step in self.steps_that_may_hold():
            self.drain_filter(step)
        for port in (*self.outputs, *self._retiring):
            port.queue.drain()
        await self._wait_until_empty(grace)
        await self._stop_queues()
        if self._persistence is not None and (kept := self._persistence.keep(self.outputs)):
            self.log.info(
                f"[storage] {kept} events that memory held are kept in {self._persistence.storage.path} for the next start"
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
            port.queue.is_empty for port in (*self.outputs, *self._retiring)
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
        if not service.storage_backlog_flush_on_shutdown or self._persistence is None:
            return False
        return self._persistence.feeding > 0

    async def _stop_queues(self) -> None:
        for task in self._queue_tasks:
            task.cancel()
        await asyncio.gather(*self._queue_tasks, return_exceptions=True)
        self._queue_tasks.clear()

    async def close(self) -> None:
        """End all tasks, then stop every instance that was started. Safe twice."""
        await self._stop_inputs()
        for task in list(self._retirements):
            task.cancel()
        await asyncio.gather(*self._retirements, return_exceptions=True)
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


def parts_of(chunk: Chunk, source: Source, log: Log) -> list[Chunk]:
    """A chunk by where the routes of its input send its events; whole, if there are none."""
    if not source.routes or not chunk.count:
        return [chunk]
    parts = []
    for part, names in split_by_routes(chunk, source.routes, log.error):
        part.routed = names
        parts.append(part)
    return parts
