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

from tailrace.config import ConfigError, Seconds, option
from tailrace.model import Chunk
from tailrace.plugin import Filter, FilterOptions, filter_plugin


class ThrottleOptions(FilterOptions):
    rate: float = option(1.0)
    """Events in one interval."""

    window: int = option(5)
    """How many intervals are looked at together."""

    interval: Seconds = option(1.0)
    """Length of an interval, as: 1s, 5m."""

    print_status: bool = option(False)
    """Log the limit and the present rate each interval."""


@filter_plugin("throttle")
class Throttle(Filter[ThrottleOptions]):
    padding = None

    def __init__(self, options: ThrottleOptions) -> None:
        super().__init__(options)
        if options.rate <= 0 or options.window < 1 or options.interval <= 0:
            raise ConfigError("rate, window and interval must be above 0.")
        self.panes: deque[int] = deque([0], maxlen=options.window)
        self.total = 0
        self.limit = options.rate * options.window
        self.timer: Any = self.context.every(options.interval, self.advance)

    def advance(self) -> None:
        """An interval is over: the oldest leaves the window."""
        if len(self.panes) == self.panes.maxlen:
            self.total -= self.panes[0]
        self.panes.append(0)
        if self.options.print_status:
            self.context.log.info(
                f"limit is {self.options.rate:g} per interval with a window of {self.options.window}, "
                f"present rate is {self.total / self.options.window:.2f}"
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
