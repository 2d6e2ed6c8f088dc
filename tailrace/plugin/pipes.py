"""Reading a pipe in the event loop, as fast as its reader takes the blocks and no faster."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator


async def blocks_of(descriptor: int, size: int) -> AsyncIterator[bytes]:
    """What comes through a pipe, at most `size` bytes at once, until it ends.

    It is looked at only while somebody waits for a block: a pipe that stays readable would keep the loop busy. Whether the
    descriptor blocks is as it was before, except while it is waited for: a terminal's is shared with those that write to it.
    """
    while True:
        await readable(descriptor)
        block = os.read(descriptor, size)
        if not block:
            return
        yield block


async def readable(descriptor: int) -> None:
    """Wait until there is something to read, or the end."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def on_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    blocks = os.get_blocking(descriptor)
    loop.add_reader(descriptor, on_ready)  # uvloop makes it non-blocking
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
        os.set_blocking(descriptor, blocks)
