"""What happened to followed files while the agent did not run: rotated, copied, compressed, deleted."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tailrace.inputs.tail.copies import goes_on_from_row
from tailrace.inputs.tail.files import File
from tailrace.inputs.tail.following import OPEN_FLAGS
from tailrace.inputs.tail.tagging import NoTag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tailrace.inputs.tail.following import Follower
    from tailrace.inputs.tail.keeping import Keeper
    from tailrace.inputs.tail.positions import Position

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
ROW_SECONDS = 7 * 86400
"""How long the row of a file whose directory is not there is kept."""


def find_copies(
    follower: Follower, keeper: Keeper, rewritten: Iterable[Position], unknown: Iterable[File]
) -> None:
    """Of files that were truncated or compressed, the copies go on where reading stopped.

    `rewritten` are rows whose files hold something else now, `unknown` files that have no row.
    """
    lost: dict[str, list[Position]] = {}
    for row in (*rewritten, *keeper.positions.unclaimed()):
        lost.setdefault(os.path.dirname(row.name), []).append(row)
    for file in unknown:
        rows = lost.get(os.path.dirname(file.path), [])
        original = next((row for row in rows if goes_on_from_row(file, row)), None)
        if original is not None:
            rows.remove(original)
            follower.inherit(file, None)


def find_moved(follower: Follower, keeper: Keeper) -> None:
    """Read what is left of files that were renamed to a name no pattern takes; drop rows of deleted ones."""
    entries: dict[str, dict[int, str]] = {}
    gone: list[Position] = []
    for row in keeper.positions.unclaimed():
        if is_inode(row.name, row.inode):
            continue  # another input's, or too old to be followed
        directory = os.path.dirname(row.name)
        if directory not in entries:
            entries[directory] = inodes_in(directory)
        name = entries[directory].get(row.inode, "")
        if name:
            if not follow_rest(follower, keeper, row, os.path.join(directory, name)):
                gone.append(row)
        elif entries[directory] or row.updated < keeper.now - ROW_SECONDS:
            gone.append(row)
    keeper.positions.drop(gone)
    keeper.commit()


def follow_rest(follower: Follower, keeper: Keeper, row: Position, path: str) -> bool:
    """Follow a file that was renamed; False if nothing of it is left to be read."""
    try:
        tag = follower.rules.tag(row.name)
        fd = os.open(path, OPEN_FLAGS)
    except (OSError, NoTag):
        return True
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) in follower.files or not has_rest(fd, status, row, path):
        os.close(fd)
        return False
    keeper.positions.claim(row.inode, row.name)
    file = follower.follow(path, row.name, tag, fd, status, row)
    follower.log.info(f"inode={row.inode} {row.name} was rotated to {path}: reading what is left")
    follower.enqueue(file)
    follower.leave(file)
    return True


def has_rest(fd: int, status: os.stat_result, row: Position, path: str) -> bool:
    """Whether an open file is a row's, and holds more than was read."""
    if not stat.S_ISREG(status.st_mode):
        return False
    if row.is_of(fd, status.st_size):
        known = bool(row.marker_bytes) or is_rotated_name(path, row.name)
        return known and row.offset < status.st_size
    return is_rotated_name(path, row.name) and status.st_size > 0


def is_inode(path: str, inode: int) -> bool:
    try:
        return os.stat(path).st_ino == inode
    except OSError:
        return False


def is_rotated_name(path: str, old: str) -> bool:
    """Whether a name is what rotation makes of another, as in.log.1; a compressed file is never the same file."""
    name = os.path.basename(path)
    return name.startswith(os.path.basename(old)) and not name.endswith(COMPRESSED)


def inodes_in(directory: str) -> dict[int, str]:
    """Names of a directory's entries by inode; empty if it can't be read."""
    try:
        with os.scandir(directory or ".") as entries:
            return {entry.inode(): entry.name for entry in entries}
    except OSError:
        return {}
