"""Which part of the work an engine takes, when several run under one supervisor."""

from __future__ import annotations

import re
from os.path import split

GENERATION = r"(?:[._-](?:\d[\dT:.-]*|old|bak)|\.(?:gz|bz2|xz|zst))+$"
"""What rotation puts behind a log's name."""


class Share:
    """Engine number `index` (from 0) of `count`."""

    __slots__ = ("count", "index")

    def __init__(self, index: int = 0, count: int = 1) -> None:
        self.index = index
        self.count = count

    def takes(self, key: str) -> bool:
        """Whether this engine is the one for a key; all engines agree on that."""
        if self.count <= 1:
            return True
        from hashlib import blake2b

        digest = blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.index

    def takes_file(self, path: str) -> bool:
        """As `takes`, alike for all generations of a log, so that the engine which follows it sees its rotation."""
        folder, name = split(path)
        return self.takes(f"{folder}/{re.sub(GENERATION, '', name) or name}")


WHOLE = Share()
"""The only engine."""
