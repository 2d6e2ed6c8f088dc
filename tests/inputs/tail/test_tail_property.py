"""Whatever happens to a file and the agent, each line is delivered; exactly once if all was settled before each end."""

import asyncio
import random
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

OPERATIONS = ["append", "append part", "rename", "truncate", "settle some", "settle all", "time"]
ENDS = ["stop", "kill"]


class World:
    """A log directory, a program that writes and rotates, and an agent that comes and goes."""

    def __init__(self, directory: Path, tailing, seed: int, settles_before_end: bool) -> None:
        self.log = directory / "in.log"
        self.old = self.log
        self.section = f"path {self.log},{self.log}.*\ndb {directory / 'pos.db'}\nread_from_head on"
        self.tailing = tailing
        self.random = random.Random(seed)
        self.settles_before_end = settles_before_end
        self.written: list[str] = []
        self.delivered: Counter[str] = Counter()
        self.part = ""
        self.rotations = 0
        self.seen = False
        """Whether the agent can know the present file: nobody finds one that came and went unseen."""
        self.log.write_text("")

    async def start(self) -> None:
        self.agent = await self.tailing(self.section, settles=False).__aenter__()
        self.seen = True

    async def end(self, how: str) -> None:
        if self.settles_before_end:
            await self.agent.passes(3)
            self.settle(len(self.agent.receipts))
            await self.agent.passes(0.75)
        await (self.agent.stop() if how == "stop" else self.agent.kill())
        self.delivered.update(self.agent.lines)

    def settle(self, count: int) -> None:
        self.random.shuffle(self.agent.receipts)
        for _ in range(min(count, len(self.agent.receipts))):
            self.agent.receipts.pop().release()

    def append(self) -> None:
        for _ in range(self.random.randint(1, 5)):
            line = f"line {len(self.written)}"
            self._write(line[len(self.part) :] + "\n")
            self.written.append(line)
            self.part = ""

    def append_part(self) -> None:
        if not self.part:
            self.part = f"line {len(self.written)}"
            self._write(self.part)

    def _write(self, text: str) -> None:
        with open(self.log, "a") as file:
            file.write(text)

    def rename(self) -> None:
        name = self.random.choice([".", "-away"]) if self.seen else "."
        self.seen = False
        if self.part:
            self.append()
        self.rotations += 1
        self.log.rename(self.log.with_name(f"in.log{name}{self.rotations}"))
        self.log.write_text("")

    async def truncate(self) -> None:
        """What was not read before is lost to everybody, so it is read, and settled lest a crash forgets it."""
        if self.part:
            self.append()
        await self.agent.passes(1.5)
        self.settle(len(self.agent.receipts))
        self.log.write_text("")
        self.log.touch()
        await self.agent.passes(0.5)

    async def do(self, operation: str) -> None:
        match operation:
            case "append":
                self.append()
            case "append part":
                self.append_part()
            case "rename":
                self.rename()
            case "truncate":
                await self.truncate()
            case "settle some":
                self.settle(self.random.randint(1, 3))
            case "settle all":
                self.settle(len(self.agent.receipts))
            case "time":
                seconds = self.random.choice([0.25, 1.25, 3])
                await self.agent.passes(seconds)
                self.seen = self.seen or seconds > 1


RUN = st.tuples(
    st.lists(st.sampled_from(OPERATIONS), max_size=8),
    st.sampled_from(ENDS),
    st.lists(st.sampled_from(["append", "append part", "rename"]), max_size=3),
)


@settings(max_examples=40, deadline=None)
@given(
    runs=st.lists(RUN, min_size=1, max_size=4), seed=st.integers(0, 2**32), settles=st.booleans()
)
def test_every_line_is_delivered(tailing_class, runs, seed, settles):
    async def scenario(directory: str) -> World:
        world = World(Path(directory), tailing_class, seed, settles)
        for operations, end, between in runs:
            await world.start()
            for operation in operations:
                await world.do(operation)
            await world.end(end)
            for operation in between:
                await world.do(operation)
        world.append()
        await world.start()
        await world.agent.passes(3)
        await world.end("stop")
        return world

    with tempfile.TemporaryDirectory() as directory:
        world = asyncio.run(scenario(directory))
    assert set(world.delivered) == set(world.written)
    if settles:
        assert max(world.delivered.values()) == 1
