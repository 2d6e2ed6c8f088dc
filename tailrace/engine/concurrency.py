"""How many flushes of one output may run at once: as many as its destination takes well, up to `workers`.

Additive increase, multiplicative decrease, as TCP does: each success adds a little, a failure halves, and an answer
that takes far longer than usual takes a little away.
"""

from __future__ import annotations

SLOW_FACTOR = 3.0
"""An answer that takes this many times the usual counts as a sign of overload."""
SLOW_SECONDS = 0.1
"""Answers below this are never slow."""
MEMORY = 0.1
"""How much the latest answer counts in the usual time."""


class AdaptiveLimit:
    """A limit between 1 and `most` that follows how the destination answers."""

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self._limit = float(self._most)
        self._usual = 0.0

    @property
    def now(self) -> int:
        return int(self._limit)

    def succeed(self, seconds: float) -> None:
        """A flush was taken after `seconds`."""
        usual = self._usual
        self._usual = usual + MEMORY * (seconds - usual) if usual else seconds
        if usual and seconds > SLOW_SECONDS and seconds > SLOW_FACTOR * usual:
            self._limit = max(1.0, self._limit * 0.9)
        else:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)

    def fail(self) -> None:
        """A flush has to be sent again."""
        self._limit = max(1.0, self._limit / 2)
