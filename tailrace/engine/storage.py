"""Filesystem storage: chunks that lie on disk until each of their outputs has ended.

The folder is Fluent Bit's: `storage.path/STREAM/PID-SECONDS.NANOSECONDS.flb`, one file a chunk. A chunk whose
file is written is durable, so its input may commit. What an earlier run left (the backlog) is delivered by tag, or by the
routes in the file, without passing the filters again.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tailrace.config.errors import ConfigError
from tailrace.model import Chunk
from tailrace.plugin.log import Log
from tailrace.wire import chunkfile
from tailrace.wire.chunkfile import ChunkFile, ChunkFileError
from tailrace.wire.msgpack import MsgpackError, decode_events, encode_events

FILE_NAME = re.compile(r"(\d+)-(\d+)\.(\d+)")
LOCK_NAME = ".tailrace.lock"
DAMAGED_SUFFIX = ".damaged"


class StoredChunk:
    """A chunk's file; `remove` when all its routes have ended."""

    __slots__ = ("_storage", "count", "path", "size")

    def __init__(self, storage: Storage, path: Path, size: int, count: int) -> None:
        self._storage = storage
        self.path = path
        self.size = size
        self.count = count

    def remove(self) -> None:
        self._storage.remove(self.path)

    def load(self) -> tuple[list[int], Any, list[Any]]:
        """Times, metadata and bodies, read anew."""
        file = self._storage.read(self.path)
        return events_of(file)[:3]

    def stub(self, tag: str) -> Chunk:
        """A chunk that takes no memory until somebody looks into it."""
        chunk = Chunk(tag, [], [], None, 256)
        chunk.defer(self.count, self.load)
        return chunk


def events_of(file: ChunkFile) -> tuple[list[int], Any, list[Any], bool]:
    """The events of a file and whether all could be read; what follows a damaged record is left out."""
    events = decode_events(file.events, lenient=True)
    return events.times, events.metadata, events.bodies, events.is_whole and not file.is_cut


class Storage:
    """One `storage.path`. Locked, so that two agents never share it."""

    def __init__(
        self,
        path: Path,
        log: Log,
        *,
        sync_full: bool = False,
        checksum: bool = False,
        delete_damaged: bool = False,
    ) -> None:
        self.path = path
        self._log = log
        self._sync_full = sync_full
        self._checksum = checksum
        self._delete_damaged = delete_damaged
        self._lock: int | None = None
        self._last_ns = 0
        self.damaged_files = 0

    def open(self) -> None:
        """Make the folder and lock it; `ConfigError` if that can't be done."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(
                self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise ConfigError(
                f"storage.path: '{self.path}' can't be used: {error.strerror}.",
                "Give a folder that can be written.",
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise ConfigError(
                f"storage.path: '{self.path}' is used by another agent.",
                "Give each agent a folder of its own.",
            ) from None

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # Writing

    def write(self, stream: str, chunk: Chunk, routes: tuple[str, ...] = ()) -> StoredChunk:
        """Write a chunk of logs; `OSError` if the disk won't take it."""
        events = chunk.packed
        if events is None:
            events = encode_events(chunk.times, chunk.metadata, chunk.bodies)
        data = chunkfile.encode(ChunkFile(chunk.tag, events, routes=routes), self._checksum)
        path = self._new_path(stream)
        try:
            self._write(path, data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(path, data)
        return StoredChunk(self, path, len(data), chunk.count)

    def _new_path(self, stream: str) -> Path:
        now = max(time.time_ns(), self._last_ns + 1)
        self._last_ns = now
        folder = stream.replace("/", "_").lstrip(".") or "_"
        return self.path / folder / f"{os.getpid()}-{now // 10**9}.{now % 10**9:09d}.flb"

    def _write(self, path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            written = 0
            while written < len(data):
                written += os.write(descriptor, memoryview(data)[written:])
            if self._sync_full:
                os.fdatasync(descriptor)
        except OSError:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        try:
            path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            self._log.error(
                f"[storage] {path} is delivered but can't be removed: {error.strerror}; it will be sent again"
            )

    # Reading

    def read(self, path: Path) -> ChunkFile:
        """`OSError` or `ChunkFileError` if the file can't be read."""
        return chunkfile.decode(path.read_bytes(), self._checksum)

    def backlog(
        self, own: Callable[[Path], bool] = lambda path: False
    ) -> Iterator[tuple[StoredChunk, ChunkFile]]:
        """What earlier runs left, oldest first by the time in the name. Damaged files are set aside and passed over."""
        for path in sorted(self._files(), key=age):
            if own(path):
                continue
            found = self._open_backlog_file(path)
            if found is not None:
                yield found

    def _files(self) -> list[Path]:
        found: list[Path] = []
        for folder in self.path.iterdir():
            if folder.is_dir():
                found += [
                    path
                    for path in folder.iterdir()
                    if path.is_file()
                    and not path.name.endswith(DAMAGED_SUFFIX)
                    and not path.name.startswith(".")
                ]
        return found

    def _open_backlog_file(self, path: Path) -> tuple[StoredChunk, ChunkFile] | None:
        try:
            data = path.read_bytes()
            if not data:
                path.unlink()
                return None
            file = chunkfile.decode(data, self._checksum)
            if file.kind != chunkfile.LOGS:
                self._log.warn(f"[storage] {path} holds no logs; it stays where it is")
                return None
            times, _, bodies, is_whole = events_of(file)
        except (OSError, ChunkFileError, MsgpackError) as error:
            self._set_aside(path, str(error))
            return None
        if not is_whole:
            self._log.error(
                f"[storage] {path} is damaged: {len(bodies)} events before the damage are delivered"
            )
            self.damaged_files += 1
        if not times:
            self._set_aside(path, "it holds no event that can be read")
            return None
        return StoredChunk(self, path, len(data), len(bodies)), file

    def _set_aside(self, path: Path, why: str) -> None:
        """Leave a damaged file where it is (the original's place), counted and named; or delete it, if told to."""
        self.damaged_files += 1
        if self._delete_damaged:
            path.unlink(missing_ok=True)
            self._log.error(
                f"[storage] format check failed: {path}: {why}; it is deleted (storage.delete_irrecoverable_chunks)"
            )
        else:
            self._log.error(
                f"[storage] format check failed: {path}: {why}; it is passed over and stays there"
            )


def age(path: Path) -> tuple[int, int, str]:
    """Sorts files by the time in their names; others come last."""
    found = FILE_NAME.match(path.name)
    if not found:
        return (1 << 62, 0, path.name)
    return (int(found.group(2)), int(found.group(3)), path.name)
