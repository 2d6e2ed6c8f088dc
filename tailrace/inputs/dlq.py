"""Take dead letters: events that outputs gave up and `storage.keep.rejected` kept.

Each event comes with its own tag (or `tag`), time and record; its metadata says under `dead_letter` which output gave it up and why.
A file of letters is deleted when all its events are delivered or stored; what can't be read stays, with the suffix `.bad`.

Example:
    Name  dlq
    Path  /var/lib/tailrace/rejected
    Tag   dead
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import groupby, islice
from pathlib import Path

from tailrace.config import ConfigError, Seconds, option
from tailrace.model import Chunk, Receipt, shared
from tailrace.plugin import Emit, Input, InputOptions, input_plugin
from tailrace.plugin.dead_letters import (
    finish,
    give_back,
    letter_files,
    read_letters,
    take,
    taken_files,
)
from tailrace.wire.dead_letter import DeadLetter

MOST_AT_ONCE = 500


class DlqOptions(InputOptions):
    path: str = option("")
    """The folder of dead letters; default: `storage.rejected.path` of the service."""

    interval: Seconds = option(10.0)
    """Seconds between two looks at the folder."""

    output: str = option("")
    """Take letters of this output alone; others stay. Default: all."""


@input_plugin("dlq")
class DeadLetterInput(Input[DlqOptions]):
    replays = True
    can_wait = True

    def __init__(self, options: DlqOptions) -> None:
        super().__init__(options)
        self.folder = self.find_folder()

    def find_folder(self) -> Path:
        if self.options.path:
            return Path(self.options.path)
        storage = self.context.service("storage.path")
        if not storage:
            raise ConfigError(
                "path: there is no folder of dead letters.",
                "Give path, or storage.path in the service section.",
            )
        return Path(storage, str(self.context.service("storage.rejected.path")))

    async def start(self) -> None:
        """Files that an earlier run took and did not finish are taken again."""
        for taken in taken_files(self.folder):
            give_back(taken)

    async def run(self, emit: Emit) -> None:
        while True:
            for path in letter_files(self.folder):
                taken = take(path)
                if taken is not None:
                    await self.deliver(taken, emit)
            await self.context.clock.sleep(self.options.interval)

    async def deliver(self, taken: Path, emit: Emit) -> None:
        """Emit a file's letters and delete it when all are settled."""
        done = asyncio.Event()
        whole = Receipt(lambda receipt: done.set())
        whole.hold()
        others: list[bytes] = []
        bad: list[bytes] = []
        letters = self.wanted(taken, others, bad)
        while some := list(islice(letters, MOST_AT_ONCE)):
            for tag, group in groupby(some, key=lambda letter: self.options.tag or letter.tag):
                chunk = chunk_of(tag, list(group))
                chunk.receipt = whole
                await emit(chunk)
        whole.release()
        await done.wait()
        finish(taken, others, bad)

    def wanted(self, taken: Path, others: list[bytes], bad: list[bytes]) -> Iterator[DeadLetter]:
        """The letters to emit; the lines of others and bad ones go into the lists."""
        for line in read_letters(taken):
            if line.letter is None:
                self.context.log.error(f"{taken.name}, line {line.number}: {line.error}")
                bad.append(line.raw)
            elif line.letter.kind != "logs" or self.options.output not in ("", line.letter.output):
                others.append(line.raw)
            else:
                yield line.letter


def chunk_of(tag: str, letters: list[DeadLetter]) -> Chunk:
    """A chunk of letters of one tag."""
    metadata = [
        {
            **letter.metadata,
            "dead_letter": {
                "output": letter.output,
                "reason": letter.reason,
                "status": letter.status,
                "attempts": letter.attempts,
            },
        }
        for letter in letters
    ]
    chunk = Chunk(
        tag, [letter.time for letter in letters], [letter.record for letter in letters], metadata
    )
    chunk.groups = shared(letter.group for letter in letters)
    return chunk
