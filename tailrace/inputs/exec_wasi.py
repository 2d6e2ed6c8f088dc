"""Run a WebAssembly (WASI) program, once or again and again, and take each line that it prints as a record.

Example:
    Name         exec_wasi
    WASI_Path    program.wasm
    Interval_Sec 5

Without a parser a line stands under the key `wasi_stdout`. The program sees the folders of `accessible_paths` and nothing
else of the machine; what it prints to its standard error goes to the agent's. Lines come out while it runs.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tailrace.config import CommaList, ConfigError, Seconds, Size, option
from tailrace.model import Body, Chunk
from tailrace.plugin import Emit, PollingInput, PollingOptions, input_plugin
from tailrace.plugin.lines import parsed_chunk
from tailrace.plugin.pipes import blocks_of
from tailrace.wasm.command import Command
from tailrace.wasm.engine import Limits, make_engine, stack_warning
from tailrace.wasm.faults import Fault
from tailrace.wasm.program import open_program

KEY = "wasi_stdout"
BATCH_BYTES = 64 << 10


class ExecWasiOptions(PollingOptions):
    wasi_path: str
    """The program: a `.wasm` file with a main function, or one compiled ahead of time by `tailrace wamrc`."""

    accessible_paths: CommaList = option(lambda: ["."])
    """Folders that the program may read and write, with commas between; default: the working directory."""

    parser: str = option("")
    """Read lines with this parser; a line it does not take is dropped and counted, with an error."""

    buf_size: Size = option(4096)
    """Longer lines are cut into records of this size minus one, in bytes."""

    oneshot: bool = option(False)
    """Run the program once, at the start, instead of at an interval."""

    wasm_heap_size: Size = option(8192)
    """The program's own allocator is used and grows up to `memory_limit`; a larger size raises that limit."""

    wasm_stack_size: Size = option(8192)
    """Size of the program's stack; at least 512K, at most 2M are given."""

    memory_limit: Size = option(64_000_000)
    """The most memory that the program may have in all."""

    time_limit: Seconds = option(0.0)
    """How long the program may run; 0: without limit."""


@input_plugin("exec_wasi")
class ExecWasi(PollingInput[ExecWasiOptions]):
    def __init__(self, options: ExecWasiOptions) -> None:
        super().__init__(options)
        if options.buf_size < 2:
            raise ConfigError(f"buf_size: {options.buf_size} will not do.", "Give at least 2.")
        self.parser = self.context.parser(options.parser) if options.parser else None
        self.limits = Limits(
            memory=max(options.memory_limit, options.wasm_heap_size),
            stack=options.wasm_stack_size,
            seconds=options.time_limit,
        )
        if warning := stack_warning(options.wasm_stack_size):
            self.context.log.warn(warning)
        self.engine = make_engine(self.limits.stack)
        self.command: Command | None = None
        self.thread = ThreadPoolExecutor(1, "exec_wasi")  # its own: a program may run for ever

    async def stop(self) -> None:
        self.thread.shutdown(wait=False)
        if self.command is not None:
            self.command.close()
            self.command = None

    def collect(self) -> list[Body]:
        """Nothing at once: the program's lines come as it prints them."""
        return []

    async def run(self, emit: Emit) -> None:
        if self.options.oneshot:
            await self.run_program(emit)
            await asyncio.Event().wait()
        clock = self.context.clock
        due = clock.monotonic() + self.interval
        while True:
            await clock.sleep(max(0.0, due - clock.monotonic()))
            due = max(due + self.interval, clock.monotonic())
            await self.run_program(emit)

    async def run_program(self, emit: Emit) -> None:
        """One run of the program from begin to end."""
        path = self.options.wasi_path
        log = self.context.log
        try:
            command = self.make_command()
        except ConfigError as error:
            log.error(str(error).replace("wasm_path:", "wasi_path:"))
            return
        try:
            code = await self.take_output(command, emit)
        except Fault as fault:
            log.error(f"program {path!r} failed: {fault.why}")
        else:
            if code:
                log.warn(f"program {path!r} ended with exit code {code}")

    def make_command(self) -> Command:
        """The compiled program, made at its first run."""
        if self.command is None:
            options = self.options
            program = open_program(options.wasi_path, Path(self.context.config_dir), self.engine)
            self.command = Command(program, options.accessible_paths, self.limits)
        return self.command

    async def take_output(self, command: Command, emit: Emit) -> int:
        """Run in a thread and emit lines as they come; the exit code."""
        loop = asyncio.get_running_loop()
        source, target = os.pipe()
        running = loop.run_in_executor(self.thread, command.run, target)
        try:
            pending = b""
            async for block in blocks_of(source, BATCH_BYTES):
                pending = await self.take(pending + block, emit)
            if pending:
                await self.emit_lines([pending], emit)
            return await running
        finally:
            os.close(source)  # so that a program that still prints gets an error
            while not running.done():
                command.interrupt()
                await asyncio.wait({running}, timeout=0.05)

    async def take(self, data: bytes, emit: Emit) -> bytes:
        """Emit the whole lines of the data; what is left."""
        end = data.rfind(b"\n") + 1
        lines = data[:end].split(b"\n")[:-1] if end else []
        rest, size = data[end:], self.options.buf_size - 1
        if any(len(line) >= size for line in lines) or len(rest) >= size:
            lines = [piece for line in lines for piece in cut(line, size)]
            while len(rest) >= size:
                lines.append(rest[:size])
                rest = rest[size:]
        if lines:
            await self.emit_lines(lines, emit)
        return rest

    async def emit_lines(self, lines: list[bytes], emit: Emit) -> None:
        nbytes = sum(map(len, lines)) + len(lines)
        texts = [line.decode("utf-8", "surrogateescape") for line in lines]
        if self.parser is None:
            now = self.context.clock.time_ns()
            await emit(Chunk.of_lines(self.tag, [now] * len(texts), KEY, texts, nbytes))
            return
        chunk = parsed_chunk(self.parser, texts, self.tag, nbytes, self.context)
        if chunk is not None:
            await emit(chunk)


def cut(line: bytes, size: int) -> list[bytes]:
    """A line in pieces as it is read with a buffer of that size. Compat: one that just fits leaves an empty piece (conformance: wasm/exec_wasi_buf_size)."""
    if len(line) < size:
        return [line]
    return [line[at : at + size] for at in range(0, len(line) + 1, size)]
