"""What a plugin may ask of the agent. The engine gives the real one, `tailrace.testing` a fake."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tailrace.config.source import Section
from tailrace.model import Chunk, Receipt, Signal
from tailrace.plugin.clock import Clock
from tailrace.plugin.log import Log
from tailrace.plugin.share import Share

if TYPE_CHECKING:
    from tailrace.model.metrics import MetricSet
    from tailrace.plugin.base import Parser


class Counter(Protocol):
    """A number that only grows, with or without labels."""

    def inc(self, amount: float = 1, *labels: str) -> None: ...


class Gauge(Protocol):
    """A number that goes up and down."""

    def set(self, value: float, *labels: str) -> None: ...

    def clear(self) -> None:
        """Forget all values of this instance."""


class Metrics(Protocol):
    """An instance's own metrics; the label `name` of the instance is added."""

    def counter(self, name: str, description: str, labels: Sequence[str] = ()) -> Counter: ...

    def gauge(self, name: str, description: str, labels: Sequence[str] = ()) -> Gauge: ...


class Timer(Protocol):
    def cancel(self) -> None: ...


class Context(Protocol):
    """The agent as one plugin instance sees it."""

    name: str
    """The instance's name: `tail.0`, or its alias."""
    unique: str
    """The plugin's name and number, `tail.0`, whatever the alias; the tag of an input that is given none."""
    log: Log
    clock: Clock
    metrics: Metrics
    share: Share
    """The part of the work that is this engine's, if several run; an input that divides its work asks it."""
    config_dir: Path
    """The folder of the configuration file; relative paths of plugins' own files start in it."""
    signal: Signal
    """For a processor: what it stands under in the configuration (`processors: {metrics: [...]}`); it is handed nothing else."""
    is_only_output: bool
    """Whether the configuration has one output."""
    variables: Mapping[str, str]
    """What the configuration itself sets with `@SET` and `env`."""

    def emit(self, chunk: Chunk) -> None:
        """From a filter or a timer: put a chunk into the pipeline anew, through all filters.

        The chunk takes a share of its `receipt`, if it has one. Never waits.
        """

    def warn_of(self, what: str, mend: str = "") -> None:
        """From `__init__`: something in the configuration is odd, but starts; `tailrace check` shows it too."""

    def drop(self, count: int, reason: str) -> None:
        """Count events that this instance had to give up, so that the books balance."""

    def parser(self, name: str) -> Parser[Any]:
        """The parser of this name; `ConfigError` if there is none."""

    def multiline_parser(self, name: str) -> Any:
        """The multiline parser (rules) of this name; `ConfigError` if there is none. See `model.multiline`."""

    def upstream(self, path: str) -> list[Section]:
        """The nodes of an upstream file or of the configuration's `upstream_servers`."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call once, in the loop."""

    def every(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call again and again, in the loop, until cancelled; the engine cancels it at the end."""

    def stop_agent(self, exit_code: int = 0) -> None:
        """End the agent in an orderly way: inputs stop, queues are flushed."""

    def service(self, name: str) -> Any:
        """The typed value of a service option, such as `json.escape_unicode`."""

    async def agent_metrics(self) -> MetricSet:
        """What the agent tells of itself, as of now; of several engines all together."""

    def spawn(self, coroutine: Any) -> Any:
        """Run a coroutine beside; the engine owns its task, cancels it at the end and logs its failure."""


def joined(receipts: Sequence[Receipt | None]) -> Receipt | None:
    """One receipt for events of several chunks: each of `receipts` is held until it is settled."""
    parts = [receipt for receipt in dict.fromkeys(receipts) if receipt is not None]
    if not parts:
        return None
    for part in parts:
        part.hold()

    def settle(receipt: Receipt) -> None:
        for part in parts:
            part.release(receipt.refused, receipt.reason)

    return Receipt(settle, urgent=any(part.urgent for part in parts))
