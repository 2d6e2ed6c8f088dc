"""The ends of a pipeline: what stands between it and each input and output, and the tables that say where chunks go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tailrace.engine.books import InputBook
from tailrace.engine.build import Instance, Plan
from tailrace.engine.queue import SOFT_LIMIT_BYTES, OutputQueue
from tailrace.engine.rate import RateGate, RateLimits, RateMeter
from tailrace.engine.router import ConditionalRoute, TagTable
from tailrace.engine.service import ServiceOptions
from tailrace.engine.steps import FilterStep
from tailrace.model import Chunk
from tailrace.plugin import InputOptions

if TYPE_CHECKING:
    from tailrace.engine.pipeline import Pipeline


class Source:
    """Where a chunk comes from: an input, or a filter that emits anew; `routes` are its conditional ones."""

    def __init__(
        self, name: str, routable: bool = True, *, is_stored: bool = False, can_wait: bool = False
    ) -> None:
        self.name = name
        self.routable = routable
        self.routes: list[ConditionalRoute] = []
        self.is_stored = is_stored
        """Its chunks are written to the filesystem."""
        self.stored_chunks = 0
        self.can_wait = can_wait
        """It reads again what it has not emitted yet, as files are: nothing is lost while it waits."""
        self.loaded_bytes = 0
        """Of chunks on disk that are in memory as well, as MessagePack."""


Tap = Callable[[Chunk, Source], None]


class InputPort:
    """The pipeline's side of one input: `emit`, its book, and when it must wait."""

    def __init__(self, instance: Instance, pipeline: Pipeline, book: InputBook) -> None:
        self.instance = instance
        self.name = instance.name
        self.book = book
        self.limit = instance.options.mem_buf_limit
        self.storage_type = storage_type(instance.options, pipeline.plan.services.options)
        self.padding: int = instance.plugin.padding
        own = instance.options.telemetry
        self.counts_tags = pipeline.tag_records.enabled if own is None else own
        self.source = Source(
            instance.name,
            instance.options.routable,
            is_stored=self.storage_type == "filesystem",
            can_wait=instance.plugin.can_wait,
        )
        self.most_chunks = (
            pipeline.plan.services.options.storage_max_chunks_up
            if instance.options.storage_pause_on_chunks_overlimit and self.source.is_stored
            else 0
        )
        self.paused = False
        self.ring_drops = 0
        """Chunks given up under `storage.type memrb`."""
        self._pipeline = pipeline
        self._now = asyncio.get_running_loop().time
        self.rate = RateMeter(instance.options.rate_window, self._now())
        self.gate = self._make_gate()

    def _make_gate(self) -> RateGate | None:
        options = self.instance.options
        if not options.rate_gate:
            return None
        limits = RateLimits(
            options.rate_gate_max_records,
            options.rate_gate_max_bytes,
            options.rate_gate_backpressure,
            options.rate_gate_resume_ratio,
        )
        return RateGate(self.rate, limits, lambda: self._pipeline.pressure_of(self.name))

    async def emit(self, chunk: Chunk) -> None:
        """Take a chunk, then wait while the pipeline is full."""
        self.rate.add(self._now(), chunk.count, chunk.nbytes)
        self._pipeline.ingest(chunk, self)
        if self.gate is not None and (wait := self.gate.seconds_to_wait(self._now())):
            await self._wait_for_rate(self.gate, wait)
        if self.storage_type == "memrb" and self.over_limit:
            self._pipeline.make_room_for(self)
        if self.is_full:
            await self._wait_for_room()
        else:
            await asyncio.sleep(0)

    def rate_per_second(self) -> tuple[float, float]:
        """Events and raw bytes that come in per second."""
        return self.rate.per_second(self._now())

    @property
    def over_limit(self) -> bool:
        if self.most_chunks and self.source.stored_chunks >= self.most_chunks:
            return True
        return bool(self.limit) and self.book.held_bytes >= self.limit

    @property
    def is_full(self) -> bool:
        return self.over_limit or self._pipeline.is_full or self._waits_for_disk

    @property
    def _waits_for_disk(self) -> bool:
        return (
            self.source.is_stored
            and self.book.in_flight_bytes >= SOFT_LIMIT_BYTES
            and self._pipeline.disk_is_full
        )

    async def _wait_for_room(self) -> None:
        if self.over_limit and not self.paused:
            self.instance.context.log.warn("paused (mem buf overlimit)")
        self._pause()
        while self.is_full:
            await self._pipeline.wait_for_room()
        self._resume()

    async def _wait_for_rate(self, gate: RateGate, wait: float) -> None:
        self.instance.context.log.warn("paused (rate_gate: faster than its limit)")
        self._pause()
        while wait:
            await asyncio.sleep(wait)
            wait = gate.seconds_to_wait(self._now())
        self._resume()

    def _pause(self) -> None:
        if not self.paused:
            self.paused = True
            self.instance.plugin.pause()

    def _resume(self) -> None:
        if self.paused:
            self.paused = False
            self.instance.plugin.resume()
            self.instance.context.log.debug("resumed")


class OutputPort:
    """The pipeline's side of one output."""

    def __init__(self, instance: Instance, queue: OutputQueue) -> None:
        self.instance = instance
        self.name = instance.name
        self.handles = instance.plugin.handles
        self.queue = queue
        self.task: asyncio.Task[None] | None = None
        """Empties the queue."""
        self.born = asyncio.get_running_loop().time()


class Tables:
    """Where chunks go under one plan."""

    def __init__(
        self,
        plan: Plan,
        inputs: list[InputPort] | None = None,
        outputs: list[OutputPort] | None = None,
        steps: list[FilterStep] | None = None,
    ) -> None:
        self.plan = plan
        self.inputs = [] if inputs is None else inputs
        self.outputs = [] if outputs is None else outputs
        self.steps = [] if steps is None else steps
        self.filters_by_tag = TagTable([])
        self.outputs_by_tag = TagTable([])
        self.input_steps: dict[str, tuple[FilterStep, ...]] = {}
        """The processors of each input, by its name."""

    def port_of(self, instance: Instance) -> Any:
        """The port of an instance that runs already."""
        ports: list[Any] = [*self.inputs, *self.outputs]
        return next((port for port in ports if port.instance is instance), None)

    def step_of(self, instance: Instance) -> FilterStep | None:
        return next((step for step in self.steps if step.instance is instance), None)


def storage_type(options: InputOptions, service: ServiceOptions) -> str:
    """What an input asks for, else what the service says if it is to be inherited."""
    if options.storage_type:
        return str(options.storage_type)
    return service.storage_type if service.storage_inherit else "memory"
