"""The steps of a pipeline: filters and processors, applied to chunks."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from itertools import groupby

from tailrace.engine.books import FilterBook, ProcessorBook
from tailrace.engine.build import Instance
from tailrace.engine.busy import BusyClock
from tailrace.engine.tracing import Trace
from tailrace.model import LOGS, Chunk, merge
from tailrace.model.condition import Condition
from tailrace.wire.size import packed_size


class FilterStep:
    """One filter in the way of a chunk, with its book. A failing filter leaves the chunk as it is."""

    def __init__(
        self,
        instance: Instance,
        book: FilterBook,
        busy: BusyClock,
        unit: ProcessorBook | None = None,
    ) -> None:
        self._busy = busy
        self._key = (instance.kind, instance.name)
        self.instance = instance
        self.book = book
        self.unit = unit
        """Of a processor: what Fluent Bit counts beside the book."""
        self.handles = instance.plugin.handles
        if instance.section.group:
            self.handles &= instance.plugin.context.signal
        self.padding: int | None = getattr(instance.plugin, "padding", 0)
        self._process = instance.plugin.process
        if instance.condition is not None:
            self._process = conditional(instance.plugin.process, instance.condition)
        self._failed = False
        self._lost_groups = False

    def apply(self, chunk: Chunk) -> Chunk:
        before, before_bytes, padding = chunk.count, chunk.measured, chunk.padding
        self.book.records += before
        self._busy.enter(self._key)
        try:
            result: Chunk = self._process(chunk)
        except Exception as error:
            self._note_failure(error)
            return chunk
        finally:
            self._busy.leave()
        if self.unit is not None:
            self.unit.invocations += 1
            if chunk.kind is LOGS:
                self.unit.count(before, result.count)
        if result.decoded and len(result.groups or ()) not in (0, result.count):
            self._lose_groups(result)
        change = result.count - before
        result.padding, result.measured = padding, before_bytes
        if change or self.padding is not None or result is not chunk:
            self._measure(result, bool(change) or result is not chunk)
        if change < 0:
            self.book.removed -= change
            self.book.removed_bytes += max(0, before_bytes - result.measured)
        elif change > 0:
            self.book.added += change
        return result

    def _measure(self, result: Chunk, is_changed: bool) -> None:
        """Count the bytes of what the filter changed; what has kept its number and size counts as untouched."""
        size = packed_size(result)
        if not is_changed and size == result.measured:
            return
        if self.padding is not None and result.kind is LOGS:
            size += (self.padding - result.padding) * result.count
            result.padding = self.padding
        result.measured = max(0, size)
        self.book.bytes += result.measured

    def _lose_groups(self, result: Chunk) -> None:
        """Of a filter that made more or fewer events and left the groups as they were: nobody knows whose they are."""
        result.groups = None
        if not self._lost_groups:
            self._lost_groups = True
            self.instance.context.log.error(
                "gave other events and did not say in which groups they are: their resource and scope are lost (told once). "
                "It must set chunk.groups along with chunk.bodies"
            )

    def _note_failure(self, error: Exception) -> None:
        self.book.failed_chunks += 1
        if self.unit is not None:
            self.unit.invocations += 1
            self.unit.errors += 1
        log = self.instance.context.log
        if self._failed:
            log.debug(f"failed again: {error}")
            return
        self._failed = True
        trace = "".join(traceback.format_exception(error))
        log.error(f"failed unexpectedly, its events go on unchanged (told once):\n{trace}")


def conditional(
    process: Callable[[Chunk], Chunk], condition: Condition
) -> Callable[[Chunk], Chunk]:
    """Apply a filter only to events for which a condition holds; all keep their order."""

    def apply(chunk: Chunk) -> Chunk:
        holds = condition.mask(chunk.bodies, chunk.metadata, chunk.groups)
        if all(holds):
            return process(chunk)
        runs = [(holding, len(list(run))) for holding, run in groupby(holds)]
        parts, start = [], 0
        for holding, length in runs:
            part = chunk.slice(start, start + length)
            start += length
            parts.append(process(part) if holding else part)
        return merge([part for part in parts if part.count] or parts[:1])

    return apply


def apply_step(chunk: Chunk, step: FilterStep) -> Chunk:
    """One processor, if there is something for it; what comes out of it came the way of what went in."""
    if not chunk.count or chunk.kind not in step.handles:
        return chunk
    receipt = chunk.receipt
    result = step.apply(chunk)
    if result is not chunk:
        result.come_as(chunk)
    result.receipt = receipt
    return result


def traced_step(chunk: Chunk, step: FilterStep, trace: Trace) -> Chunk:
    """One filter, told of to a trace if it did anything."""
    start_ns, before = time.time_ns(), chunk.count
    chunk = apply_step(chunk, step)
    if step.padding is not None or chunk.count != before:
        trace.tell_filter(step.instance, chunk, start_ns)
    return chunk


def apply_steps(chunk: Chunk, steps: Iterable[FilterStep]) -> Chunk:
    for step in steps:
        chunk = apply_step(chunk, step)
    return chunk


def add_to(counts: dict[str, int], key: str, amount: int) -> None:
    counts[key] = counts.get(key, 0) + amount
