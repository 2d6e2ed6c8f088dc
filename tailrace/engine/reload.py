"""Hot reload: what a new configuration changes, and how a running pipeline takes it up.

Instances whose section is the same go on untouched: their sockets stay open, their positions and queues stay. New outputs
and filters are started beside the old ones; inputs, and what else holds a port, end just before their successors start. Only when all have
started do the routes change, between two turns of the loop. If one can't be started everything is as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from tailrace.config.errors import InvalidConfiguration
from tailrace.config.fingerprint import outline
from tailrace.config.options import option_table
from tailrace.config.source import Configuration
from tailrace.engine.build import Instance, Plan
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.ports import OutputPort, Tables
from tailrace.engine.service import ServiceOptions

TAKEN_UP_LIVE = frozenset(
    {
        "flush",
        "grace",
        "log_level",
        "log_file",
        "http_server",
        "http_listen",
        "http_port",
        "http_token",
        "health_check",
        "hc_errors_count",
        "hc_retry_failure_count",
        "hc_period",
        "hot_reload",
        "hot_reload.ensure_thread_safety",
        "hot_reload.timeout",
        "scheduler.base",
        "scheduler.cap",
        "storage.metrics",
        "enable_chunk_trace",
        "daemon",
        "parsers_file",
        "plugins_file",
        "streams_file",
    }
)
"""Service options that need no new pipeline; `http_tls.*` are among them too."""


def needs_restart(old: ServiceOptions, new: ServiceOptions) -> bool:
    """Whether the service section changes something that a running pipeline can't take up."""
    for name, spec in option_table(ServiceOptions).by_name.items():
        if name in TAKEN_UP_LIVE or name.startswith("http_tls"):
            continue
        if getattr(old, spec.attribute, None) != getattr(new, spec.attribute, None):
            return True
    return False


def merged(old: Plan, new: Plan) -> Plan:
    """The new plan with the old instances in the place of those that have not changed."""
    if not same_definitions(old.configuration, new.configuration):
        return new
    return replace(
        new,
        inputs=keep_same(old.inputs, new.inputs),
        filters=keep_same(old.filters, new.filters),
        outputs=keep_same(old.outputs, new.outputs),
        customs=keep_same(old.customs, new.customs),
    )


def keep_same(old: Iterable[Instance], new: Iterable[Instance]) -> list[Instance]:
    """Each new instance, or the old one of the same name and section in its place."""
    free = list(old)
    kept = []
    for instance in new:
        before = next(
            (
                each
                for each in free
                if each.name == instance.name and each.fingerprint == instance.fingerprint
            ),
            None,
        )
        if before is not None:
            free.remove(before)
        kept.append(before or instance)
    return kept


def same_definitions(old: Configuration, new: Configuration) -> bool:
    """Whether parsers, upstreams and external plugins are the same."""
    return all(
        [outline(section) for section in getattr(old, what)]
        == [outline(section) for section in getattr(new, what)]
        for what in ("parsers", "multiline_parsers", "upstreams")
    ) and [entry.value for entry in old.plugins] == [entry.value for entry in new.plugins]


class Renewal:
    """One reload of a running pipeline: `run` takes up a plan made by `merged`, or leaves everything as it was.

    `remake` makes an instance of the old configuration anew, for one that had to end before its successor could fail.
    `grace`: seconds that a removed output has for what it holds, None without limit; `input_grace`: seconds that a changed
    input waits for the delivery of what it has emitted.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        plan: Plan,
        remake: Callable[[Instance], Instance | None],
        grace: float | None,
        input_grace: float = 5.0,
    ) -> None:
        self._pipeline = pipeline
        self._old = pipeline.plan
        self._new = plan
        self._remake = remake
        self._grace = grace
        self._input_grace = input_grace
        self._fresh: list[Instance] = []
        """Started by this reload."""
        self._ended: list[Instance] = []
        """Exclusive ones that ended for it."""
        self._states: dict[tuple[str, str], Any] = {}
        """What inputs have handed over, by name and plugin."""

    async def run(self) -> None:
        """`InvalidConfiguration` if something can't be started; then the old instances are at work again."""
        pipeline, plan = self._pipeline, self._new
        tables = pipeline.maker.tables(plan)
        try:
            for instance in self._added(self._beside(plan)):
                await self._start(instance)
            await self._end_exclusive()
            for instance in self._added([*self._exclusive(plan), *plan.inputs]):
                await self._start(instance)
        except InvalidConfiguration:
            await self._go_back()
            raise
        self._commit(tables)
        await self._end_old()

    # What is new and what goes

    def _beside(self, plan: Plan) -> list[Instance]:
        """What can run beside its predecessor."""
        own = [*plan.outputs, *plan.filters, *plan.customs]
        return [each for each in own if not each.plugin.exclusive]

    def _exclusive(self, plan: Plan) -> list[Instance]:
        own = [*plan.outputs, *plan.filters, *plan.customs]
        return [each for each in own if each.plugin.exclusive]

    def _added(self, instances: Iterable[Instance]) -> list[Instance]:
        known = {id(each) for each in self._old.instances()}
        return [each for each in instances if id(each) not in known]

    def _removed(self, instances: Iterable[Instance]) -> list[Instance]:
        wanted = {id(each) for each in self._new.instances()}
        return [each for each in instances if id(each) not in wanted]

    # Steps

    def _let_take_over(self, instance: Instance) -> None:
        state = self._states.get((instance.name, instance.context.plugin))
        if instance.kind == "input" and state is not None:
            instance.plugin.take_over(state)

    async def _start(self, instance: Instance) -> None:
        self._let_take_over(instance)
        for each in (*instance.processors, instance):
            self._fresh.append(each)
            await self._pipeline.start_one(each)

    async def _end_exclusive(self) -> None:
        """Inputs that go, and outputs that hold a port which a successor may want."""
        pipeline = self._pipeline
        gone = {id(each) for each in self._removed(self._old.inputs)}
        for port in pipeline.inputs:
            if id(port.instance) in gone:
                self._ended.append(port.instance)
                state = await pipeline.end_input(port, self._input_grace)
                if state is not None:
                    self._states[port.name, port.instance.context.plugin] = state
        for instance in self._removed(self._exclusive(self._old)):
            self._ended.append(instance)
            await instance.plugin.stop()

    async def _go_back(self) -> None:
        """Stop what was started and start what was ended."""
        pipeline = self._pipeline
        for instance in reversed(self._fresh):
            await pipeline.end_instance(instance)
        again = {id(old): self._remake(old) for old in self._ended}
        plan = replace(
            self._old,
            inputs=[again.get(id(each)) or each for each in self._old.inputs],
            filters=[again.get(id(each)) or each for each in self._old.filters],
            outputs=[again.get(id(each)) or each for each in self._old.outputs],
            customs=[again.get(id(each)) or each for each in self._old.customs],
        )
        tables = pipeline.maker.tables(plan)
        before = {id(port) for port in (*pipeline.inputs, *pipeline.outputs)}
        old_outputs = pipeline.outputs
        pipeline.use(tables)
        for made in again.values():
            if made is not None:
                self._let_take_over(made)
                for each in (*made.processors, made):
                    await pipeline.start_one(each)
                    each.context.begin()
        for port in tables.inputs:
            if id(port) not in before:
                pipeline.begin_input(port)
        for output in tables.outputs:
            if id(output) not in before:
                pipeline.run_queue(output)
        self._retire_old(old_outputs, tables.outputs)

    def _commit(self, tables: Tables) -> None:
        """The routes change: from here on chunks go by the new plan. One turn of the loop."""
        pipeline = self._pipeline
        old_outputs = pipeline.outputs
        kept_steps = {id(each) for each in self._new.filters}
        kept_steps |= {id(each) for owner in self._new.inputs for each in owner.processors}
        old_steps = [
            step for step in pipeline.steps_that_may_hold() if id(step.instance) not in kept_steps
        ]
        for step in old_steps:
            pipeline.drain_filter(step)
        pipeline.use(tables)
        self._new.services.running = True
        for instance in self._fresh:
            instance.context.begin()
        fresh = {id(each) for each in self._fresh}
        for output in tables.outputs:
            if id(output.instance) in fresh:
                pipeline.run_queue(output)
        self._retire_old(old_outputs, tables.outputs)
        for port in tables.inputs:
            if id(port.instance) in fresh:
                pipeline.begin_input(port)

    def _retire_old(self, old: list[OutputPort], new: list[OutputPort]) -> None:
        """Outputs that are not there any more end; a new one of the same name gets what waits."""
        kept = {id(port) for port in new} & {id(port) for port in old}
        fresh = [port for port in new if id(port) not in kept]
        for port in old:
            if id(port) in kept:
                continue
            successor = next((each for each in fresh if each.name == port.name), None)
            if successor is not None:
                fresh.remove(successor)
            self._pipeline.retirement.retire(port, successor, self._grace)

    async def _end_old(self) -> None:
        """Filters and the like that are gone; outputs end on their own, when they have delivered what they hold."""
        for instance in self._removed([*self._old.filters, *self._old.customs]):
            await self._pipeline.end_instance(instance)
