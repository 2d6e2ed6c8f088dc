"""Standard output, written so that who reads it slowly, or not at all, holds up nobody else.

A pipe or terminal that is full makes a write wait. What may not fit is written by a thread beside the loop; files and what surely fits are
written at once.
"""

from __future__ import annotations

import asyncio
import os
import select
import stat
import sys
import threading
from contextlib import suppress

PIPE_BYTES = select.PIPE_BUF
"""What a pipe takes at once if it takes anything."""

_writing = threading.Lock()
"""Held while a thread writes, so that the writes of several outputs stay whole."""


async def write_stdout(data: bytes) -> None:
    """Write all of it, in order with what the caller has written before; `OSError` if that can't be done."""
    target = waiting_target()
    if target is None or fits(target, len(data)):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: OSError | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        failure: OSError | None = None
        try:
            with _writing:
                write_all(target, data)
        except OSError as error:
            failure = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, failure)

    # A daemon: one that waits for ever must not keep the agent from ending.
    threading.Thread(target=work, name="stdout", daemon=True).start()
    await done


def waiting_target() -> int | None:
    """The descriptor of standard output, if a write to it can wait for a reader."""
    try:
        target = sys.stdout.fileno()
        mode = os.fstat(target).st_mode
    except (AttributeError, OSError, ValueError):  # what stands in for it may have none
        return None
    can_wait = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(target)
    return target if can_wait else None


def fits(target: int, size: int) -> bool:
    """Whether so many bytes can be written without waiting."""
    return (
        size <= PIPE_BYTES and not _writing.locked() and bool(select.select([], [target], [], 0)[1])
    )


def write_all(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]
