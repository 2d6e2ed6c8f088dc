"""Moving full files away: `out.txt` becomes `out.txt.DATE_TIME_RANDOM`, compressed if wanted; old ones are removed."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

from tailrace.config import ConfigError

MOVED = re.compile(r"\.\d{8}_\d{6}_[0-9a-f]{8}(\.gz)?$")


class Rotation:
    """Rotates the files of one output."""

    def __init__(self, options: Any) -> None:
        if options.rotate_max_size < 1:
            raise ConfigError("rotate_max_size: 0 is too small.", "Give bytes, as: 100M.")
        if options.rotate_max_files < 1:
            raise ConfigError("rotate_max_files: 0 would keep nothing.", "Give at least 1.")
        self._max_size = options.rotate_max_size
        self._max_files = options.rotate_max_files
        self._gzip = options.rotate_gzip

    def move_if_full(self, path: Path) -> Path | None:
        """Where the file went, if it was full."""
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            return None
        if size < self._max_size:
            return None
        stamp = time.strftime("%Y%m%d_%H%M%S")
        moved = path.with_name(f"{path.name}.{stamp}_{os.urandom(4).hex()}")
        path.rename(moved)
        return moved

    def tidy(self, moved: Path, path: Path) -> None:
        """Compress what was moved away, if wanted, and remove the oldest of the path."""
        if self._gzip:
            compress(moved)
        self._remove_old(path)

    def _remove_old(self, path: Path) -> None:
        moved = [
            each
            for each in path.parent.iterdir()
            if each.name.startswith(path.name + ".")
            and MOVED.fullmatch(each.name[len(path.name) :])
        ]
        moved.sort(key=lambda each: each.name)
        for old in moved[: -self._max_files]:
            old.unlink(missing_ok=True)


def compress(path: Path) -> None:
    """Replace a file by its gzip; the original stays until that is whole."""
    target = path.with_name(path.name + ".gz")
    try:
        with path.open("rb") as source, gzip.open(target, "wb", compresslevel=6) as packed:
            shutil.copyfileobj(source, packed, 1 << 20)
    except (
        OSError
    ):  # as when the disk is full: half of it is of no use, and would count as a moved file
        target.unlink(missing_ok=True)
        raise
    path.unlink(missing_ok=True)  # one that was too many may have been removed meanwhile
