"""What others may ask of a running agent: its metrics, its instances, a reload, traces."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tailrace.config.errors import InvalidConfiguration, Place, Problems
from tailrace.config.source import Configuration, Entry, Section
from tailrace.engine.agent import ReloadResult
from tailrace.engine.build import Builder, Instance, read_service
from tailrace.engine.metrics import MetricRegistry
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.service import ServiceOptions
from tailrace.engine.telemetry import collect
from tailrace.engine.tracing import Tracer
from tailrace.model import Chunk
from tailrace.model.metrics import MetricSet

if TYPE_CHECKING:
    from tailrace.engine.agent import Agent

TRACE_TAG = "trace"
TAP_RECORDS = 1000
TAP_SECONDS = 10.0
"""A tap that nobody has read for this long ends."""


@dataclass(slots=True)
class TraceRequest:
    """A trace of one input that is to be sent to an output of its own. 0 is without limit."""

    input: str
    output: str = "stdout"
    prefix: str = ""
    params: dict[str, str] = field(default_factory=dict)
    most_chunks: int = 0
    most_seconds: float = 0.0


class LocalControl:
    """The control of the agent in this process."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._sinks: dict[str, Pipeline] = {}
        self._taps: dict[str, Tap] = {}

    @property
    def started_at(self) -> float:
        return self._agent.started_at

    @property
    def service(self) -> ServiceOptions | None:
        return self._agent.service

    @property
    def reloads(self) -> int:
        return self._agent.reloads

    async def metrics(self) -> MetricSet:
        return collect(self._agent)

    async def errors(self) -> tuple[int, int]:
        pipeline = self._agent.pipeline
        books = pipeline.books.outputs.values() if pipeline is not None else ()
        return sum(book.errors for book in books), sum(book.retries_failed for book in books)

    def topology(self) -> dict[str, Any]:
        pipeline = self._agent.pipeline
        return topology(pipeline) if pipeline is not None else EMPTY_TOPOLOGY

    async def reload(self) -> ReloadResult:
        return await self._agent.reload_and_wait()

    # Traces

    async def start_trace(self, request: TraceRequest) -> str:
        pipeline, source = self._agent.pipeline, self._find_input(request.input)
        if pipeline is None or source is None:
            return f"there is no input '{request.input}'"
        await self.stop_trace(request.input)
        try:
            sink = await self._start_sink(request)
        except InvalidConfiguration as error:
            return str(error.problems.errors[0])

        def deliver(time_ns: int, body: dict[str, Any]) -> None:
            sink.inject(Chunk(TRACE_TAG, [time_ns], [body]), "trace-emitter")

        self._sinks[source.name] = sink
        pipeline.tracers[source.name] = Tracer(
            source, request.prefix, deliver, request.most_chunks, request.most_seconds
        )
        return ""

    async def stop_trace(self, name: str) -> None:
        """End the trace of an input, which a reload may have taken out meanwhile."""
        source, pipeline = self._find_input(name), self._agent.pipeline
        name = source.name if source is not None else name
        if pipeline is not None:
            pipeline.tracers.pop(name, None)
        sink = self._sinks.pop(name, None)
        if sink is not None:
            await sink.stop(1.0)

    def _find_input(self, name: str) -> Instance | None:
        pipeline = self._agent.pipeline
        for port in pipeline.inputs if pipeline is not None else ():
            if name in (port.name, port.instance.unique):
                return port.instance
        return None

    async def _start_sink(self, request: TraceRequest) -> Pipeline:
        """A pipeline of one output alone, which takes the records of the trace."""
        place = Place("trace")
        entries = [Entry("name", request.output, place), Entry("match", "*", place)]
        entries += [Entry(key, value, place) for key, value in request.params.items()]
        service = Section("service", place, [Entry("grace", "1", place)])
        configuration = Configuration(service)
        configuration.outputs.append(Section("output", place, entries))
        problems = Problems()
        agent, options = self._agent, read_service(service, problems)
        assert options is not None
        builder = Builder(
            configuration,
            options,
            agent.log,
            problems,
            MetricRegistry(),
            lambda code: None,
            agent.config_dir,
        )
        plan = builder.build()
        if problems.errors:
            raise InvalidConfiguration(problems)
        sink = Pipeline(plan, agent.log)
        await sink.start()
        return sink

    # Taps

    async def read_tap(self, name: str) -> list[dict[str, Any]]:
        pipeline, source = self._agent.pipeline, self._find_input(name)
        if pipeline is None or source is None:
            raise LookupError(f"there is no input '{name}'")
        tap = self._taps.get(source.name)
        if tap is None or pipeline.tracers.get(source.name) is not tap.tracer:
            if source.name in pipeline.tracers:
                raise LookupError(f"input '{name}' is being traced already")
            tap = self._taps[source.name] = Tap(source)
            pipeline.tracers[source.name] = tap.tracer
            asyncio.get_running_loop().call_later(TAP_SECONDS, self._look_after, tap)
        return tap.read()

    def _look_after(self, tap: Tap) -> None:
        """End a tap that nobody reads any more."""
        name, pipeline = tap.tracer.source.name, self._agent.pipeline
        if time.monotonic() - tap.read_at < TAP_SECONDS:
            asyncio.get_running_loop().call_later(TAP_SECONDS, self._look_after, tap)
            return
        self._taps.pop(name, None)
        if pipeline is not None and pipeline.tracers.get(name) is tap.tracer:
            del pipeline.tracers[name]

    async def close(self) -> None:
        """End all traces."""
        for name in list(self._sinks):
            await self.stop_trace(name)


class Tap:
    """The last records of an input's trace, for one who reads them now and then."""

    def __init__(self, source: Instance) -> None:
        self.records: deque[dict[str, Any]] = deque(maxlen=TAP_RECORDS)
        self.tracer = Tracer(source, "tap.", lambda _, body: self.records.append(body))
        self.read_at = time.monotonic()

    def read(self) -> list[dict[str, Any]]:
        self.read_at = time.monotonic()
        found = list(self.records)
        self.records.clear()
        return found


EMPTY_TOPOLOGY: dict[str, Any] = {"inputs": [], "filters": [], "outputs": []}


def topology(pipeline: Pipeline) -> dict[str, Any]:
    """The instances of a pipeline: what does not change until the next reload."""
    plan, registry = pipeline.plan, pipeline.plan.services.metrics
    return {
        "inputs": [
            {
                **about(each),
                "tag": each.options.tag or each.name,
                "memory_limit": each.options.mem_buf_limit,
                "counters": registry.counters_of(each.name),
            }
            for each in plan.inputs
        ],
        "filters": [
            {
                **about(each),
                "match": matched(each),
                "emits": each.plugin.emits,
                "counters": registry.counters_of(each.name),
            }
            for each in plan.filters
        ],
        "outputs": [{**about(each), "match": matched(each)} for each in plan.outputs],
    }


def about(instance: Instance) -> dict[str, Any]:
    return {
        "name": instance.name,
        "unique": instance.unique,
        "plugin": instance.context.plugin,
        "processors": [each.context.plugin for each in instance.processors],
    }


def matched(instance: Instance) -> str:
    """The tags that an instance takes, as the user wrote it."""
    options = instance.options
    return options.match or (f"/{options.match_regex}/" if options.match_regex else "")
