"""The block `telemetry` of the service and of inputs: whether events are counted by tag, and up to where.

telemetry:
  metrics:
    logs:
      tag_records:
        enabled: true
        max_series: 200        # service only
        max_tag_length: 64     # service only
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tailrace.config.errors import ConfigError, did_you_mean
from tailrace.config.source import Value
from tailrace.config.types import Reader, read_bool

WAY = ("telemetry", "metrics", "logs", "tag_records")
INTEGER = re.compile(r"\s*[+-]?\d{1,10}")
MOST, LEAST = 2**31 - 1, -(2**31)


class TagRecords(NamedTuple):
    """What counting by tag is held to; limits of 0 and less are none."""

    enabled: bool = False
    max_series: int = 500
    """Most pairs of input and tag, of all inputs together."""
    max_tag_length: int = 128
    """Most bytes of a tag."""


def read_service_telemetry(value: Value) -> TagRecords:
    """Of the service. Unknown keys and limits that are no whole number of 32 bit are errors, as in Fluent Bit."""
    found = tag_records_of(value, ("enabled", "max_series", "max_tag_length"))
    values: dict[str, Any] = {
        key: read_bool(given) if key == "enabled" else read_limit(key, given)
        for key, given in found.items()
    }
    return TagRecords(**values)


def read_input_telemetry(value: Value) -> bool | None:
    """Of an input, which has the switch alone; None: as the service says."""
    found = tag_records_of(value, ("enabled",))
    return read_bool(found["enabled"]) if "enabled" in found else None


def tag_records_of(value: Value, keys: tuple[str, ...]) -> dict[str, Value]:
    """The innermost map, by names in lower case."""
    for depth, name in enumerate(WAY):
        path = ".".join(WAY[: depth + 1])
        known = (WAY[depth + 1],) if depth + 1 < len(WAY) else keys
        if not isinstance(value, dict):
            raise ConfigError(f"'{path}' must be a map.", f"It has: {', '.join(known)}.")
        inner = {key.lower(): each for key, each in value.items()}
        for key in inner:
            if key not in known:
                mend = did_you_mean(key, known) or f"It has: {', '.join(known)}."
                raise ConfigError(f"'{path}' has no '{key}' here.", mend)
        if name == WAY[-1]:
            return inner
        if WAY[depth + 1] not in inner:
            break
        value = inner[WAY[depth + 1]]
    return {}


def read_limit(key: str, value: Value) -> int:
    if (
        not isinstance(value, str)
        or not INTEGER.fullmatch(value)
        or not LEAST <= int(value) <= MOST
    ):
        raise ConfigError(f"{key}: {value!r} is no whole number of 32 bit.", "As: 500.")
    return int(value)


SERVICE_TELEMETRY = Reader("structure", read_service_telemetry, schema={})
INPUT_TELEMETRY = Reader("structure", read_input_telemetry, schema={})
