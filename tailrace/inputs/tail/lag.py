"""How far delivery is behind what is in the files: bytes, and seconds since it was last level with them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tailrace.inputs.tail.files import File
from tailrace.inputs.tail.source import GzipSource
from tailrace.plugin.context import Context

MOST_FILES = 100
"""Files that are told of one by one, those furthest behind."""


class Lag:
    """Gauges of one input; `measure` sets them."""

    def __init__(self, context: Context) -> None:
        gauge = context.metrics.gauge
        self._clock = context.clock
        self._bytes = gauge(
            "tailrace_input_file_lag_bytes",
            "Bytes of a file that are not delivered yet (the 100 files furthest behind).",
            ("file",),
        )
        self._seconds = gauge(
            "tailrace_input_file_lag_seconds",
            "Seconds since everything in a file was delivered.",
            ("file",),
        )
        self._total = gauge(
            "tailrace_input_lag_bytes", "Bytes of all followed files that are not delivered yet."
        )
        self._files = gauge("tailrace_input_files", "Files that are followed.")
        self._behind_since: dict[File, float] = {}

    def measure(self, files: Iterable[File]) -> None:
        now = self._clock.monotonic()
        known = [(behind(file), file) for file in files]
        before, self._behind_since = self._behind_since, {}
        for size, file in known:
            if size:
                self._behind_since[file] = before.get(file, now)
        self._bytes.clear()
        self._seconds.clear()
        known.sort(key=lambda pair: -pair[0])
        for size, file in known[:MOST_FILES]:
            self._bytes.set(size, file.path)
            self._seconds.set(now - self._behind_since.get(file, now), file.path)
        self._total.set(sum(size for size, _ in known))
        self._files.set(len(known))


def behind(file: File) -> int:
    """Bytes that are not delivered; of a compressed file, those that are not read."""
    try:
        size = os.fstat(file.fd).st_size
    except OSError:
        return 0
    if isinstance(file.source, GzipSource):
        return 0 if file.source.at_end else max(0, size - file.source.raw_offset)
    settled = file.low.mark[0] if file.low is not None else file.source.position
    return max(0, size - settled)
