"""What flows through the pipeline."""

from tailrace.model.chunk import (
    LOGS,
    METRICS,
    PROFILES,
    TRACES,
    Body,
    Chunk,
    Decoded,
    Group,
    Groups,
    Metadata,
    Signal,
    group_runs,
    merge,
    repeated,
    shared,
)
from tailrace.model.receipt import Receipt

__all__ = [
    "LOGS",
    "METRICS",
    "PROFILES",
    "TRACES",
    "Body",
    "Chunk",
    "Decoded",
    "Group",
    "Groups",
    "Metadata",
    "Receipt",
    "Signal",
    "group_runs",
    "merge",
    "repeated",
    "shared",
]
