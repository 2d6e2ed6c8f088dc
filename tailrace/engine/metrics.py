"""The agent's own counters and gauges, kept by instance; the API and `fluentbit_metrics` read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True)
class Family:
    """One metric with all its label values; `values` holds the number by labels, the instance first."""

    name: str
    description: str
    kind: Literal["counter", "gauge"]
    labels: tuple[str, ...]
    values: dict[tuple[str, ...], float] = field(default_factory=dict)


@dataclass(slots=True)
class BoundMetric:
    """A family as one instance sees it: its name is the first label."""

    family: Family
    instance: str

    def inc(self, amount: float = 1, *labels: str) -> None:
        key = (self.instance, *labels)
        values = self.family.values
        values[key] = values.get(key, 0) + amount

    def set(self, value: float, *labels: str) -> None:
        self.family.values[self.instance, *labels] = value


class MetricRegistry:
    """All families of one agent; they outlive a reload."""

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}

    def family(
        self, name: str, description: str, kind: Literal["counter", "gauge"], labels: Sequence[str]
    ) -> Family:
        found = self.families.get(name)
        if found is None:
            found = self.families[name] = Family(name, description, kind, ("name", *labels))
        return found


class InstanceMetrics:
    """What `context.metrics` is."""

    def __init__(self, registry: MetricRegistry, instance: str) -> None:
        self._registry = registry
        self._instance = instance

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> BoundMetric:
        return BoundMetric(
            self._registry.family(name, description, "counter", labels), self._instance
        )

    def gauge(self, name: str, description: str, labels: Sequence[str] = ()) -> BoundMetric:
        return BoundMetric(
            self._registry.family(name, description, "gauge", labels), self._instance
        )
