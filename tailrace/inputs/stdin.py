"""Read events from standard input, and end the agent when it ends.

Example:
    Name   stdin
    Parser json

Without a parser it takes JSON: objects get the present time; `[time, object]` and `[[time, metadata], object]` bring
their own (seconds). With a parser each line is an event; lines that do not match are dropped and counted, as is what is no JSON.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from typing import Any

from tailrace.config import Size, option
from tailrace.model import Chunk
from tailrace.plugin import Emit, Input, InputOptions, input_plugin
from tailrace.plugin.lines import parsed_chunk
from tailrace.plugin.pipes import blocks_of
from tailrace.wire.events import Collected, collect_events
from tailrace.wire.json import decode_stream

READ_BYTES = 128 * 1024


class StdinOptions(InputOptions):
    parser: str = option("")
    """Read lines with this parser instead of JSON."""

    buffer_size: Size = option(16_000)
    """The longest record that must come whole; longer ones may as well, up to a hundred times that, at least 16M."""


@input_plugin("stdin")
class Stdin(Input[StdinOptions]):
    padding = 4
    can_wait = True

    def __init__(self, options: StdinOptions) -> None:
        super().__init__(options)
        self.parser = self.context.parser(options.parser) if options.parser else None
        self.limit = max(options.buffer_size * 100, 16_000_000)

    async def run(self, emit: Emit) -> None:
        pending = b""
        async for block in blocks(sys.stdin.fileno()):
            pending = await self.take(pending + block, emit, ended=False)
            if len(pending) > self.limit:
                self.context.log.error(
                    f"{len(pending)} bytes without the end of a record are dropped (buffer_size)"
                )
                self.context.drop(1, "too long")
                pending = b""
        await self.take(pending, emit, ended=True)
        self.context.stop_agent()

    async def take(self, data: bytes, emit: Emit, ended: bool) -> bytes:
        """Emit the whole records of the data; what is left."""
        if self.parser is not None:
            return await self.take_lines(data, emit, ended)
        while data:
            values, consumed, error = decode_stream(data)
            await self.emit_values(values, consumed, emit)
            data = data[consumed:]
            if error is None:
                break
            end = data.find(b"\n") + 1
            if not end and not ended:
                break
            self.drop(1, f"a line that is no JSON is dropped: {error}")
            data = data[end:] if end else b""
        if ended and data.strip():
            self.drop(1, f"the last {len(data)} bytes are no whole JSON and are dropped")
        return data

    def drop(self, count: int, why: str) -> None:
        self.context.log.warn(why)
        self.context.drop(count, "unreadable")

    async def emit_values(self, values: list[Any], nbytes: int, emit: Emit) -> None:
        found: Collected = collect_events(values, self.context.clock.time_ns())
        if found.bodies:
            await emit(Chunk(self.tag, found.times, found.bodies, found.metadata, nbytes))
        if found.refused:
            self.drop(found.refused, f"{found.refused} values are no records and are dropped")

    async def take_lines(self, data: bytes, emit: Emit, ended: bool) -> bytes:
        assert self.parser is not None
        end = len(data) if ended else data.rfind(b"\n") + 1
        text = data[:end].decode("utf-8", "surrogateescape")
        lines = [line.removesuffix("\r") for line in text.split("\n") if line]
        if lines:
            chunk = parsed_chunk(self.parser, lines, self.tag, end, self.context)
            if chunk is not None:
                await emit(chunk)
        return data[end:]


async def blocks(descriptor: int) -> Any:
    """What comes from a descriptor, block by block, until it ends. Files are read on the spot, pipes when readable."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode) or descriptor_is_null(descriptor):
        while block := os.read(descriptor, READ_BYTES):
            yield block
            await asyncio.sleep(0)
        return
    async for block in blocks_of(descriptor, READ_BYTES):
        yield block


def descriptor_is_null(descriptor: int) -> bool:
    """`/dev/null` can't be watched by epoll; it is at its end at once."""
    info = os.fstat(descriptor)
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == os.stat(os.devnull).st_rdev
