"""When an output may be tried: a circuit breaker, so that a destination that is away sees one try at a time.

Closed, every flush may start. After some failures in a row it opens: nothing starts for a while that doubles with each
further failure. Then a single flush is tried; its success closes the breaker, its failure opens it again. A
destination that asks for time (`Retry-After`) opens it for just that long.
"""

from __future__ import annotations

OPENS_AFTER = 3
"""Failures in a row that open it."""
FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
LONGEST_ASKED = 3600.0
"""Seconds: a `Retry-After` beyond this counts as this."""


class Breaker:
    """One output's; all times are seconds of one monotonic clock. `cap`: the longest it stays open on its own."""

    def __init__(self, cap: float = LONGEST_WAIT) -> None:
        self.failures = 0
        """Failed flushes in a row."""
        self.open_until = 0.0
        self._cap = min(cap, LONGEST_WAIT)

    @property
    def is_closed(self) -> bool:
        return self.failures < OPENS_AFTER

    def may_start(self, now: float, busy: int) -> bool:
        """Whether a flush may start while `busy` are under way."""
        if now < self.open_until:
            return False
        return self.is_closed or not busy

    def succeed(self) -> bool:
        """Note a success; whether it closes the breaker or ends a row of failures."""
        ended = self.failures > 0
        self.failures = 0
        self.open_until = 0.0
        return ended

    def fail(self, now: float, asked: float | None = None) -> bool:
        """Note a failure (`asked`: seconds that the destination wants to be left alone); whether it opens the breaker."""
        was_closed = self.is_closed
        self.failures += 1
        if asked is not None:
            self.open_until = max(self.open_until, now + min(max(asked, 0.0), LONGEST_ASKED))
        if not self.is_closed:
            import random  # most agents never need it

            wait = min(self._cap, FIRST_WAIT * 2 ** min(self.failures - OPENS_AFTER, 16))
            self.open_until = max(self.open_until, now + random.uniform(wait / 2, wait))
        return was_closed and not self.is_closed

    def let_through(self) -> None:
        """The end is near: do not wait any longer."""
        self.open_until = 0.0
