"""One memory budget for what the pipeline holds (`service.memory_limit`), so that inputs wait before memory runs out.

What connections hold of messages that are not whole is taken off it. What waits in queues is weighed in the form it has: undecoded lines and MessagePack take about their size, decoded
events several times that. The sum is made now and then, and only when the raw sizes say that it may matter.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterable
from pathlib import Path

from tailrace.model import Chunk

SHARE = 0.25
"""Of the memory of the machine or its cgroup, where the configuration says nothing."""
LEAST_LIMIT = 16 << 20
DECODED_FACTOR = 6
"""Maps and values of Python take about this many times the raw size (measured on events of 250 bytes)."""
DECODED_EVENT, LINE, STUB = 200, 100, 256
"""Bytes that an event costs beside that."""
SAMPLE_SECONDS = 0.1
CGROUP_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
UNLIMITED = 1 << 60


def weight(chunk: Chunk) -> int:
    """About how many bytes a chunk takes in its present form."""
    if chunk.decoded:
        return DECODED_FACTOR * chunk.nbytes + DECODED_EVENT * chunk.count
    if chunk.packed is not None:
        return len(chunk.packed)
    if chunk.is_deferred:
        return STUB
    return chunk.nbytes + LINE * chunk.count


def available_bytes(cgroup_files: Iterable[Path] = CGROUP_FILES) -> int:
    """The memory of the machine, or less if the cgroup or the process has a limit."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(soft)
    for path in cgroup_files:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < UNLIMITED:
            limits.append(int(text))
    return min(limits)


class MemoryBudget:
    """Whether what `chunks` gives fits into `limit` bytes. `raw`: their raw sizes, found faster.

    `held`: what inputs hold beside that, which is taken off the limit. A quarter always stays for chunks: what is
    held becomes less only when inputs go on.
    """

    def __init__(
        self,
        limit: int,
        raw: Callable[[], int],
        chunks: Callable[[], Iterable[Chunk]],
        now: Callable[[], float],
        held: Callable[[], int] = lambda: 0,
    ) -> None:
        self.limit = max(LEAST_LIMIT, limit or int(available_bytes() * SHARE))
        self.used = 0
        """Bytes at the last look."""
        self._raw = raw
        self._chunks = chunks
        self._now = now
        self._held = held
        self._next = self._next_held = 0.0
        self._room = self.limit

    @property
    def is_spent(self) -> bool:
        if self._now() >= self._next_held:
            self._room = max(self.limit - self._held(), self.limit // 4)
            self._next_held = self._now() + SAMPLE_SECONDS
        if self._raw() * (DECODED_FACTOR + 2) < self._room:
            return False
        if self._now() >= self._next:
            self.used = sum(
                weight(chunk) for chunk in {id(each): each for each in self._chunks()}.values()
            )
            self._next = self._now() + SAMPLE_SECONDS
        return self.used >= self._room
