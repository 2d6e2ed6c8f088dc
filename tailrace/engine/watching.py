"""`--watch`: a reload whenever a file of the configuration changes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence

LOOK_SECONDS = 1.0
State = list[tuple[int, int, int] | None]


def state_of(paths: Sequence[str]) -> State:
    """What tells whether files have changed; None for those that are not there."""
    found: State = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return found


async def watch(
    paths: Callable[[], Sequence[str]],
    on_change: Callable[[], object],
    seconds: float = LOOK_SECONDS,
) -> None:
    """Call `on_change` once files have changed and then stayed the same for one look, so that half-written ones are left alone."""
    taken_up = before = state_of(paths())
    while True:
        await asyncio.sleep(seconds)
        now = state_of(paths())
        if now == before and now != taken_up and None not in now:
            taken_up = now
            on_change()
        before = now
