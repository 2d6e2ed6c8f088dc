"""Test plugins as a user configures them: section text in, events out, without an engine and without waiting.

    out = run_filter("grep", "regex level ^e", {"level": "error"}, {"level": "warn"})
    assert [body["level"] for body in out] == ["error"]

`FakeContext` and `FakeClock` stand in for the agent; `run_input` and `run_output` drive the other two kinds, `FakeServer`, `TCPSink` and
`UDPSink` (see `servers`) stand at the other end of what sends.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tailrace.config.errors import ConfigError, InvalidConfiguration, Place, Problems, did_you_mean
from tailrace.config.source import Entry, Section
from tailrace.model import LOGS, Body, Chunk, Receipt, Signal
from tailrace.model.metrics import MetricSet
from tailrace.plugin import registry
from tailrace.plugin.base import Kind, Parser
from tailrace.plugin.log import Level, Log, LogSink
from tailrace.plugin.share import WHOLE
from tailrace.testing.servers import (
    CLOSE,
    GARBAGE,
    HANG,
    PARTIAL,
    RESET,
    FakeServer,
    Fault,
    Reply,
    Request,
    TCPSink,
    UDPSink,
)

EPOCH_NS = 1_700_000_000_000_000_000
"""The time at which a `FakeClock` starts, nanoseconds."""


class FakeClock:
    """Time that passes only when a test says so, or when everything sleeps."""

    def __init__(self, time_ns: int = EPOCH_NS) -> None:
        self.now_ns = time_ns
        self.slept: list[float] = []

    def time_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.now_ns / 1e9

    def advance(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)

    async def sleep(self, seconds: float) -> None:
        """Time jumps ahead at once; other tasks get their turn."""
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)


class ListSink(LogSink):
    """A log that keeps its lines: `messages` holds pairs of level and text."""

    def __init__(self) -> None:
        super().__init__(Level.TRACE)
        self.messages: list[tuple[str, str]] = []

    def write(self, level: str, message: str) -> None:
        self.messages.append((level, message))


@dataclass(order=True)
class FakeTimer:
    """A call that waits in a `FakeContext`."""

    due: float
    callback: Callable[[], None] = field(compare=False)
    interval: float = field(default=0.0, compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.cancelled = True


class FakeMetric:
    """Counts and sets; `values` holds the number by its labels."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}

    def inc(self, amount: float = 1, *labels: str) -> None:
        self.values[labels] = self.values.get(labels, 0) + amount

    def set(self, value: float, *labels: str) -> None:
        self.values[labels] = value

    def clear(self) -> None:
        self.values.clear()


class FakeMetrics:
    """Metrics of one fake context by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, FakeMetric] = {}

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> FakeMetric:
        return self.by_name.setdefault(name, FakeMetric())

    def gauge(self, name: str, description: str, labels: Sequence[str] = ()) -> FakeMetric:
        return self.by_name.setdefault(name, FakeMetric())


class FakeContext:
    """The agent as one plugin under test sees it.

    `emitted` holds chunks that a filter put into the pipeline, `dropped` pairs of count and reason,
    `exit_code` what `stop_agent` was called with. Timers run when `advance` passes them.
    """

    def __init__(
        self,
        name: str = "test.0",
        parsers: dict[str, Any] | None = None,
        multiline_parsers: dict[str, Any] | None = None,
        config_dir: Path | str = ".",
        service: dict[str, Any] | None = None,
        upstreams: dict[str, list[Section]] | None = None,
        variables: dict[str, str] | None = None,
        signal: Signal = LOGS,
    ) -> None:
        self.name = self.unique = name
        self.sink = ListSink()
        self.log = Log(self.sink, name)
        self.clock = FakeClock()
        self.metrics = FakeMetrics()
        self.share = WHOLE
        self.is_only_output = True
        self.told = MetricSet()
        """What `agent_metrics` gives."""
        self.config_dir = Path(config_dir)
        self.variables = variables or {}
        self.signal = signal
        self.parsers = parsers or {}
        self.multiline_parsers = multiline_parsers or {}
        self.upstreams = upstreams or {}
        self.settings = service or {}
        self.emitted: list[Chunk] = []
        self.dropped: list[tuple[int, str]] = []
        self.exit_code: int | None = None
        self.timers: list[FakeTimer] = []
        self.tasks: list[asyncio.Task[Any]] = []

    def emit(self, chunk: Chunk) -> None:
        if chunk.receipt is not None:
            chunk.receipt.hold()
        self.emitted.append(chunk)

    def warn_of(self, what: str, mend: str = "") -> None:
        self.log.warn(f"{what} {mend}".rstrip())

    def drop(self, count: int, reason: str) -> None:
        self.dropped.append((count, reason))

    def parser(self, name: str) -> Parser[Any]:
        if name not in self.parsers:
            raise ConfigError(f"there is no parser '{name}'.", did_you_mean(name, self.parsers))
        found: Parser[Any] = self.parsers[name]
        return found

    def multiline_parser(self, name: str) -> Any:
        if name not in self.multiline_parsers:
            raise ConfigError(
                f"there is no multiline parser '{name}'.",
                did_you_mean(name, self.multiline_parsers),
            )
        return self.multiline_parsers[name]

    def upstream(self, path: str) -> list[Section]:
        return self.upstreams[path]

    def call_later(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.clock.monotonic() + seconds, callback)
        heapq.heappush(self.timers, timer)
        return timer

    def every(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.clock.monotonic() + seconds, callback, interval=seconds)
        heapq.heappush(self.timers, timer)
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, running each timer at its moment."""
        end = self.clock.now_ns + int(seconds * 1e9)
        while self.timers and self.timers[0].due * 1e9 <= end + 1000:
            timer = heapq.heappop(self.timers)
            if timer.cancelled:
                continue
            self.clock.now_ns = max(self.clock.now_ns, int(timer.due * 1e9))
            if timer.interval:
                timer.due += timer.interval
                heapq.heappush(self.timers, timer)
            timer.callback()
        self.clock.now_ns = max(self.clock.now_ns, end)

    async def agent_metrics(self) -> MetricSet:
        return self.told

    def stop_agent(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code

    def service(self, name: str) -> Any:
        return self.settings.get(name, DEFAULT_SERVICE.get(name))

    def spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.append(task)
        return task


DEFAULT_SERVICE: dict[str, Any] = {
    "flush": 1.0,
    "grace": 5,
    "json.escape_unicode": True,
    "json.convert_nan_to_null": False,
    "multiline_buffer_limit": 2 << 20,
}


def entries_of(text: str, file: str = "test.conf") -> list[Entry]:
    """`key value` lines as entries; a line may also be `key: value`."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.strip().split(None, 1)
        if parts:
            entries.append(Entry(parts[0], parts[1] if len(parts) > 1 else "", Place(file, number)))
    return entries


def make_plugin(
    kind: Kind, name: str, section: str | dict[str, Any] = "", context: FakeContext | None = None
) -> Any:
    """A plugin as the section configures it; `InvalidConfiguration` if that is wrong."""
    cls = registry.find(kind, name)
    problems = Problems()
    if isinstance(section, str):
        entries = entries_of(section)
    else:
        entries = [Entry(key, value, Place("test.yaml", 1)) for key, value in section.items()]
    options_class = options_class_of(cls)
    options = options_class.read(entries, problems, f"{kind} {name}")
    if options is None:
        raise InvalidConfiguration(problems)
    return registry.make(cls, options, context or FakeContext(f"{name}.0"))


def make_parser(section: str) -> Parser[Any]:
    """The parser that the lines of a `[PARSER]` section define."""
    from tailrace.plugin import parsing

    problems = Problems()
    made = parsing.make_parser(Section("parser", Place("test.conf"), entries_of(section)), problems)
    if made is None:
        raise InvalidConfiguration(problems)
    return made


def options_class_of(cls: type[Any]) -> Any:
    """The `Options` class that a plugin class names in its bases, as `Filter[GrepOptions]`."""
    return registry.options_class(cls)


def chunk_of(
    bodies: Sequence[Body], tag: str = "test", time_ns: int = EPOCH_NS, metadata: Any = None
) -> Chunk:
    """A decoded chunk with one second between its events."""
    times = [time_ns + index * 1_000_000_000 for index in range(len(bodies))]
    return Chunk(tag, times, list(bodies), metadata)


def run_filter(
    name: str,
    section: str | dict[str, Any],
    *bodies: Body,
    tag: str = "test",
    context: FakeContext | None = None,
    kind: Kind = "filter",
) -> list[Body]:
    """The bodies that come out of a filter (or processor) for these."""
    plugin = make_plugin(kind, name, section, context)
    return list(plugin.process(chunk_of(bodies, tag)).bodies)


def run_output(
    name: str,
    section: str | dict[str, Any],
    *bodies: Body,
    tag: str = "test",
    context: FakeContext | None = None,
) -> None:
    """Start an output, flush one chunk, stop it; raises what `flush` raises."""

    async def scenario() -> None:
        plugin = make_plugin("output", name, section, context)
        await plugin.start()
        try:
            await plugin.flush(chunk_of(bodies, tag))
        finally:
            await plugin.stop()

    asyncio.run(scenario())


def run_input(
    name: str,
    section: str | dict[str, Any],
    *,
    until: int = 1,
    timeout: float = 10.0,
    context: FakeContext | None = None,
    during: Callable[[Any], Any] | None = None,
) -> list[Chunk]:
    """Chunks of an input, until `until` events came or it ended by itself.

    `during` is an async function called with the plugin once it runs: send it something there.
    Each chunk's receipt is settled as it arrives.
    """

    async def scenario() -> list[Chunk]:
        plugin = make_plugin("input", name, section, context)
        chunks: list[Chunk] = []
        enough = asyncio.Event()

        async def emit(chunk: Chunk) -> None:
            receipt = chunk.receipt or Receipt()
            receipt.hold()
            chunks.append(chunk)
            if sum(map(len, chunks)) >= until:
                enough.set()
            await asyncio.sleep(0)
            receipt.release()

        await plugin.start()
        running = asyncio.ensure_future(plugin.run(emit))
        waiting = asyncio.ensure_future(enough.wait())
        try:
            async with asyncio.timeout(timeout):
                if during is not None:
                    await during(plugin)
                await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            running.cancel()
            results = await asyncio.gather(running, waiting, return_exceptions=True)
            await plugin.stop()
        failure = results[0]
        if isinstance(failure, Exception):
            raise failure
        return chunks

    return asyncio.run(scenario())


__all__ = [
    "CLOSE",
    "EPOCH_NS",
    "GARBAGE",
    "HANG",
    "PARTIAL",
    "RESET",
    "FakeClock",
    "FakeContext",
    "FakeMetric",
    "FakeMetrics",
    "FakeServer",
    "FakeTimer",
    "Fault",
    "ListSink",
    "Reply",
    "Request",
    "TCPSink",
    "UDPSink",
    "chunk_of",
    "entries_of",
    "make_parser",
    "make_plugin",
    "options_class_of",
    "run_filter",
    "run_input",
    "run_output",
]
