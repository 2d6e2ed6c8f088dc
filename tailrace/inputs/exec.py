"""Run a command again and again and take what it prints, line by line.

Example:
    Name         exec
    Command      df -h /var
    Interval_Sec 60

    a line "tmpfs 1.6G"  ->  {"exec": "tmpfs 1.6G"}

The command runs in a shell, in a process group of its own that is ended with the agent. With a parser, lines that it refuses
are dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Any

from tailrace.config import ConfigError, Size, option
from tailrace.model import Chunk
from tailrace.plugin import Emit, Input, InputOptions, Parser, input_plugin
from tailrace.plugin.lines import parsed_chunk

READ_BYTES = 64 * 1024
LEAST_LINE_BYTES = 2
END_SECONDS = 1.0
"""How long a command has to end after SIGTERM before it is killed."""
UNKNOWN_EXIT = 128


class ExecOptions(InputOptions):
    command: str
    """The command line for the shell."""

    parser: str = option("")
    """Read each line with this parser."""

    interval_sec: int = option(1)
    """Seconds between two runs; a run that takes longer delays the next one."""

    interval_nsec: int = option(0)
    """Nanoseconds to add to `interval_sec`."""

    buf_size: Size = option(4096)
    """A longer line comes in pieces of this many bytes (less one)."""

    oneshot: bool = option(False)
    """Run the command once, at the start."""

    exit_after_oneshot: bool = option(False)
    """Run the command once and end the agent after it."""

    propagate_exit_code: bool = option(False)
    """With `exit_after_oneshot`: the agent ends with the command's exit code, or 128 and the signal that ended it."""


@input_plugin("exec")
class Exec(Input[ExecOptions]):
    def __init__(self, options: ExecOptions) -> None:
        super().__init__(options)
        if options.propagate_exit_code and not options.exit_after_oneshot:
            raise ConfigError(
                "propagate_exit_code needs exit_after_oneshot.", "Add: exit_after_oneshot on."
            )
        if options.buf_size < LEAST_LINE_BYTES:
            raise ConfigError(f"buf_size: {options.buf_size} bytes are too few.", "Give 4096.")
        self.parser = self._find_parser(options.parser)

    def _find_parser(self, name: str) -> Parser[Any] | None:
        if not name:
            return None
        try:
            return self.context.parser(name)
        except ConfigError as error:
            # Compat: it goes on without.
            self.context.warn_of(f"parser: {error.what} Lines stay unparsed.", error.mend)
            return None

    @property
    def interval(self) -> float:
        seconds = self.options.interval_sec + self.options.interval_nsec / 1e9
        return seconds if seconds > 0 else 1.0

    async def run(self, emit: Emit) -> None:
        options, clock = self.options, self.context.clock
        if options.oneshot or options.exit_after_oneshot:
            code = await self.run_command(emit)
            if options.exit_after_oneshot:
                self.context.log.info(f"the command has ended with code {code}, so does the agent")
                self.context.stop_agent(code if options.propagate_exit_code else 0)
            await asyncio.Event().wait()
        due = clock.monotonic()
        while True:
            due = max(due + self.interval, clock.monotonic())
            await clock.sleep(due - clock.monotonic())
            await self.run_command(emit)

    async def run_command(self, emit: Emit) -> int:
        """Run it once and emit what it prints; its exit code as a shell tells it."""
        try:
            process = await self.begin()
        except OSError as error:
            self.context.log.error(f"the command can't be run: {error.strerror}")
            return UNKNOWN_EXIT
        try:
            assert process.stdout is not None
            await self.take_output(process.stdout, emit)
            code = await process.wait()
        finally:
            if process.returncode is None:
                await self.end(process)
        self.context.log.debug(f"the command ended with {code}")
        return code if code >= 0 else 128 - code

    async def begin(self) -> asyncio.subprocess.Process:
        """Start the command; when the input is stopped meanwhile, the command is ended too."""
        beginning = asyncio.ensure_future(
            asyncio.create_subprocess_shell(
                self.options.command, stdout=asyncio.subprocess.PIPE, start_new_session=True
            )
        )
        try:
            return await asyncio.shield(beginning)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):  # it could not be started: nothing to end
                await self.end(await beginning)
            raise

    async def end(self, process: asyncio.subprocess.Process) -> None:
        """End the command and all that it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await process.wait()
                    return

    async def take_output(self, output: asyncio.StreamReader, emit: Emit) -> None:
        rest = b""
        while data := await output.read(READ_BYTES):
            lines, rest = split_lines(rest + data, self.options.buf_size - 1)
            await self.emit_lines(lines, emit)
        if rest:
            await self.emit_lines([rest], emit)

    async def emit_lines(self, lines: list[bytes], emit: Emit) -> None:
        if not lines:
            return
        size = sum(map(len, lines)) + len(lines)
        texts = b"\n".join(lines).decode("utf-8", "surrogateescape").split("\n")
        if self.parser is None:
            now = self.context.clock.time_ns()
            await emit(Chunk.of_lines(self.tag, [now] * len(texts), "exec", texts, size))
            return
        chunk = parsed_chunk(self.parser, texts, self.tag, size, self.context)
        if chunk is not None:
            await emit(chunk)


def split_lines(data: bytes, most: int) -> tuple[list[bytes], bytes]:
    """The lines of the data, longer ones in pieces of `most` bytes, and what has no end yet."""
    *whole, rest = data.split(b"\n")
    lines: list[bytes] = []
    for line in whole:
        lines += pieces(line, most) if len(line) > most else [line]
    if len(rest) > most:
        *parts, rest = pieces(rest, most)
        lines += parts
    return lines, rest


def pieces(line: bytes, most: int) -> list[bytes]:
    """A line in pieces of at most `most` bytes, no character cut in two where that can be."""
    found = []
    start = 0
    while len(line) - start > most:
        end = start + most
        while end > start + most - 4 and end > start + 1 and line[end] & 0xC0 == 0x80:
            end -= 1
        found.append(line[start:end])
        start = end
    found.append(line[start:])
    return found
