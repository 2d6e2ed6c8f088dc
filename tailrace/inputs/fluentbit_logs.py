"""The agent's own log as events: `{"level": "info", "message": "[input:tail:tail.0] ..."}`.

Lines from before the start of this input come too, the last hundred. Lines that come faster than they are taken are
counted, and told of in a line of their own.

Example:
    Name fluentbit_logs
    Tag  agent.log
"""

from __future__ import annotations

import asyncio
from collections import deque

from tailrace.model import Body, Chunk
from tailrace.plugin import Emit, Input, InputOptions, input_plugin

MOST_LINES = 8192
"""Lines that wait to be taken."""


@input_plugin("fluentbit_logs")
class FluentbitLogs(Input[InputOptions]):
    async def run(self, emit: Emit) -> None:
        lines: deque[tuple[float, str, str]] = deque()
        wake = asyncio.Event()
        missed = 0
        loop = asyncio.get_running_loop()

        def note(line: tuple[float, str, str]) -> None:
            nonlocal missed
            if len(lines) < MOST_LINES:
                lines.append(line)
            else:
                missed += 1
            wake.set()

        def on_line(seconds: float, level: str, message: str) -> None:
            loop.call_soon_threadsafe(note, (seconds, level, message))

        end = self.context.log.listen(on_line)
        try:
            while True:
                await wake.wait()
                wake.clear()
                taken, lost = list(lines), missed
                lines.clear()
                missed = 0
                if lost:
                    self.context.drop(lost, "the log came faster than it was taken")
                if taken:
                    await emit(chunk_of(self.tag, taken))
        finally:
            end()


def chunk_of(tag: str, lines: list[tuple[float, str, str]]) -> Chunk:
    """Log lines as events."""
    bodies: list[Body] = [{"level": level, "message": message} for _, level, message in lines]
    size = sum(len(message) for _, _, message in lines)
    return Chunk(tag, [round(seconds * 1e9) for seconds, _, _ in lines], bodies, nbytes=size)
