"""What flows through the pipeline."""

from tailrace.model.chunk import (
    LOGS,
    METRICS,
    PROFILES,
    TRACES,
    Body,
    Chunk,
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
    "Metadata",
    "Receipt",
    "Signal",
    "merge",
]
