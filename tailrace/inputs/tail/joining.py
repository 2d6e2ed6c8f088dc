"""What joins several lines of a file into one event, and what it holds back while an event may go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tailrace.model import Body, Metadata


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Events:
    """Events that are complete, as parallel lists."""

    times: list[int] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    metadata: list[Metadata] | None = None

    def add(self, time: int, body: Body, metadata: Metadata | None = None) -> None:
        self.times.append(time)
        self.bodies.append(body)
        if metadata and self.metadata is None:
            self.metadata = [{} for _ in self.bodies[1:]]
        if self.metadata is not None:
            self.metadata.append(metadata or {})


class Joiner(Protocol):
    """The state of one file's lines. Times are nanoseconds since the epoch, offsets bytes in the file."""

    @property
    def held_from(self) -> int | None:
        """Offset of the first line that is held back; None if none is."""

    @property
    def due_ns(self) -> int:
        """When to flush what is held, whether or not more lines come."""

    def feed(self, lines: Sequence[str], starts: Sequence[int], now_ns: int) -> Events:
        """Take lines; the events that are complete now."""

    def flush_due(self, now_ns: int) -> Events:
        """What has waited long enough; at least all that is due."""

    def flush(self, now_ns: int) -> Events:
        """Everything that is held, as it is."""


class Keys:
    """Where a line, its file and its offset go in a body."""

    def __init__(self, key: str, path_key: str, offset_key: str) -> None:
        self.key = key
        self.path_key = path_key
        self.offset_key = offset_key
        self.extra = bool(path_key or offset_key)

    def lead(self, path: str, start: int) -> Body:
        """A new body with the path and the offset."""
        body: Body = {}
        self.add(body, path, start)
        return body

    def add(self, body: Body, path: str, start: int) -> None:
        """The path and the offset, after what is there."""
        if self.path_key:
            body[self.path_key] = path
        if self.offset_key:
            body[self.offset_key] = start

    def raw(self, path: str, start: int, line: str) -> Body:
        """An unparsed line: path and offset come before it."""
        body = self.lead(path, start)
        body[self.key] = line
        return body
