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
    merge,
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
    "merge",
]
