"""Which files are meant: patterns of paths, and those left out.

Wildcards are the shell's: `*`, `?` and `[...]` match within one name and never a leading dot; `~` is a home directory.
A pattern of `exclude_path` is matched against the whole path, where `*` also matches `/`.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator, Sequence


class Patterns:
    """The patterns of one input."""

    def __init__(self, patterns: Sequence[str], exclude: Sequence[str]) -> None:
        self._parts = [os.path.split(os.path.expanduser(pattern)) for pattern in patterns]
        self._names = [re.compile(fnmatch.translate(name)) for _, name in self._parts]
        self._excluded = re.compile("|".join(map(fnmatch.translate, exclude)) or r"(?!)")
        self.directories: dict[str, list[int]] = {}
        """Directories that were there at the last scan, with the indexes of their patterns."""

    def scan(self) -> Iterator[str]:
        """Paths that match now, sorted within each pattern; `directories` is brought up to date."""
        self.directories = {}
        for index, (directory, name) in enumerate(self._parts):
            for each in self._expand(directory):
                self.directories.setdefault(each, []).append(index)
                yield from self._listed(each, name, index)

    def _expand(self, directory: str) -> list[str]:
        if glob.has_magic(directory):
            return sorted(path for path in glob.glob(directory) if os.path.isdir(path))
        return [directory] if os.path.isdir(directory or ".") else []

    def _listed(self, directory: str, name: str, index: int) -> Iterator[str]:
        if not glob.has_magic(name):
            path = os.path.join(directory, name)
            if os.path.lexists(path) and not self._excluded.match(path):
                yield path
            return
        try:
            names = sorted(os.listdir(directory or "."))
        except OSError:
            return  # it went away, or may not be read; the next scan looks again
        for each in names:
            if self._names_it(index, each):
                path = os.path.join(directory, each)
                if not self._excluded.match(path):
                    yield path

    def _names_it(self, index: int, name: str) -> bool:
        hidden = name.startswith(".") and not self._parts[index][1].startswith(".")
        return not hidden and self._names[index].match(name) is not None

    def match(self, path: str) -> bool:
        """Whether a path in a directory of the last scan is meant."""
        directory, name = os.path.split(path)
        indexes = self.directories.get(directory, ())
        return any(self._names_it(index, name) for index in indexes) and not self._excluded.match(
            path
        )


def is_identity(path: str, identity: tuple[int, int]) -> bool:
    """Whether a path leads to the file of this device and inode."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == identity
