"""Which files are followed: found, opened, followed through renaming, and let go of."""

from __future__ import annotations

import asyncio
import os
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from tailrace.inputs.tail.copies import Copies
from tailrace.inputs.tail.encodings import Encoding
from tailrace.inputs.tail.files import File, Identity
from tailrace.inputs.tail.joining import Joiner
from tailrace.inputs.tail.paths import Patterns, is_identity
from tailrace.inputs.tail.source import GzipSource, PlainSource, Source, Spot
from tailrace.inputs.tail.tagging import NoTag
from tailrace.inputs.tail.watching import Watcher
from tailrace.plugin import Context
from tailrace.plugin.low_water import LowWater

if TYPE_CHECKING:
    from tailrace.inputs.tail.keeping import Keeper
    from tailrace.inputs.tail.positions import Position

OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
SLICES = 8
"""A round of looking at all files is done in this many parts, so that no turn takes long."""
LONG_QUIET_ROUNDS = 240


class Rules(NamedTuple):
    """How files are followed. Times in seconds; `ignore_older` 0: never."""

    from_head: bool
    new_from_head: bool
    rotate_wait: float
    ignore_older: float
    ignore_active_older: bool
    tag: Callable[[str], str]
    encoding: Callable[[int], Encoding]
    """The encoding of an open file, by its descriptor."""
    joiner: Callable[[str], Joiner] | None
    takes: Callable[[str], bool] = lambda path: True
    """Whether a path is this engine's."""


class Follower:
    """The files of one input. Whoever reads takes from `ready` when `wake` is set."""

    def __init__(
        self,
        patterns: Patterns,
        rules: Rules,
        keeper: Keeper | None,
        context: Context,
    ) -> None:
        self.files: dict[Identity, File] = {}
        self.ready: deque[File] = deque()
        self.wake = asyncio.Event()
        self.watcher: Watcher | None = None
        self._patterns = patterns
        self.rules = rules
        self._keeper = keeper
        self._context = context
        self.log = context.log
        self._leaving: dict[File, None] = {}
        self._left_at: dict[Identity, int] = {}
        """Where files are read on from that were too old, or that an input before this one has followed."""
        self._unreadable: set[str] = set()
        self._round: list[File] = []
        self._rounds = 0
        self._started = False
        self._by_path: dict[str, File] = {}
        self._rewritten: list[Position] = []
        """Rows whose files hold something else now."""
        self._unknown: list[File] = []
        """Files of the first scan that had no row."""
        self.copies = Copies(self.enqueue, self.inherit, min(1.0, rules.rotate_wait))
        counter = context.metrics.counter
        self._opened = counter("fluentbit_input_files_opened_total", "Total number of opened files")
        self._closed = counter("fluentbit_input_files_closed_total", "Total number of closed files")
        self._rotated = counter(
            "fluentbit_input_files_rotated_total", "Total number of rotated files"
        )

    def places(self) -> dict[Identity, int]:
        """How far each file was read and given out whole; without compressed ones."""
        return {
            file.identity: file.low.mark[0] if file.low is not None else file.spot[0]
            for file in self.files.values()
            if not isinstance(file.source, GzipSource)
        }

    def go_on_at(self, places: dict[Identity, int]) -> None:
        """Files that have no row in a database are read on from here."""
        self._left_at.update(places)

    # Finding

    def start(self) -> None:
        """Find the files that are there now, and those that were rotated away since the last run."""
        self.scan()
        self._started = True
        if self._keeper is not None:
            from tailrace.inputs.tail.returning import find_copies, find_moved

            find_copies(self, self._keeper, self._rewritten, self._unknown)
            find_moved(self, self._keeper)
        self._rewritten.clear()
        self._unknown.clear()

    def scan(self) -> None:
        """Look for new files, and for followed ones that have gone from their names."""
        for path in self._patterns.scan():
            self._consider(path)
        if self._started:
            self.look_at_names()
        self._commit()
        if self.watcher is not None and (self.rules.new_from_head or not self._started):
            for directory in self._patterns.directories:
                self.watcher.watch_directory(directory)

    def _consider(self, path: str, succeeds: bool = False) -> None:
        """Follow a path that matches, unless its file is followed already.

        `succeeds`: another file had the name before, so nothing of this one was ever read.
        """
        if not self.rules.takes(path):
            return
        try:
            status = os.stat(path)
        except OSError:
            return  # gone again, or a link to nothing
        if not stat.S_ISREG(status.st_mode):
            return
        identity = status.st_dev, status.st_ino
        known = self.files.get(identity)
        if known is not None:
            if known.leaving:
                self._adopt(known, path)
        elif not self._is_too_old(identity, status):
            self._open(path, succeeds)

    def _is_too_old(self, identity: Identity, status: os.stat_result) -> bool:
        oldest = self.rules.ignore_older
        if not oldest:
            return False
        if status.st_mtime < self._context.clock.time_ns() / 1e9 - oldest:
            self._left_at.setdefault(identity, status.st_size)
            return True
        return False

    def _open(self, path: str, succeeds: bool) -> None:
        try:
            tag = self.rules.tag(path)
            fd = os.open(path, OPEN_FLAGS)
        except (OSError, NoTag) as error:
            self._complain(path, error)
            return
        status = os.fstat(fd)
        identity = status.st_dev, status.st_ino
        if not stat.S_ISREG(status.st_mode) or identity in self.files:
            os.close(fd)
            return
        self._unreadable.discard(path)
        row = None
        if self._keeper is not None:
            row = self._keeper.positions.claim(identity[1], path)
            succeeds = succeeds or self._keeper.positions.knows(path)
        try:
            file = self.follow(path, path, tag, fd, status, row, succeeds)
        except OSError as error:
            os.close(fd)
            self._complain(path, error)
        else:
            if row is None:
                self._examine(file)
            self.enqueue(file)

    def _examine(self, file: File) -> None:
        """A file that was never seen may be a copy of one that was."""
        if self._started:
            self.copies.examine(file, self._by_path.get, self._context.clock.monotonic())
        else:
            self._unknown.append(file)

    def _complain(self, path: str, error: Exception) -> None:
        if path not in self._unreadable:
            self._unreadable.add(path)
            reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
            self.log.error(f"cannot read {path}: {reason}; it is tried again at each refresh")

    def follow(
        self,
        path: str,
        shown: str,
        tag: str,
        fd: int,
        status: os.stat_result,
        row: Position | None,
        succeeds: bool = True,
    ) -> File:
        """Follow an open file; `shown` is the name that its events bear."""
        identity = status.st_dev, status.st_ino
        encoding = self.rules.encoding(fd)
        fits = row is not None and row.is_of(fd, status.st_size)
        start = self._start_of(status.st_size, identity, row, fits, succeeds)
        source = self._source(path, fd, status.st_size, start, row if fits else None)
        file = File(path, shown, tag, fd, identity, source, encoding)
        if row is not None and row.stream_offset > source.position and fits:
            file.go_on_at(row.stream_offset, lambda before: True)
        file.is_link = os.path.islink(path)
        if self.rules.joiner is not None:
            file.joiner = self.rules.joiner(shown)
        if self._keeper is not None:
            self._keeper.follow(file, row)
        self.files[identity] = self._by_path[path] = file
        if self.watcher is not None:
            self.watcher.add(file)
        self._opened.inc()
        self.log.debug(f"inode={identity[1]} with offset={source.position} appended as {path}")
        return file

    def _start_of(
        self, size: int, identity: Identity, row: Position | None, fits: bool, succeeds: bool
    ) -> int:
        """Where reading begins: where it stopped, else the head or the end."""
        left_at = self._left_at.pop(identity, None)
        if row is not None:
            if not fits:
                self._rewritten.append(replace(row))
            return row.offset if fits else 0
        if left_at is not None and left_at <= size:
            return left_at
        rules = self.rules
        from_head = rules.from_head or succeeds or (self._started and rules.new_from_head)
        return 0 if from_head else size

    def _source(self, path: str, fd: int, size: int, start: int, row: Position | None) -> Source:
        if not path.lower().endswith(".gz"):
            return PlainSource(fd, start)
        if start and start == size:  # all of it was read, or nothing of it is wanted
            return GzipSource(fd, row.stream_offset if row else 0, raw_offset=size)
        return GzipSource(fd)

    def _adopt(self, file: File, path: str) -> None:
        """A file that was renamed has a name that is meant."""
        file.leaving = False
        self._leaving.pop(file, None)
        self._rename(file, path)

    def _rename(self, file: File, path: str) -> None:
        self.log.info(f"inode={file.identity[1]} handle rotation(): {file.path} => {path}")
        if self._by_path.get(file.path) is file:
            del self._by_path[file.path]
        self._by_path[path] = file
        file.path = path
        file.is_link = os.path.islink(path)
        if self._keeper is not None:
            self._keeper.rename(file)

    # Copies

    def inherit(self, file: File, low: LowWater[Spot] | None) -> None:
        """A copy goes on where its original was read to; `low` is what of that is under way."""
        self.log.info(f"{file.path} goes on at {file.spot[0]}, where its original was read to")
        if self._keeper is not None:
            self._keeper.inherit(file, low)

    def succeed(self, file: File) -> None:
        """A file is about to be read from its head again or let go of: a copy of it goes on in its place."""
        self.copies.succeed(file, self._context.clock.monotonic())

    def look_at_copies(self) -> None:
        """Whether files that wait are copies."""
        self.copies.look(self._context.clock.monotonic())

    # Being told

    def enqueue(self, file: File) -> None:
        """Have the file read in its turn."""
        if not file.ready and not file.closed and not file.waiting:
            file.ready = True
            self.ready.append(file)
            self.wake.set()

    on_data = enqueue

    def on_entry(self, path: str) -> None:
        """A directory has a new entry."""
        if self._patterns.match(path):
            self._consider(path)
            self._commit()

    def _commit(self) -> None:
        """New files get their rows at once: after a crash they must not count as unknown."""
        if self._keeper is not None:
            self._keeper.commit()

    def on_overflow(self) -> None:
        """Changes were missed."""
        self.log.warn("inotify event queue overflow, looking at all files")
        for file in self.files.values():
            self.enqueue(file)
        self.scan()

    def on_name(self, file: File) -> None:
        """Look whether the file is still the one of its name."""
        if file.leaving or file.closed or is_identity(file.path, file.identity):
            return
        old, name = file.path, self._new_name(file)
        if name:
            self._rename(file, name)
        else:
            self.leave(file)
        if os.fstat(file.fd).st_nlink:
            self._rotated.inc()
        self._consider(old, succeeds=True)

    def _new_name(self, file: File) -> str:
        """The name in the same directory that the file has now, if it is meant."""
        try:
            real = os.readlink(f"/proc/self/fd/{file.fd}")
        except OSError:
            return ""
        name = os.path.join(os.path.dirname(file.path), os.path.basename(real))
        meant = self._patterns.match(name) and is_identity(name, file.identity)
        return name if meant else ""

    def leave(self, file: File) -> None:
        """The file has no name that is meant: it is let go of when it has been quiet."""
        file.leaving = True
        file.active_at = self._context.clock.monotonic()
        self._leaving[file] = None

    # Looking at intervals

    def look_at_some(self) -> None:
        """Look at the next part of all files, whether they have grown unnoticed."""
        if not self._round:
            self._round = list(self.files.values())
        count = len(self.files) // SLICES + 1
        part, self._round = self._round[:count], self._round[count:]
        for file in part:
            self._look_at(file)

    def look_at_all(self) -> None:
        """Look at every file (polling); at those that have been quiet for long only each eighth time."""
        self._rounds += 1
        turn = self._rounds % SLICES
        for file in list(self.files.values()):
            if file.quiet_rounds < LONG_QUIET_ROUNDS or file.identity[1] % SLICES == turn:
                self._look_at(file)

    def _look_at(self, file: File) -> None:
        if file.closed or file.ready:
            return
        status = os.fstat(file.fd)
        file.quiet_rounds += 1
        if status.st_size != file.size or status.st_mtime_ns != file.mtime_ns:
            file.size, file.mtime_ns, file.quiet_rounds = status.st_size, status.st_mtime_ns, 0
            self.enqueue(file)
        if not status.st_nlink:
            self.on_name(file)

    def look_at_names(self) -> None:
        """Whether files are still those of their names (polling)."""
        for file in list(self.files.values()):
            self.on_name(file)

    def look_at_links(self) -> None:
        """Whether symbolic links still lead where they led."""
        for file in list(self.files.values()):
            if file.is_link:
                self.on_name(file)

    def look_at_leaving(self) -> None:
        """Let go of renamed and deleted files that have been quiet for `rotate_wait`."""
        now = self._context.clock.monotonic()
        due = [
            file
            for file in self._leaving
            if not file.ready and file.active_at + self.rules.rotate_wait <= now
        ]
        if any(os.fstat(file.fd).st_nlink for file in due):
            self.scan()  # it may have a name that is meant, elsewhere
        for file in due:
            if file.leaving and not file.closed:
                file.closing = True
                self.enqueue(file)
        if self.rules.ignore_active_older:
            self._release_old()

    def _release_old(self) -> None:
        oldest = self._context.clock.time_ns() / 1e9 - self.rules.ignore_older
        for file in list(self.files.values()):
            if file.ready or file.leaving or file.is_pending or file.is_holding:
                continue
            if os.fstat(file.fd).st_mtime < oldest:
                self._left_at[file.identity] = file.source.position
                if self._keeper is not None:
                    self._keeper.release(file)
                self._close(file)

    # Letting go

    def let_go(self, file: File) -> None:
        """The file has been read to its end and nobody writes to it any more."""
        self._leaving.pop(file, None)
        self.succeed(file)
        self._close(file)
        if self._keeper is not None:
            self._keeper.let_go(file)

    def _close(self, file: File) -> None:
        file.closed = True
        if self.watcher is not None:
            self.watcher.remove(file)
        self.files.pop(file.identity, None)
        if self._by_path.get(file.path) is file:
            del self._by_path[file.path]
        os.close(file.fd)
        self._closed.inc()
        self.log.debug(f"inode={file.identity[1]} removing file name {file.path}")

    def close(self) -> None:
        """Stop following."""
        if self.watcher is not None:
            self.watcher.close()
            self.watcher = None
        for file in list(self.files.values()):
            self._close(file)
        self.ready.clear()


def raise_open_files_limit(resource: Any, wanted: int = 1 << 16) -> None:
    """Let the process hold as many files open as it may, up to `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = wanted
    if soft < min(hard, wanted):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))
