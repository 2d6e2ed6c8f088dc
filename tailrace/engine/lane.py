"""What an output's queue is made of: items, batches and lanes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from tailrace.model import LOGS, Chunk, Receipt, merge

LATEST_NS = 0xFFFFFFFD * 10**9

Key = tuple[str, Any, Any]
"""Tag, kind, source."""


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Item:
    """A chunk on its way to one output; `receipt` holds a share for this route."""

    chunk: Chunk
    receipt: Receipt
    count: int
    nbytes: int
    """Memory, raw bytes."""
    size: int = 0
    """Raw bytes of the events, in memory or not."""
    disk_bytes: int = 0
    """Size of its file, if it has one."""
    order: int = 0
    """Grows with each chunk that the queue takes."""
    source: str = ""
    born: float = 0.0
    """When it was queued, by the loop's clock."""
    packed: int = 0
    """Size as MessagePack, for the counts."""
    is_rest: bool = False
    """What was to be sent again of a batch: its files, if there are any, hold more than that, and the output's processors have seen it."""

    def rest(self) -> None:
        """While it waits for an output that is away let it take little memory."""
        let_rest(self.chunk)


def let_rest(chunk: Chunk) -> None:
    """Pack decoded logs, if all of them can be."""
    if chunk.decoded and chunk.kind is LOGS and chunk.count and holds_times(chunk.times):
        from tailrace.wire.msgpack import encode_events
        from tailrace.wire.packed import decode_packed

        with suppress(ValueError):  # values that are too deep stay as they are
            chunk.seal(encode_events, decode_packed)


def holds_times(times: Sequence[int]) -> bool:
    """Whether MessagePack keeps the times to the nanosecond."""
    return min(times) >= 0 and max(times) < LATEST_NS


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Batch:
    """What one flush takes: the items, and the chunk made of them while it is needed."""

    items: list[Item]
    chunk: Chunk | None = None
    attempts: int = 0
    """Tries that counted."""

    @property
    def count(self) -> int:
        return sum(item.count for item in self.items)

    def merge(self) -> Chunk:
        """The chunk of all items; what lies on disk is read, and stays out of the items. `OSError`, `ValueError`."""
        merged = merge([item.chunk.unopened() for item in self.items])
        if merged.kind is not LOGS:
            merged.open()
        return merged

    def drop_oldest(self) -> Item:
        """Take the oldest item out of a batch that waits."""
        self.chunk = None
        return self.items.pop(0)

    def rest(self, keeps_chunk: bool = False) -> None:
        """While the batch waits let it take little memory: on disk, or packed.

        `keeps_chunk`: what processors made of it stays, since they must not see it again (deltas, hashes).
        """
        for item in self.items:
            item.rest()
        if keeps_chunk:
            if self.chunk is not None:
                let_rest(self.chunk)
        elif not any(item.chunk.decoded for item in self.items):
            self.chunk = None


class State(Enum):
    IDLE = auto()
    WAITING = auto()
    READY = auto()
    FLUSHING = auto()
    RETRYING = auto()


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Lane:
    """The chunks of one tag from one source, in order."""

    key: Key
    state: State = State.IDLE
    items: deque[Item] = field(default_factory=deque)
    nbytes: int = 0
    urgent: bool = False
    due: float = 0.0
    """When it is to be flushed, or tried again."""
    batch: Batch | None = None
    turn: int = 0
    """Of its latest entry in the heap of retries; older ones are void."""
    number: int = 0
    """Of the lanes with this key: with several workers there are as many, so that one tag can be sent several times at once."""

    @property
    def oldest(self) -> Item | None:
        """The oldest chunk that waits; what is being sent right now does not."""
        if self.batch is not None and self.state is State.RETRYING:
            return self.batch.items[0]
        return self.items[0] if self.items else None
