"""The plugin API: five shapes, and what an output may raise.

| kind | you write | contract |
| --- | --- | --- |
| input | `async run(emit)`; or `collect()` on `PollingInput` | `await emit(chunk)` waits while the pipeline is full; cancellation is the stop signal |
| parser | `parse(lines) -> Parsed` | many lines in, as many results out; a line that does not parse is no exception |
| filter, processor | `process(chunk) -> Chunk` | the chunk is yours: change it in place or return another; empty means all dropped |
| output | `async flush(chunk)` | returning is delivered; `raise Retry(why)` (or an `OSError`) keeps it, `raise Reject(why)` gives it up, `raise Partial(...)` says it for each item |
| any | `async start()`, `async stop()` | `start` opens, `stop` closes; `stop` is safe twice and without `start` |
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from tailrace.config import Options, Seconds, Size, option
from tailrace.config.errors import ConfigError, Odd
from tailrace.config.types import Reader, Structure, one_of, read_seconds, text
from tailrace.model import LOGS, Body, Chunk, Signal
from tailrace.plugin.log import LEVELS, Level
from tailrace.plugin.tag_records import INPUT_TELEMETRY

if TYPE_CHECKING:
    from tailrace.plugin.context import Context

Emit = Callable[[Chunk], Awaitable[None]]
"""Hands a chunk to the pipeline; waits while the pipeline is full."""

Kind = Literal["input", "parser", "filter", "processor", "output", "custom"]


class Retry(Exception):
    """The chunk could not be delivered now; keep it and try again (`FLB_RETRY`).

    `after` is the number of seconds the server asked to wait (`Retry-After`), if it did; `status` what it answered.
    """

    def __init__(self, why: str, after: float | None = None, status: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.after = after
        self.status = status


class Reject(Exception):
    """The destination will never take this chunk; drop it, counted with the reason (`FLB_ERROR`).

    `status` is what the server answered, if it is a number (HTTP 400).
    """

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.why = why
        self.status = status


class Refusal(NamedTuple):
    """Events that a destination will never take, with the reason and its status for them."""

    chunk: Chunk
    why: str
    status: int = 0


class Partial(Exception):
    """Some events of the chunk were delivered: `retry` is what to send again, `rejected` what was refused.

    `retry` is a chunk or None; `rejected` gives the refused events (a chunk) with the reason and, if there is one, the status.
    `after` and `status` are those of `Retry`, for what is to be sent again.
    """

    def __init__(
        self,
        why: str,
        retry: Chunk | None,
        rejected: Sequence[Refusal | tuple[Chunk, str] | tuple[Chunk, str, int]] = (),
        after: float | None = None,
        status: int = 0,
    ) -> None:
        super().__init__(why)
        self.why = why
        self.retry = retry
        self.rejected = [Refusal(*each) for each in rejected]
        self.after = after
        self.status = status


def read_log_level(value: Any) -> Level:
    word = text(value).strip().lower()
    if word not in LEVELS:
        raise ConfigError(f"{value!r} is no log level.", f"Give one of: {', '.join(LEVELS)}.")
    return LEVELS[word]


LOG_LEVEL = Reader("log level", read_log_level, {"enum": list(LEVELS)})


class PluginOptions(Options):
    """What every instance takes."""

    is_common = True

    alias: str = option("", last_wins=True)
    """A name of this instance for logs, metrics and routes; default: the plugin's name and a number."""

    log_level: Level | None = option(None, reader=LOG_LEVEL)
    """Log level of this instance alone: off, error, warn, info, debug or trace."""

    log_suppress_interval: Seconds = option(0.0)
    """Hold back a log message of this instance that was written already within this time; 0: never."""


class MatchOptions(PluginOptions):
    """What filters and outputs take to choose their events."""

    is_common = True

    match: str = option("", last_wins=True)
    """Take events whose tag matches; `*` stands for any text."""

    match_regex: str = option("", last_wins=True)
    """Take events whose tag matches this regular expression from its start."""


def read_window(value: Any) -> float:
    seconds = read_seconds(value)
    if seconds <= 0:
        raise ConfigError(f"{value!r} is no window.", "Give a time above 0, as: 1s.")
    return seconds


def read_ratio(value: Any) -> float:
    try:
        ratio = float(text(value))
    except ValueError:
        ratio = 0.0
    if not 0 < ratio <= 1:
        raise ConfigError(f"{value!r} is no ratio.", "Give a number above 0 and at most 1.")
    return ratio


class InputOptions(PluginOptions):
    """What every input takes."""

    is_common = True

    tag: str = option("", last_wins=True)
    """Tag of the events; default: the plugin's name and the instance's number, as: tail.0."""

    mem_buf_limit: Size = option(0)
    """Pause this input while its undelivered events take this much memory; 0: only the agent's own limit."""

    routable: bool = option(True)
    """Off: the events go to no output by match, only to those that name this input."""

    threaded: bool = option(False)
    """Accepted for compatibility; inputs never wait for each other, so there is nothing to turn on."""

    thread_ring_buffer_capacity: int = option(1024, name="thread.ring_buffer.capacity")
    """Accepted for compatibility with `threaded`; there is no ring buffer that could overflow."""

    thread_ring_buffer_window: int = option(5, name="thread.ring_buffer.window")
    """Accepted for compatibility with `threaded`."""

    storage_type: str = option(
        "", name="storage.type", reader=one_of("memory", "filesystem", "memrb")
    )
    """Where undelivered events wait: memory, filesystem, or memrb (a ring in memory that drops its oldest)."""

    storage_pause_on_chunks_overlimit: bool = option(
        False, name="storage.pause_on_chunks_overlimit"
    )
    """Pause this input while more than `storage.max_chunks_up` of its chunks wait."""

    routes: Structure = option(None)
    """Conditional routes to outputs (YAML only)."""

    telemetry: bool | None = option(None, reader=INPUT_TELEMETRY)
    """YAML only: `telemetry: {metrics: {logs: {tag_records: {enabled: true}}}}` counts this input's events by tag, or with false does not, whatever the service says."""

    rate_window: Seconds = option(1.0, reader=Reader("time", read_window))
    """Length of the windows in which the rate of this input is counted."""

    rate_gate: bool = option(False)
    """Hold this input to the limits of `rate_gate.max_bytes` and `rate_gate.max_records`."""

    rate_gate_max_bytes: Size = option(0, name="rate_gate.max_bytes")
    """Most bytes per second; 0: no limit."""

    rate_gate_max_records: int = option(0, name="rate_gate.max_records")
    """Most events per second; 0: no limit."""

    rate_gate_backpressure: bool = option(True, name="rate_gate.backpressure")
    """Lower the limits while chunks of this input are being sent or wait for a retry."""

    rate_gate_resume_ratio: float = option(
        0.8, name="rate_gate.resume_ratio", reader=Reader("number", read_ratio)
    )
    """Once held back, go on when the rate is below this share of the limits; above 0, at most 1."""


class FilterOptions(MatchOptions):
    """What every filter takes. As a processor in YAML it takes a `condition`, which the engine applies."""


class ProcessorOptions(PluginOptions):
    """What every processor takes. In YAML it takes a `condition` as well, which the engine applies."""


DEFAULT_RETRIES, NO_RETRY_LIMIT = -1, -2
"""Instead of a limit: none is given, or one that can't be; either way the default counts."""
INTEGER = re.compile(r"[+-]?\d{1,18}")


def read_retry_limit(value: Any) -> int | None:
    """Retries after the first try; None: without limit; 0: none; `NO_RETRY_LIMIT` for a number below 1, as in Fluent Bit."""
    word = text(value).strip().lower()
    if word in ("no_limits", "false", "off", "unlimited"):
        return None
    if word == "no_retries":
        return 0
    found = INTEGER.match(word)
    mend = "Give a number from 1, no_limits, false or no_retries."
    if not found:
        raise ConfigError(f"{value!r} is no retry limit.", mend)
    number = int(found.group())
    if number > 0 and found.end() < len(word):
        raise Odd(number, f"{value!r} is no retry limit; {number} is taken.", mend)
    return number if number > 0 else NO_RETRY_LIMIT


def refuse_on_unix(value: Any) -> str:
    raise ConfigError(
        "certificate stores of Windows can't be used here.", "Take tls.ca_file or tls.ca_path."
    )


WINDOWS = Reader("text (Windows)", refuse_on_unix)


class OutputOptions(MatchOptions):
    """What every output takes."""

    is_common = True

    retry_limit: int | None = option(
        DEFAULT_RETRIES, reader=Reader("number | no_limits | no_retries | false", read_retry_limit)
    )
    """How often a chunk is tried again: a number, `no_limits` or `false` (for ever), `no_retries`; default: `scheduler.retry_limit`, 1."""

    workers: int = option(0)
    """How many flushes of this output may run at once, fewer while it answers slowly or fails; 0 and 1: one after the other, which keeps the order."""

    queue_limit: Size = option(0)
    """How much undelivered data (raw bytes) this output may hold in memory; 0: 64M."""

    queue_full: str = option(
        "block", reader=one_of("block", "drop_oldest", "drop_newest", "overflow")
    )
    """What happens at the limit: block (inputs wait), drop_oldest or drop_newest (counted), overflow (to the disk, under `storage.path`)."""

    secondary: str = option("")
    """The alias of another output that takes what this one gave up (refused, or tried as often as `retry_limit` allows)."""

    tls_windows_certstore_name: str = option("", name="tls.windows.certstore_name", reader=WINDOWS)
    """Certificate store of Windows to trust. Only on Windows, where this agent does not run yet: an error."""

    tls_windows_use_enterprise_store: str = option(
        "", name="tls.windows.use_enterprise_store", reader=WINDOWS
    )
    """Take the enterprise's certificate store. Only on Windows: an error."""

    tls_windows_client_thumbprints: str = option(
        "", name="tls.windows.client_thumbprints", reader=WINDOWS
    )
    """Client certificates by thumbprint. Only on Windows: an error."""

    storage_total_limit_size: Size = option(0, name="storage.total_limit_size")
    """How much of this output's undelivered data may lie in the filesystem; the oldest goes first; 0: no limit."""


PluginO = TypeVar("PluginO", bound=PluginOptions)
InputO = TypeVar("InputO", bound=InputOptions)
PollingO = TypeVar("PollingO", bound="PollingOptions")
FilterO = TypeVar("FilterO", bound=FilterOptions)
ProcessorO = TypeVar("ProcessorO", bound=ProcessorOptions)
OutputO = TypeVar("OutputO", bound=OutputOptions)
ParserO = TypeVar("ParserO", bound="ParserOptions")


class Plugin(Generic[PluginO]):
    """Base of all. `options` is what the user wrote; `context` is the way to the agent, set before `__init__`."""

    name: ClassVar[str] = ""
    kind: ClassVar[Kind] = "filter"
    handles: ClassVar[Signal] = LOGS
    """The signals this plugin takes; it is never handed anything else."""
    exclusive: ClassVar[bool] = False
    """It holds what only one instance can have (a port): at a reload the old one ends before the new one starts."""
    context: Context

    def __init__(self, options: PluginO) -> None:
        self.options = options

    async def start(self) -> None:
        """Open what the plugin needs; raise `ConfigError` when it can't be had."""

    async def stop(self) -> None:
        """Close what `start` opened."""

    def measure(self) -> None:
        """Set gauges that are only worth it when somebody looks; called before the agent's metrics are read."""


class Input(Plugin[InputO]):
    """A source of events."""

    kind: ClassVar[Kind] = "input"
    divides: ClassVar[bool] = False
    """Whether several engines may run it, each with its share of the work (`context.share`); listeners that can share a port are taken for granted."""
    padding: ClassVar[int] = 8
    """Bytes by which Fluent Bit writes each event of this input longer than need be; it is part of its counts."""

    @abstractmethod
    async def run(self, emit: Emit) -> None:
        """Emit chunks until there is no more or the task is cancelled."""

    @property
    def tag(self) -> str:
        return self.options.tag or self.context.unique

    @property
    def has_one_tag(self) -> bool:
        """Whether all events have the tag `tag`; otherwise they bring their own."""
        return True

    acknowledges: ClassVar[bool] = False
    """Whether clients that ask for it are told when their events are settled, and send again what they are not told of."""

    can_wait: ClassVar[bool] = False
    """Whether nothing is lost, and nobody is held up, while it waits for the pipeline: it reads files or the like."""

    @property
    def replays(self) -> bool:
        """Whether what was not delivered comes again after a crash: read anew, or sent again by a client without an answer."""
        return False

    @property
    def held_bytes(self) -> int:
        """Bytes that have come and are not emitted, as the parts of messages on connections; they count as used memory."""
        return 0

    def hand_over(self) -> Any:
        """At a reload, before `stop`: where a successor of the same name goes on; None if that is kept elsewhere."""
        return None

    def take_over(self, state: Any) -> None:
        """Before `start`: what the predecessor has handed over."""

    def pause(self) -> None:
        """The pipeline is full (told once); only for inputs that can push back in their own way."""

    def resume(self) -> None:
        """The pipeline takes chunks again."""


class PollingOptions(InputOptions):
    """What every polling input takes."""

    interval_sec: int = option(1)
    """Seconds between two collections."""

    interval_nsec: int = option(0)
    """Nanoseconds to add to `interval_sec`."""


class PollingInput(Input[PollingO]):
    """An input that looks at something at an interval."""

    @abstractmethod
    def collect(self) -> list[Body]:
        """Bodies of the events of this moment."""

    @property
    def interval(self) -> float:
        seconds = self.options.interval_sec + self.options.interval_nsec / 1e9
        return seconds if seconds > 0 else 1.0

    async def run(self, emit: Emit) -> None:
        clock = self.context.clock
        while True:
            await clock.sleep(self.interval)
            bodies = self.collect()
            if bodies:
                await emit(Chunk(self.tag, [clock.time_ns()] * len(bodies), bodies))


class Filter(Plugin[FilterO]):
    """Changes, drops or adds events."""

    kind: ClassVar[Kind] = "filter"
    emits_anew: bool = False
    """Whether it puts events into the pipeline anew, through `context.emit`: not for one output alone."""
    padding: ClassVar[int | None] = 0
    """As of `Input`, of the events after this filter; None where it only chooses events and changes none."""

    emits: ClassVar[bool] = False
    """Whether it puts events into the pipeline anew."""

    @abstractmethod
    def process(self, chunk: Chunk) -> Chunk:
        """The chunk after this filter; it is yours to change."""

    def drain(self) -> list[Chunk]:
        """What the filter still holds back, when the agent stops (filters that join events)."""
        return []


class Processor(Plugin[ProcessorO]):
    """Changes, drops or adds events of one input or for one output."""

    kind: ClassVar[Kind] = "processor"
    padding: ClassVar[int | None] = 8
    """As of `Filter`, of logs: Fluent Bit writes those anew behind a processor, longer than need be."""
    answers_early: bool = False
    """Whether clients get their answers while it still holds what they sent, in memory alone: a crash loses that."""

    @abstractmethod
    def process(self, chunk: Chunk) -> Chunk:
        """The chunk after this processor; it is yours to change."""


class Connections(NamedTuple):
    """Connections of an output: all that are open, and those in use."""

    total: int = 0
    busy: int = 0


class Output(Plugin[OutputO]):
    """A destination."""

    kind: ClassVar[Kind] = "output"
    preferred_bytes: ClassVar[int] = 1 << 20
    """Small chunks are merged up to about this raw size before `flush`."""
    keeps_chunks: ClassVar[bool] = False
    """Whether chunks must come as inputs made them, unmerged."""

    @property
    def confirms(self) -> bool:
        """Whether `flush` returns only when the destination has what it was sent. False: when the system took it, and what is under way may be lost unseen."""
        return True

    def connections(self) -> Connections:
        """What is open to the destination, for the agent's metrics."""
        return Connections()

    @abstractmethod
    async def flush(self, chunk: Chunk) -> None:
        """Deliver. Returning is delivered; `Retry` keeps the chunk, `Reject` drops it, `Partial` is between."""


class Parsed(NamedTuple):
    """What a parser made of lines, in their order.

    `bodies[i]` is None where line i did not parse; `times[i]` is nanoseconds since the epoch or None
    where the line gave no time.
    """

    times: list[int | None]
    bodies: list[Body | None]


class ParserOptions(Options):
    """What every parser takes."""

    name: str
    """The name by which inputs and filters call it."""


class Parser(Generic[ParserO]):
    """Turns text into bodies. Parsers of one definition are shared and keep no state of a stream."""

    name: ClassVar[str] = ""
    kind: ClassVar[Kind] = "parser"

    def __init__(self, options: ParserO) -> None:
        self.options = options

    takes_blocks: ClassVar[bool] = False
    """Whether `parse_block` is better than splitting a block and giving `parse` the lines."""

    @abstractmethod
    def parse(self, lines: Sequence[str]) -> Parsed:
        """As many results as lines."""

    def parse_block(self, block: bytes) -> Parsed:
        """As `parse`, for lines as they stand in a file: UTF-8 without CR, an LF between two."""
        return self.parse(block.decode("utf-8", "surrogateescape").split("\n"))


__all__ = [
    "Emit",
    "Filter",
    "FilterOptions",
    "Input",
    "InputOptions",
    "Kind",
    "MatchOptions",
    "Output",
    "OutputOptions",
    "Parsed",
    "Parser",
    "ParserOptions",
    "Partial",
    "Plugin",
    "PluginOptions",
    "PollingInput",
    "PollingOptions",
    "Processor",
    "ProcessorOptions",
    "Refusal",
    "Reject",
    "Retry",
]
