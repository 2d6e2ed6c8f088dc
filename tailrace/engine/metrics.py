"""The agent's own counters and gauges, kept by instance; the API and `fluentbit_metrics` read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal


class Family:
    """One metric with all its label values; `values` holds the number by labels, the instance first."""

    def __init__(
        self,
        name: str,
        description: str,
        kind: Literal["counter", "gauge"],
        labels: tuple[str, ...],
    ) -> None:
        self.name = name
        self.description = description
        self.kind = kind
        self.labels = labels
        self.values: dict[tuple[str, ...], float] = {}
        self.instances: set[str] = set()
        """Who may count here, whether they have or not."""


class BoundMetric:
    """A family as one instance sees it: its name is the first label."""

    __slots__ = ("family", "instance")

    def __init__(self, family: Family, instance: str) -> None:
        self.family = family
        self.instance = instance

    def inc(self, amount: float = 1, *labels: str) -> None:
        key = (self.instance, *labels)
        values = self.family.values
        values[key] = values.get(key, 0) + amount

    def set(self, value: float, *labels: str) -> None:
        self.family.values[self.instance, *labels] = value

    def clear(self) -> None:
        """Forget what this instance has set or counted."""
        values = self.family.values
        for key in [key for key in values if key[0] == self.instance]:
            del values[key]


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

    def counters_of(self, instance: str) -> list[str]:
        """Names of the counters without further labels that an instance has."""
        return [
            name
            for name, family in self.families.items()
            if instance in family.instances and family.kind == "counter" and len(family.labels) == 1
        ]


class InstanceMetrics:
    """What `context.metrics` is."""

    def __init__(self, registry: MetricRegistry, instance: str) -> None:
        self._registry = registry
        self._instance = instance

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> BoundMetric:
        return self._bound(self._registry.family(name, description, "counter", labels))

    def gauge(self, name: str, description: str, labels: Sequence[str] = ()) -> BoundMetric:
        return self._bound(self._registry.family(name, description, "gauge", labels))

    def _bound(self, family: Family) -> BoundMetric:
        family.instances.add(self._instance)
        return BoundMetric(family, self._instance)
