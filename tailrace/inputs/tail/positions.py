"""Where reading goes on after a restart: the table `in_tail_files` of a SQLite database, as Fluent Bit keeps it.

The table is the original's to the letter, so a database carries on in both directions. What it has no room for (the
fingerprint of a file's first bytes, the place in a compressed file) stands in a table beside it, `tailrace_files`,
and counts only while the original's row has not been changed by another program.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar

from tailrace.config import ConfigError
from tailrace.inputs.tail.marker import marker_of

if TYPE_CHECKING:
    import sqlite3

BUSY_SECONDS = 0.2
"""How long a locked database is waited for; what could not be written is tried again later."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS in_tail_files (
  id      INTEGER PRIMARY KEY,
  name    TEXT NOT NULL,
  offset  INTEGER,
  inode   INTEGER,
  created INTEGER,
  rotated INTEGER DEFAULT 0,
  offset_marker INTEGER DEFAULT 0,
  offset_marker_size INTEGER DEFAULT 0
);
CREATE TABLE IF NOT EXISTS tailrace_files (
  id INTEGER PRIMARY KEY,
  inode INTEGER,
  offset INTEGER,
  stream_offset INTEGER,
  head BLOB,
  head_size INTEGER,
  updated INTEGER
);
"""
ADDED_COLUMNS = ("offset_marker", "offset_marker_size")
SELECT = """
SELECT f.id, f.name, f.offset, f.inode, f.created, f.offset_marker, f.offset_marker_size,
       t.stream_offset, t.head, t.head_size, t.updated
FROM in_tail_files f
LEFT JOIN tailrace_files t ON t.id = f.id AND t.inode = f.inode AND t.offset = f.offset
ORDER BY f.id DESC
"""
SYNC = {"off": 0, "normal": 1, "full": 2, "extra": 3}


class NotWritten(Exception):
    """The database can't be written to now."""


@dataclass(slots=True)
class Position:
    """One row: how far a file was read and settled, and what it is known by.

    `marker` is the hash of the `marker_bytes` before `offset`, `head` that of the first `head_bytes` of the file.
    `stream_offset` is the place in what a compressed file holds; `updated` is in seconds since the epoch.
    """

    id: int
    name: str
    inode: int
    offset: int = 0
    marker: int = 0
    marker_bytes: int = 0
    stream_offset: int = 0
    head: bytes = b""
    head_bytes: int = 0
    updated: int = 0
    rotated: bool = False

    def is_of(self, fd: int, size: int) -> bool:
        """Whether an open file is the one this position was made for, and still holds what was read."""
        if self.offset > size:
            return False
        return self._marker_fits(fd) and self._head_fits(fd)

    def _marker_fits(self, fd: int) -> bool:
        if self.offset <= 0 or self.marker_bytes <= 0:
            return True
        count = min(self.marker_bytes, self.offset)
        return marker_of(os.pread(fd, count, self.offset - count)) == self.marker

    def has_head(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes has this one's fingerprint."""
        return digest(head) == self.head

    def _head_fits(self, fd: int) -> bool:
        return not self.head_bytes or fingerprint(fd, self.head_bytes) == self.head


def fingerprint(fd: int, size: int) -> bytes:
    """A hash of the first `size` bytes of an open file."""
    return digest(os.pread(fd, size, 0))


def digest(head: bytes) -> bytes:
    """The hash that a fingerprint is."""
    return blake2b(head, digest_size=16).digest()


@dataclass(slots=True)
class Database:
    """One open database; the inputs of a process that name the same file share it."""

    open_ones: ClassVar[dict[str, Database]] = {}

    path: str
    connection: sqlite3.Connection
    users: int = 0

    @classmethod
    def open(cls, path: str, sync: str, journal_mode: str, exclusive: bool) -> Database:
        """The database at `path`, made if need be; `ConfigError` if it can't be had."""
        key = os.path.realpath(path)
        found = cls.open_ones.get(key)
        if found is None:
            found = cls(key, connect(path, sync, journal_mode, exclusive))
            cls.open_ones[key] = found
        found.users += 1
        return found

    def close(self) -> None:
        self.users -= 1
        if self.users == 0:
            del self.open_ones[self.path]
            self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is written, or nothing; raises `NotWritten`."""
        import sqlite3

        connection = self.connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise NotWritten(str(error)) from error


def connect(path: str, sync: str, journal_mode: str, exclusive: bool) -> sqlite3.Connection:
    """A connection set up as Fluent Bit sets up its own, with both tables in place."""
    import sqlite3  # here, since most inputs need no database, and it takes 6 ms

    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute(f"PRAGMA synchronous={SYNC[sync]}")
        if exclusive:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute(f"PRAGMA journal_mode={journal_mode}")
        connection.executescript(SCHEMA)
        known = {row[1] for row in connection.execute("PRAGMA table_info(in_tail_files)")}
        for column in ADDED_COLUMNS:
            if column not in known:
                connection.execute(
                    f"ALTER TABLE in_tail_files ADD COLUMN {column} INTEGER DEFAULT 0"
                )
    except sqlite3.Error as error:
        raise ConfigError(
            f"db: the database '{path}' can't be used: {error}.",
            "Give a path in a directory that exists and may be written to, and no other program's file.",
        ) from error
    return connection


class Positions:
    """The rows of one input: those found at the start that no file has claimed yet, and those in use.

    Only `write` changes the database.
    """

    def __init__(
        self,
        database: Database,
        compare_filename: bool,
        takes: Callable[[str], bool] = lambda name: True,
    ) -> None:
        self._database = database
        self._compare_filename = compare_filename
        self._unclaimed: dict[int, list[Position]] = {}
        self._doomed: list[Position] = []
        for position in filter(lambda row: takes(row.name), self._read_all()):
            self._unclaimed.setdefault(position.inode, []).append(position)
        self._names = {row.name for row in self.unclaimed()}

    def _read_all(self) -> Iterator[Position]:
        for row in self._database.connection.execute(SELECT):
            row_id, name, offset, inode, created, marker, size, stream, head, head_size, seen = row
            yield Position(
                id=row_id,
                name=name,
                inode=inode or 0,
                offset=offset or 0,
                marker=marker or 0,
                marker_bytes=size or 0,
                stream_offset=stream or 0,
                head=head or b"",
                head_bytes=head_size or 0,
                updated=seen or created or 0,
            )

    def claim(self, inode: int, name: str) -> Position | None:
        """The newest row of this inode; with `db.compare_filename` only under the same base name."""
        rows = self._unclaimed.pop(inode, None)
        if rows is None:
            return None
        newest = rows[0]
        if self._compare_filename and os.path.basename(newest.name) != os.path.basename(name):
            self._doomed += rows
            return None
        self._doomed += rows[1:]
        return newest

    def knows(self, name: str) -> bool:
        """Whether a file of this name was followed before."""
        return name in self._names

    def unclaimed(self) -> list[Position]:
        """Rows of files that have not been found."""
        return [position for rows in self._unclaimed.values() for position in rows]

    def give_back(self, position: Position) -> None:
        """The file is let go of for now; its row waits to be claimed again."""
        self._unclaimed.setdefault(position.inode, []).insert(0, position)

    def drop(self, positions: Iterable[Position]) -> None:
        """The files of these unclaimed rows are gone for good."""
        for position in positions:
            rows = self._unclaimed.get(position.inode, [])
            if position in rows:
                rows.remove(position)
            if not rows:
                self._unclaimed.pop(position.inode, None)
            self._doomed.append(position)

    def write(self, changed: Iterable[Position], gone: Iterable[Position], now: int) -> None:
        """Save some rows and delete others, all or none; `now` is in seconds since the epoch.

        Raises `NotWritten` if the database can't be written to now.
        """
        doomed = [(each.id,) for each in (*gone, *self._doomed) if each.id]
        with self._database.transaction() as connection:
            for position in changed:
                position.updated = now
                save(connection, position)
            connection.executemany("DELETE FROM in_tail_files WHERE id=?", doomed)
            connection.executemany("DELETE FROM tailrace_files WHERE id=?", doomed)
        self._doomed.clear()

    @property
    def doomed(self) -> bool:
        """Whether rows wait to be deleted."""
        return bool(self._doomed)

    def close(self) -> None:
        self._database.close()


def save(connection: sqlite3.Connection, each: Position) -> None:
    """One row in both tables."""
    name = name_for_sqlite(each.name)
    values = (name, each.offset, each.marker, each.marker_bytes)
    changed = connection.execute(
        "UPDATE in_tail_files SET name=?, offset=?, offset_marker=?, offset_marker_size=?,"
        " rotated=rotated OR ? WHERE id=?",
        (*values, each.rotated, each.id),
    ).rowcount
    if not changed:  # it is new, or another program has deleted the row
        cursor = connection.execute(
            "INSERT INTO in_tail_files (name, offset, offset_marker, offset_marker_size, inode,"
            " created, rotated) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*values, each.inode, each.updated, each.rotated),
        )
        each.id = cursor.lastrowid or 0
    connection.execute(
        "INSERT OR REPLACE INTO tailrace_files VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            each.id,
            each.inode,
            each.offset,
            each.stream_offset,
            each.head,
            each.head_bytes,
            each.updated,
        ),
    )


def name_for_sqlite(name: str) -> str:
    """SQLite takes no lone surrogates, which stand for bytes of a file name that are not UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()
