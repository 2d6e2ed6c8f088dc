"""The folder of dead letters: files of JSON lines that the agent adds to, and that people and `input dlq` take from.

    FOLDER/TAG_STATUS_OUTPUT_ID.jsonl

Who takes a file renames it away first (`.taken` before its name), so that nothing is added to it meanwhile.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tailrace.model import LOGS, Chunk
from tailrace.plugin.log import Log
from tailrace.wire import dead_letter
from tailrace.wire.dead_letter import DeadLetter, DeadLetterError

SUFFIX = ".jsonl"
TAKEN_PREFIX = ".taken."
FILE_BYTES = 8 << 20
"""A file that has grown to this is followed by another."""
MOST_OPEN = 256
UNSAFE = re.compile(r"[^A-Za-z0-9.-]")


class DeadLetters:
    """Where outputs' dead letters go. `limit`: bytes above which no more are kept; 0: no limit."""

    def __init__(self, folder: Path, limit: int, log: Log) -> None:
        self.folder = folder
        self.kept = 0
        """Events kept since the start."""
        self.lost = 0
        """Events that were not kept because of the limit or the disk."""
        self._limit = limit
        self._log = log
        self._size = -1
        self._current: dict[tuple[str, int, str], Path] = {}
        self._told = False

    def add(self, letters: Iterable[DeadLetter]) -> None:
        """Write letters of one tag, status and output; what can't be kept is counted and told once."""
        listed = list(letters)
        if not listed:
            return
        try:
            if self._size < 0:
                self._size = sum(path.stat().st_size for path in letter_files(self.folder))
            if self._limit and self._size >= self._limit:
                self._lose(len(listed), f"storage.rejected.limit ({self._limit} bytes) is reached")
                return
            self._write(listed)
        except OSError as error:
            self._lose(len(listed), f"{self.folder}: {error.strerror}")

    def _write(self, letters: list[DeadLetter]) -> None:
        key = (letters[0].tag, letters[0].status, letters[0].output)
        path = self._current.get(key)
        if path is None or size_of(path) >= FILE_BYTES:
            if len(self._current) >= MOST_OPEN:
                self._current.clear()
            path = self._current[key] = self._new_path(*key)
        data = b"".join(map(dead_letter.encode, letters))
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
        self._size += len(data)
        self.kept += len(letters)
        self._told = False

    def _new_path(self, tag: str, status: int, output: str) -> Path:
        words = (UNSAFE.sub("_", tag)[:100], str(status), UNSAFE.sub("_", output)[:60])
        name = "_".join(words).lstrip(".")  # a name that begins with a dot would not be found again
        return self.folder / f"{name}_{time.time_ns():x}{SUFFIX}"

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        if not self._told:
            self._log.error(f"[dead letters] {count} events can't be kept: {why} (told once)")
        self._told = True


def size_of(path: Path) -> int:
    """0 if it is not there (any more)."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def letters_of(
    chunk: Chunk, *, output: str, plugin: str, reason: str, status: int, attempts: int, now_ns: int
) -> Iterator[DeadLetter]:
    """A letter for each event of a chunk of logs."""
    assert chunk.kind is LOGS
    metadata = chunk.metadata or ()
    for index, (event_time, body) in enumerate(zip(chunk.times, chunk.bodies, strict=True)):
        yield DeadLetter(
            chunk.tag,
            output,
            plugin,
            reason,
            status,
            attempts,
            now_ns,
            event_time,
            body,
            metadata[index] if metadata else {},
            group=None if chunk.groups is None else chunk.groups[index],
        )


def letter_files(folder: Path) -> list[Path]:
    """The files of letters, oldest first by the number at the end of their names."""
    if not folder.is_dir():
        return []
    files = [
        path for path in folder.iterdir() if path.suffix == SUFFIX and not path.name.startswith(".")
    ]
    return sorted(files, key=lambda path: path.name.rpartition("_")[2])


def taken_files(folder: Path) -> list[Path]:
    """Files that somebody took and did not end with, as after a crash."""
    return sorted(folder.glob(f"{TAKEN_PREFIX}*")) if folder.is_dir() else []


def take(path: Path) -> Path | None:
    """Keep others from adding to a file; where it is now, or None if somebody else took it."""
    taken = path.with_name(TAKEN_PREFIX + path.name)
    try:
        path.rename(taken)
    except FileNotFoundError:
        return None
    return taken


def give_back(taken: Path) -> None:
    """Undo `take`."""
    taken.rename(taken.with_name(taken.name.removeprefix(TAKEN_PREFIX)))


class Line(NamedTuple):
    """One line of a file; `letter` is None if it is none, with `error` saying why."""

    number: int
    raw: bytes
    letter: DeadLetter | None
    error: str = ""


def read_letters(path: Path) -> Iterator[Line]:
    """The lines of a file. Empty ones are passed over."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                yield Line(number, raw, dead_letter.decode(raw))
            except DeadLetterError as error:
                yield Line(number, raw, None, str(error))


def finish(taken: Path, others: list[bytes], bad: list[bytes]) -> None:
    """End with a taken file: lines for others stand in its place again, bad ones beside it with the suffix `.bad`."""
    name = taken.name.removeprefix(TAKEN_PREFIX)
    for lines, target in ((others, taken.with_name(name)), (bad, taken.with_name(f"{name}.bad"))):
        if lines:
            ended = [line if line.endswith(b"\n") else line + b"\n" for line in lines]
            with target.open("ab") as file:
                file.write(b"".join(ended))
    taken.unlink()
