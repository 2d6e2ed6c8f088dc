"""What a plan needs to run in a pipeline: a port with its queue for each output, one for each input, the steps of filters, and who gets what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tailrace.config.errors import FAILED_START, InvalidConfiguration, Problems
from tailrace.engine.books import FilterBook, InputBook, OutputBook, ProcessorBook
from tailrace.engine.build import Instance, Plan
from tailrace.engine.ports import InputPort, OutputPort, Source, Tables
from tailrace.engine.queue import (
    HARD_LIMIT_BYTES,
    SOFT_LIMIT_BYTES,
    OutputQueue,
    QueueSettings,
    Spill,
)
from tailrace.engine.refused import check_secondaries, refusal_handler
from tailrace.engine.router import TagTable, match_rule, parts_of
from tailrace.engine.service import ServiceOptions
from tailrace.engine.steps import FilterStep, add_to, apply_step, apply_steps
from tailrace.model import Chunk
from tailrace.plugin.base import DEFAULT_RETRIES, NO_RETRY_LIMIT

if TYPE_CHECKING:
    from tailrace.engine.pipeline import Pipeline

DEFAULT_RETRY_LIMIT = 1
GROUPS = ("logs", "metrics", "traces", "profiles")


class Maker:
    """Makes the tables of plans for one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def tables(self, plan: Plan) -> Tables:
        """What a plan needs to run here; instances that run already keep their ports. `InvalidConfiguration` if it can't be."""
        problems = Problems()
        known = self._pipeline.tables
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
            self._pipeline.log.warn(str(problem))
        return tables

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
            for part in parts_of(chunk, source, self._pipeline.log):
                emit(part)
            if receipt is not None:
                receipt.release()

        step.instance.context.on_emit = pass_on

    def _input_port(self, instance: Instance) -> InputPort:
        port = InputPort(
            instance,
            self._pipeline,
            self._pipeline.books.inputs.setdefault(instance.name, InputBook()),
        )
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
            made[place] = self._pipeline.books.processors.setdefault(labels, ProcessorBook())
        return [made[place] for place in range(len(groups))]

    def _filter_step(self, instance: Instance, unit: ProcessorBook | None = None) -> FilterStep:
        book = self._pipeline.books.filters.setdefault(instance.name, FilterBook())
        book.is_processor = instance.kind == "processor"
        step = FilterStep(instance, book, self._pipeline.busy, unit)
        name = getattr(instance.options, "emitter_name", "") or f"emitter_for_{instance.name}"
        stored, unstored = Source(name, is_stored=True), Source(name)
        always = getattr(instance.options, "emitter_storage_type", "") == "filesystem"

        def emit(chunk: Chunk) -> None:
            is_stored = always or self._pipeline.comes_from_stored(chunk)
            self._pipeline.emit_again(chunk, stored if is_stored else unstored, step.book)

        instance.context.on_emit = emit
        instance.context.on_drop = lambda count, reason: add_to(step.book.dropped, reason, count)
        return step

    def _let_emit(self, instance: Instance, port: InputPort) -> None:
        instance.context.on_emit = lambda chunk: self._pipeline.ingest(chunk, port)
        instance.context.on_drop = lambda count, reason: add_to(port.book.dropped, reason, count)

    def _output_port(self, instance: Instance, problems: Problems) -> OutputPort:
        settings = self.queue_settings(instance, self._pipeline.plan.services.options)
        options = instance.options
        book = self._pipeline.books.outputs.setdefault(instance.name, OutputBook())
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
            FilterStep(each, FilterBook(), self._pipeline.busy, unit)
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
            self._pipeline.on_room,
            prepare,
            on_refused=refusal_handler(
                instance, self._pipeline.dead_letters, self._secondary(instance)
            ),
            spill=spill,
            busy=self._pipeline.busy,
            name=instance.name,
            on_result=lambda items, result: self._pipeline.tell_traces(instance, items, result),
        )
        return OutputPort(instance, queue)

    def _secondary(self, instance: Instance) -> Callable[[], OutputPort] | None:
        name = instance.options.secondary
        return (lambda: self._pipeline.outputs_by_name[name]) if name else None

    def queue_settings(self, instance: Instance, service: ServiceOptions) -> QueueSettings:
        options, retry_limit = instance.options, instance.options.retry_limit
        if retry_limit == NO_RETRY_LIMIT:
            instance.context.log.warn(
                f"retry_limit: a number below 1 will not do, {DEFAULT_RETRY_LIMIT} counts. For none give no_retries."
            )
        workers = max(1, options.workers)
        hard_limit = options.queue_limit or min(HARD_LIMIT_BYTES, self._pipeline.budget.limit // 2)
        return QueueSettings(
            flush_interval=service.flush,
            first_beat=self._pipeline.first_beat,
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
        disk, overflow = self._pipeline.persistence, Source(f"overflow_of_{instance.name}")
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
