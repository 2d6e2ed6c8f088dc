"""A tail input at work on files in a temporary directory, with time and settling in the test's hand."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tailrace.model import Body, Chunk, Receipt
from tailrace.plugin import Parsed
from tailrace.testing import FakeContext, make_plugin

POLLING = "inotify_watcher off\nrefresh_interval 1\nrotate_wait 2\n"


class RegexParser:
    """Enough of a parser: named groups; a group `time` gives seconds."""

    takes_blocks = False

    def __init__(self, pattern: str) -> None:
        self.pattern = re.compile(pattern)

    def parse(self, lines: Any) -> Parsed:
        times: list[int | None] = []
        bodies: list[Body | None] = []
        for line in lines:
            found = self.pattern.search(line)
            body: Body | None = found.groupdict() if found else None
            time = body.pop("time", None) if body else None
            times.append(int(time) * 1_000_000_000 if time else None)
            bodies.append(body)
        return Parsed(times, bodies)


class Tailing:
    """One run of the input: `async with Tailing(...) as tail`; polling unless told otherwise.

    `settles`: receipts are settled as soon as a chunk comes; else `receipts` holds those that are open.
    """

    def __init__(
        self,
        section: str,
        *,
        settles: bool = True,
        context: FakeContext | None = None,
        notified: bool = False,
    ) -> None:
        self.context = context or FakeContext("tail.0")
        self.settles = settles
        self.chunks: list[Chunk] = []
        self.receipts: list[Receipt] = []
        self.arrived = asyncio.Event()
        self.plugin = make_plugin(
            "input", "tail", ("" if notified else POLLING) + section, self.context
        )

    async def __aenter__(self) -> "Tailing":
        await self.plugin.start()
        self.task = asyncio.ensure_future(self.plugin.run(self.emit))
        await self.idle()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.plugin.stop()

    async def kill(self) -> None:
        """End without a last commit."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        keeper = self.plugin._keeper
        if keeper is not None:
            keeper._changed.clear()
        await self.plugin.stop()

    async def emit(self, chunk: Chunk) -> None:
        receipt = chunk.receipt or Receipt()
        receipt.hold()
        self.chunks.append(chunk)
        self.arrived.set()
        await asyncio.sleep(0)
        if self.settles:
            receipt.release()
        else:
            self.receipts.append(receipt)

    async def idle(self) -> None:
        """Until everything that is ready was read."""
        follower = self.plugin._follower
        quiet = 0
        while quiet < 6 and not self.task.done():
            await asyncio.sleep(0)
            quiet = 0 if follower.ready or follower.wake.is_set() else quiet + 1
        if self.task.done() and not self.task.cancelled() and self.task.exception():
            raise self.task.exception() or AssertionError

    async def passes(self, seconds: float) -> None:
        """Let time pass in small steps, reading what there is."""
        for _ in range(max(1, round(seconds * 4))):
            self.context.advance(0.25)
            await self.idle()

    async def wait_for(self, count: int) -> None:
        """Until as many events came (inotify)."""
        async with asyncio.timeout(10):
            while sum(map(len, self.chunks)) < count:
                self.arrived.clear()
                await self.arrived.wait()
        await self.idle()

    @property
    def bodies(self) -> list[Body]:
        return [body for chunk in self.chunks for body in chunk.bodies]

    @property
    def lines(self) -> list[Any]:
        return [body.get("log") for body in self.bodies]

    @property
    def metadata(self) -> list[Any]:
        return [item for chunk in self.chunks for item in chunk.metadata or [{}] * len(chunk)]

    def counted(self, name: str) -> float:
        return sum(self.context.metrics.by_name[f"fluentbit_input_{name}_total"].values.values())


@pytest.fixture
def tailing() -> type[Tailing]:
    return Tailing


@pytest.fixture(scope="session")
def tailing_class() -> type[Tailing]:
    return Tailing


@pytest.fixture
def regex_parser() -> type[RegexParser]:
    return RegexParser


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "in.log"
