"""Let only so many events through, on average over a sliding window.

Example:
    Name     throttle
    Match    *
    Rate     1000
    Window   300
    Interval 1s

Over `window` intervals at most `rate` times `window` events pass; the others are dropped, counted.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from tailrace.config import ConfigError, Odd, Reader, option
from tailrace.config.source import Value
from tailrace.config.types import read_seconds
from tailrace.model import Chunk
from tailrace.plugin import Filter, FilterOptions, filter_plugin


def read_interval(value: Value) -> float:
    """Seconds above 0; what is no time counts as one second, as in Fluent Bit, with a warning."""
    mend = "Give a time above 0, as: 1s."
    try:
        seconds = read_seconds(value)
    except ConfigError:
        seconds = 0.0
    if seconds <= 0:
        raise Odd(1.0, f"{value!r} is no interval; one second is taken.", mend)
    return seconds


class ThrottleOptions(FilterOptions):
    rate: float = option(1.0)
    """Events in one interval, at least 1."""

    window: int = option(5)
    """How many intervals are looked at together; 1 and less count as 5, as in Fluent Bit."""

    interval: float = option(1.0, reader=Reader("time", read_interval))
    """Length of an interval, as: 1s, 5m."""

    print_status: bool = option(False)
    """Log the limit and the present rate each interval."""


@filter_plugin("throttle")
class Throttle(Filter[ThrottleOptions]):
    padding = None

    def __init__(self, options: ThrottleOptions) -> None:
        super().__init__(options)
        self.rate, self.window = options.rate, options.window
        if self.rate < 1:
            self.rate = 1.0
            self.context.warn_of(
                f"rate: {options.rate:g} counts as 1, as in Fluent Bit.",
                "For less than one event per interval take a longer interval.",
            )
        if self.window <= 1:
            self.window = 5
            self.context.warn_of(
                f"window: {options.window} counts as 5, as in Fluent Bit.", "Give 2 or more."
            )
        self.panes: deque[int] = deque([0], maxlen=self.window)
        self.total = 0
        self.limit = self.rate * self.window
        self.timer: Any = self.context.every(options.interval, self.advance)

    def advance(self) -> None:
        """An interval is over: the oldest leaves the window."""
        if len(self.panes) == self.panes.maxlen:
            self.total -= self.panes[0]
        self.panes.append(0)
        if self.options.print_status:
            self.context.log.info(
                f"limit is {self.rate:g} per interval with a window of {self.window}, "
                f"present rate is {self.total / self.window:.2f}"
            )

    def process(self, chunk: Chunk) -> Chunk:
        count = chunk.count
        room = 0
        while room < count and self.total + room < self.limit:
            room += 1
        self.total += room
        self.panes[-1] += room
        if room == count:
            return chunk
        return chunk.select(index < room for index in range(count))
