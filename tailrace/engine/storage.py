"""Filesystem storage: chunks that lie on disk until each of their outputs has ended.

The folder is Fluent Bit's: `storage.path/STREAM/PID-SECONDS.NANOSECONDS.flb`, one file a chunk. A chunk whose
file is written is durable, so its input may commit. What an earlier run left (the backlog) is delivered by tag, or by the
routes in the file, without passing the filters again.

Of a damaged file all events that can be read are delivered; then it is set aside in `storage.path/.damaged`, where neither
agent looks, with the reason beside it. A file of which nothing can be read stays where it is.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tailrace.config.errors import ConfigError
from tailrace.engine.payloads import FILE_KINDS, KINDS, READABLE, pack, unpack
from tailrace.engine.spares import Spares, write_all
from tailrace.model import Chunk, Decoded
from tailrace.plugin.dead_letters import SUFFIX as LETTERS_SUFFIX
from tailrace.plugin.log import Log
from tailrace.wire import chunkfile
from tailrace.wire.chunkfile import ChunkFile, ChunkFileError
from tailrace.wire.msgpack import decode_events
from tailrace.wire.packed import decode_whole

FILE_NAME = re.compile(r"(\d+)-(\d+)\.(\d+)")
LOCK_NAME = ".tailrace.lock"
DAMAGED_FOLDER = ".damaged"
REPLAY_FOLDER = "replayed"
"""Files that appear here while the agent runs are delivered (`tailrace dlq replay`)."""
BLOCK_BYTES = 4096
"""What a file takes on the disk is a multiple of this; limits count that, as Fluent Bit does."""
PROBE_BYTES = 1 << 16


class StoredChunk:
    """A chunk's file; `remove` when all its routes have ended.

    `size` is what it takes on the disk. `damage` says what is wrong with a file that can be read in part.
    """

    __slots__ = ("_storage", "count", "damage", "kind", "path", "size")

    def __init__(
        self,
        storage: Storage,
        path: Path,
        nbytes: int,
        count: int,
        damage: str = "",
        kind: int = chunkfile.LOGS,
    ) -> None:
        self._storage = storage
        self.path = path
        self.size = blocks(nbytes)
        self.count = count
        self.damage = damage
        self.kind = kind

    def remove(self) -> None:
        if self.damage:
            self._storage.set_aside(self.path, self.damage)
        else:
            self._storage.remove(self.path)

    def restrict(self, routes: tuple[str, ...]) -> None:
        """From now on the file is for these outputs alone; `OSError` if it can't be written anew."""
        self._storage.rewrite(self.path, routes)

    def load(self) -> Decoded:
        """Its events, read anew."""
        return events_of(self._storage.read(self.path), self.count)[0]

    def load_payload(self) -> Any:
        """What a file of one set of metrics, traces or profiles holds, read anew."""
        found = unpack(self._storage.read(self.path))
        if len(found) != 1:
            raise ChunkFileError(f"{len(found)} sets stand where one is looked for")
        return found[0].payload

    def stub(self, tag: str) -> Chunk:
        """A chunk that takes no memory until somebody looks into it; the file must be of logs, or of one set."""
        if self.kind != chunkfile.LOGS:
            return Chunk.of_stub(tag, KINDS[self.kind], self.count, self.load_payload)
        chunk = Chunk(tag, [], [], None, 256)
        chunk.defer(self.count, self.load)
        return chunk

    def chunks(self, tag: str) -> list[Chunk]:
        """Stubs of what the file holds; several sets in one file come as they are. `OSError`, `ChunkFileError`."""
        if self.kind == chunkfile.LOGS:
            return [self.stub(tag)]
        found = unpack(self._storage.read(self.path))
        return [self.stub(tag)] if len(found) == 1 else found


def blocks(nbytes: int) -> int:
    """Bytes that a file takes on the disk."""
    return -(-nbytes // BLOCK_BYTES) * BLOCK_BYTES


def events_of(file: ChunkFile, count: int = 0) -> tuple[Decoded, bool]:
    """The events of a file and whether all could be read; what can't be read is left out. `count`: how many there may be."""
    whole = None if file.is_cut else decode_whole(file.events, count)
    if whole is not None:
        return whole, True
    events = decode_events(file.events, lenient=True)
    return Decoded(*events[:4]), events.is_whole and not file.is_cut


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
        self._checksum = checksum
        self._delete_damaged = delete_damaged
        self._lock: int | None = None
        self._last_ns = 0
        self.damaged_files = 0
        """Files of which not all could be read."""
        self.syncs = Syncs() if sync_full else None
        self.spares = Spares(path)

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
        self.spares.open()

    def close(self) -> None:
        if self.syncs is not None:
            self.syncs.close()
        if self._lock is not None:
            self.spares.clear()
            os.close(self._lock)
            self._lock = None

    # Writing

    def write(self, stream: str, chunk: Chunk, routes: tuple[str, ...] = ()) -> StoredChunk:
        """Write a chunk of a kind that is `STORABLE`; `OSError` if the disk won't take it."""
        data = chunkfile.encode(pack(chunk, routes), self._checksum)
        path = self._new_path(stream)
        try:
            self._write_chunk(path, data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write_chunk(path, data)
        return StoredChunk(self, path, len(data), chunk.count, kind=FILE_KINDS[chunk.kind])

    def _write_chunk(self, path: Path, data: bytes) -> None:
        try:
            if self.spares.write(path, data):
                return
        except FileNotFoundError:
            raise
        except OSError:  # full: the spares themselves may take the room
            self.spares.clear()
        self._write(path, data)

    def rewrite(self, path: Path, routes: tuple[str, ...]) -> None:
        """Give a file other routes. The old one is there until the new one is whole."""
        file = self.read(path)
        data = chunkfile.encode(replace(file, routes=routes), self._checksum)
        fresh = path.with_name(f".{path.name}")
        fresh.unlink(missing_ok=True)
        self._write(fresh, data)
        fresh.replace(path)

    def has_room(self) -> bool:
        """Whether the disk takes a file again; tells so by trying."""
        probe = self.path / ".tailrace.probe"
        try:
            probe.unlink(missing_ok=True)
            self._write(probe, bytes(PROBE_BYTES))
            probe.unlink()
        except OSError:
            return False
        return True

    def _new_path(self, stream: str) -> Path:
        now = max(time.time_ns(), self._last_ns + 1)
        self._last_ns = now
        folder = stream.replace("/", "_").lstrip(".") or "_"
        return self.path / folder / f"{os.getpid()}-{now // 10**9}.{now % 10**9:09d}.flb"

    def _write(self, path: Path, data: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(descriptor, data)
        except OSError:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        if self.spares.keep(path):
            return
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
        data = path.read_bytes()
        return chunkfile.decode(data, self._checksum and not is_torn(data))

    def backlog(
        self, own: Callable[[Path], bool] = lambda path: False
    ) -> Iterator[tuple[StoredChunk, ChunkFile]]:
        """What earlier runs left, oldest first by the time in the name. Damaged files are set aside and passed over."""
        for path in self.files():
            if own(path):
                continue
            found = self.open_file(path)
            if found is not None:
                yield found

    def files(self) -> list[Path]:
        """All files in the folders of streams, oldest first by the time in the name."""
        found: list[Path] = []
        try:
            for folder in stream_folders(self.path):
                found += self._files_in(folder)
        except OSError as error:
            self._log.error(f"[storage] {self.path} can't be read: {error.strerror}")
        return sorted(found, key=age)

    def _files_in(self, folder: Path) -> list[Path]:
        """The chunk files of one folder; one that can't be read is told and passed over."""
        try:
            return [path for path in visible_files(folder) if path.suffix != LETTERS_SUFFIX]
        except OSError as error:
            self._log.error(
                f"[storage] {folder} can't be read: {error.strerror}; its chunks stay there"
            )
            return []

    def replays(self) -> list[Path]:
        """Files that wait to be replayed, oldest first."""
        folder = self.path / REPLAY_FOLDER
        return sorted(self._files_in(folder), key=age) if folder.is_dir() else []

    def open_file(self, path: Path) -> tuple[StoredChunk, ChunkFile] | None:
        """A file of the backlog; None if there is nothing in it, or nothing that can be read."""
        try:
            data = path.read_bytes()
            if not data:
                path.unlink()
                return None
            torn = is_torn(data)
            file = chunkfile.decode(data, self._checksum and not torn)
            if not file.events and not torn:
                path.unlink()
                return None
            if file.kind not in READABLE:
                self._log.warn(
                    f"[storage] {path} holds signals that can't be read yet; it stays there"
                )
                return None
            if file.kind == chunkfile.LOGS:
                count, damage = survey(file)
                if not count and not damage:  # marks of a group without events
                    path.unlink()
                    return None
            else:
                count, damage = sum(chunk.count for chunk in unpack(file)), ""
        except (OSError, ChunkFileError) as error:
            self._pass_over(path, str(error))
            return None
        if not count:
            self._pass_over(path, "it holds no event that can be read")
            return None
        if damage:
            self._log.error(
                f"[storage] {path} is damaged ({damage}): its {count} sound events are delivered"
            )
            self.damaged_files += 1
        return StoredChunk(self, path, len(data), count, damage, file.kind), file

    def set_aside(self, path: Path, why: str) -> None:
        """Move a damaged file whose events are delivered out of the way, with the reason beside it; or delete it, if told to."""
        if self._delete_damaged:
            self.remove(path)
            return
        folder = self.path / DAMAGED_FOLDER / path.parent.name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.replace(folder / path.name)
            (folder / f"{path.name}.reason").write_text(f"{why}\n")
        except OSError as error:
            self._log.error(f"[storage] {path} can't be set aside: {error.strerror}")

    def _pass_over(self, path: Path, why: str) -> None:
        """Leave a file that can't be read where it is (the original's place), counted and named; or delete it, if told to."""
        self.damaged_files += 1
        if self._delete_damaged:
            self.remove(path)
            self._log.error(
                f"[storage] format check failed: {path}: {why}; it is deleted (storage.delete_irrecoverable_chunks)"
            )
        else:
            self._log.error(
                f"[storage] format check failed: {path}: {why}; it is passed over and stays there"
            )


class Syncs:
    """`storage.sync full`: brings written files to the disk in a thread of its own, several at once."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Path, Callable[[OSError | None], None]]] = []
        from concurrent.futures import ThreadPoolExecutor

        self._thread = ThreadPoolExecutor(1, "storage-sync")
        self._task: asyncio.Future[None] | None = None

    def add(self, path: Path, on_synced: Callable[[OSError | None], None]) -> None:
        """Call `on_synced` in the loop when the file and its name are on the disk, or with the error if they can't be."""
        self._waiting.append((path, on_synced))
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            paths = [path for path, _ in batch]
            error = await loop.run_in_executor(self._thread, sync_files, paths)
            for _, on_synced in batch:
                on_synced(error)

    def close(self) -> None:
        self._thread.shutdown(wait=True)


def sync_files(paths: list[Path]) -> OSError | None:
    """fsync files and their folders. A file that is gone was delivered meanwhile."""
    try:
        for path in [*paths, *{path.parent for path in paths}]:
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError as error:
        return error
    return None


def stream_files(path: Path) -> list[Path]:
    """The files in the folders of a storage path, hidden ones not, as the original reads them."""
    return [file for folder in stream_folders(path) for file in visible_files(folder)]


def stream_folders(path: Path) -> list[Path]:
    return [
        Path(entry.path)
        for entry in os.scandir(path)
        if entry.is_dir() and not entry.name.startswith(".")
    ]


def visible_files(folder: Path) -> list[Path]:
    return [
        Path(entry.path)
        for entry in os.scandir(folder)
        if entry.is_file() and not entry.name.startswith(".")
    ]


def is_torn(data: bytes) -> bool:
    """Whether a file ends before its content does; its checksum says nothing then."""
    try:
        return chunkfile.decode(data).is_cut
    except ChunkFileError:
        return False


def survey(file: ChunkFile) -> tuple[int, str]:
    """How many events can be read, and what is wrong with the others."""
    events, is_whole = events_of(file)
    count = len(events.times)
    if is_whole:
        return count, ""
    return count, "its end is missing" if file.is_cut else "some of it is no event"


def age(path: Path) -> tuple[int, int, str]:
    """Sorts files by the time in their names; others come last."""
    found = FILE_NAME.match(path.name)
    if not found:
        return (1 << 62, 0, path.name)
    return (int(found.group(2)), int(found.group(3)), path.name)
