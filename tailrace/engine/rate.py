"""How fast one input brings events, and the gate that holds it to a limit (`rate_window`, `rate_gate.*`).

The rate is counted in windows of fixed length. What a window had too much of is carried into the next one, so that the
long-run average keeps to the limit even if single chunks are large.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class RateMeter:
    """Records and raw bytes of one window after another; times are seconds of a steady clock."""

    window: float = 1.0
    began: float = 0.0
    records: int = 0
    bytes: int = 0
    """What the present window has so far."""
    last_records: float = 0.0
    last_bytes: float = 0.0
    """Per second, in the window before."""

    def add(self, now: float, records: int, size: int) -> None:
        self.turn(now)
        self.records += records
        self.bytes += size

    def turn(self, now: float) -> int:
        """Begin a new window if the present one is over; how many have ended."""
        windows = int((now - self.began) / self.window)
        if windows <= 0:
            return 0
        only_one = windows == 1
        self.last_records = self.records / self.window if only_one else 0.0
        self.last_bytes = self.bytes / self.window if only_one else 0.0
        self.began += windows * self.window
        self.records = self.bytes = 0
        return windows

    def per_second(self, now: float) -> tuple[float, float]:
        """Records and bytes per second: of the last whole window, or the present one if that is higher already."""
        self.turn(now)
        records, size = self.records / self.window, self.bytes / self.window
        return max(self.last_records, records), max(self.last_bytes, size)


class RateLimits(NamedTuple):
    """Most records and bytes per second; 0: no limit."""

    records: int = 0
    bytes: int = 0
    backpressure: bool = True
    """Whether work that is still under way lowers the limits."""
    resume_ratio: float = 0.8


class RateGate:
    """Says whether an input must wait. `pressure` gives its chunks being sent and the tries of those that failed."""

    def __init__(
        self, meter: RateMeter, limits: RateLimits, pressure: Callable[[], tuple[int, int]]
    ) -> None:
        self._meter = meter
        self._limits = limits
        self._pressure = pressure
        self._excess_records = 0.0
        self._excess_bytes = 0.0
        self.busy_chunks = 0
        self.retry_attempts = 0
        self.limited = False
        """Whether the input is held back right now."""

    def seconds_to_wait(self, now: float) -> float:
        """0, or how long to wait before asking again: until the present window ends.

        An input that is held back goes on when it is below the limits by `resume_ratio`.
        """
        self._carry_over(now)
        ratio = self._limits.resume_ratio if self.limited else 1.0
        self.limited = self._is_above(ratio)
        return self._meter.began + self._meter.window - now if self.limited else 0.0

    def _is_above(self, ratio: float) -> bool:
        limits, meter = self._limits, self._meter
        share = ratio / (1 + self._measure_pressure())
        window = meter.window
        records = (meter.records + self._excess_records) / window
        size = (meter.bytes + self._excess_bytes) / window
        return (limits.records > 0 and records > limits.records * share) or (
            limits.bytes > 0 and size > limits.bytes * share
        )

    def _measure_pressure(self) -> int:
        if not self._limits.backpressure:
            return 0
        self.busy_chunks, self.retry_attempts = self._pressure()
        return self.busy_chunks + self.retry_attempts

    def _carry_over(self, now: float) -> None:
        meter, limits = self._meter, self._limits
        records, size = meter.records + self._excess_records, meter.bytes + self._excess_bytes
        windows = meter.turn(now)
        if windows:
            span = windows * meter.window
            self._excess_records = max(0.0, records - limits.records * span)
            self._excess_bytes = max(0.0, size - limits.bytes * span)
