"""New files that may be copies of followed ones: what `copytruncate` and compressing rotated files leave behind.

A copy bears its original's name with something added and begins with the same bytes. Its reading waits until the
original is truncated or gone, and then goes on where reading of the original stopped: what was read is not
read twice, and what was not read is not lost. A file that turns out to be no copy is read from its head.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tailrace.inputs.tail.files import File
from tailrace.inputs.tail.marker import HEAD_BYTES, marker_of
from tailrace.inputs.tail.source import GzipSource, PlainSource

if TYPE_CHECKING:
    from tailrace.inputs.tail.positions import Position

LEAST_BYTES = 256
"""Less than this is never taken for a copy: little text is easily written twice."""
PATIENCE_SECONDS = 30.0
"""How long a copy waits while its original goes on as if nothing had happened."""
MEMORY_SECONDS = 120.0
MOST_REMEMBERED = 64

Fits = Callable[[bytes], bool]
"""Whether the bytes before an offset are those that were read there."""


class Ending(NamedTuple):
    """How far a file was read that was truncated or is gone; `at` is when, `low` what of it is under way."""

    path: str
    offset: int
    before: bytes
    low: Any
    at: float


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Suspect:
    """The original of a file that waits, and since when. `alike`: their first bytes are the same."""

    original: File
    since: float
    alike: bool = False


class Copies:
    """The files of one input that wait.

    `release` is called with each that may be read, `inherit` before it with one that goes on in its original's place.
    """

    def __init__(
        self,
        release: Callable[[File], None],
        inherit: Callable[[File, Any], None],
        quiet_seconds: float,
    ) -> None:
        self._release = release
        self._inherit = inherit
        self._quiet_seconds = quiet_seconds
        self._suspects: dict[File, Suspect] = {}
        self._endings: deque[Ending] = deque(maxlen=MOST_REMEMBERED)

    def examine(self, file: File, find: Callable[[str], File | None], now: float) -> None:
        """A new file: have it go on in the place of one that has ended, or wait if it may be a copy.

        `find` gives the followed file of a path.
        """
        ending = self._ending_for(file, now)
        if ending is not None:
            self._endings.remove(ending)
            self._inherit(file, ending.low)
            return
        for path in shortened(file.path):
            original = find(path)
            if original is not None and not original.waiting:
                self._suspects[file] = Suspect(original, now)
                file.waiting = True
                return

    def _ending_for(self, file: File, now: float) -> Ending | None:
        names = set(shortened(file.path))
        for ending in self._endings:
            recent = ending.path in names and now - ending.at < MEMORY_SECONDS
            if recent and goes_on(file, ending.offset, ending.before.__eq__):
                return ending
        return None

    def look(self, now: float) -> None:
        """Let go of files that are no copies after all."""
        for file, suspect in list(self._suspects.items()):
            if file.closed or not self._may_be_copy(file, suspect, now):
                self._free(file)

    def _may_be_copy(self, file: File, suspect: Suspect, now: float) -> bool:
        if suspect.original.leaving:
            return True
        waited = now - suspect.since
        if not suspect.alike:
            head = head_of(file, HEAD_BYTES)
            if len(head) < LEAST_BYTES:
                return waited < self._quiet_seconds
            suspect.alike = head == head_of(suspect.original, len(head))
        return suspect.alike and waited < PATIENCE_SECONDS

    def _free(self, file: File) -> None:
        del self._suspects[file]
        file.waiting = False
        if not file.closed:
            self._release(file)

    def succeed(self, original: File, now: float) -> None:
        """A file is about to be read from its head again, or to be let go of: its copy takes its place."""
        offset, before = original.source.here
        if offset < LEAST_BYTES or not isinstance(original.source, PlainSource):
            return
        self._endings.append(Ending(original.path, offset, before, original.low, now))
        for file, suspect in list(self._suspects.items()):
            if suspect.original is original:
                self.examine(file, lambda path: None, now)
                self._free(file)


def shortened(path: str) -> Iterator[str]:
    """Names that copying or compressing may have made this one of: in.log.1 comes from in.log, in.log.1.gz from both."""
    for size in range(len(path) - 1, path.rfind("/") + 1, -1):
        yield path[:size]


def head_of(file: File, size: int) -> bytes:
    """The first bytes of what a file holds, decompressed if need be."""
    if isinstance(file.source, GzipSource):
        return GzipSource(file.fd).peek(size)[0]
    return os.pread(file.fd, size, 0)


def goes_on(file: File, offset: int, fits: Fits) -> bool:
    """Have a file read on at an offset that another was read to; False if it holds something else there."""
    if isinstance(file.source, GzipSource):
        file.go_on_at(offset, fits)
        return True
    source = PlainSource(file.fd, offset)
    if os.fstat(file.fd).st_size < offset or not fits(source.here[1]):
        return False
    file.source = source
    file.spot = source.here
    return True


def goes_on_from_row(file: File, row: Position) -> bool:
    """The same at the start of the agent, for a file that is gone or was rewritten while it did not run."""
    if min(row.head_bytes, row.offset) < LEAST_BYTES:
        return False
    if not row.has_head(head_of(file, row.head_bytes)):
        return False
    return goes_on(
        file, row.offset, lambda before: marker_of(before[-row.marker_bytes :]) == row.marker
    )
