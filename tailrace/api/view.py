"""The agent as the API sees it at one moment: its metrics, its instances, its settings.

The metrics are the one source of all figures, so that several engines under one supervisor look like one agent.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from tailrace.engine.agent import ReloadResult
from tailrace.engine.control import TraceRequest
from tailrace.engine.service import ServiceOptions
from tailrace.model.metrics import MetricSet


class Control(Protocol):
    """What the API may ask of an agent, or of a supervisor of several."""

    @property
    def started_at(self) -> float:
        """Seconds since the epoch."""

    @property
    def service(self) -> ServiceOptions | None: ...

    @property
    def reloads(self) -> int: ...

    async def metrics(self) -> MetricSet:
        """Everything, the storage's gauges included."""

    async def errors(self) -> tuple[int, int]:
        """Errors and given-up retries of all outputs since the start, for the health check; costs little."""

    def topology(self) -> dict[str, Any]:
        """Instances by kind, as `engine.control.topology` gives them."""

    async def reload(self) -> ReloadResult: ...

    async def start_trace(self, request: TraceRequest) -> str:
        """What hinders it, in words; empty if nothing does."""

    async def stop_trace(self, name: str) -> None: ...

    async def read_tap(self, name: str) -> list[dict[str, Any]]:
        """What a tap has caught since it was last read; the first call for an input begins it."""


@dataclass(slots=True)
class View:
    """One moment. `samples` gives the values of a metric by its labels."""

    service: ServiceOptions
    started_at: float
    reloads: int
    metrics: MetricSet
    topology: dict[str, Any]
    _by_name: dict[str, dict[tuple[str | None, ...], Any]] = field(default_factory=dict)

    def samples(self, name: str) -> dict[tuple[str | None, ...], Any]:
        if not self._by_name:
            self._by_name = {
                metric.full_name: {sample.labels: sample.value for sample in metric.samples}
                for metric in self.metrics.metrics
            }
        return self._by_name.get(name, {})

    def number(self, name: str, *labels: str) -> int:
        """A whole number; 0 where there is no such sample."""
        return int(self.samples(name).get(labels, 0))

    def total(self, name: str) -> int:
        return int(sum(self.samples(name).values()))

    def names(self, metric: str) -> list[str]:
        """First labels of a metric, in order: the instances that have it."""
        return [str(labels[0]) for labels in self.samples(metric)]

    def by_label(self, metric: str, instance: str) -> dict[str, int]:
        """Values of one instance by the metric's second label."""
        return {
            str(labels[1]): int(value)
            for labels, value in self.samples(metric).items()
            if labels[0] == instance
        }


class Health:
    """Errors and given-up retries over the last `hc_period` seconds; `look` is to be called about every second."""

    def __init__(self) -> None:
        self._history: deque[tuple[float, int, int]] = deque([(float("-inf"), 0, 0)])

    def look(self, errors: int, failed: int, period: float, now: float) -> tuple[int, int]:
        """Errors and given-up retries within the period; both are counts since the start."""
        history = self._history
        history.append((now, errors, failed))
        while len(history) > 1 and history[1][0] <= now - period:
            history.popleft()
        _, base_errors, base_failed = history[0]
        return max(0, errors - base_errors), max(0, failed - base_failed)
