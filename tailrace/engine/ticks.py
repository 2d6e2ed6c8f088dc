"""The beat at which outputs flush: every `flush` seconds, counted from the start of the process as in Fluent Bit.

What comes just before a beat leaves with it, so events wait half of `flush` on average, and the first ones as short as there.
"""

from __future__ import annotations

import os
import time


def process_age() -> float:
    """Seconds since this process was started; 0 where the system does not tell."""
    try:
        with open("/proc/self/stat", "rb") as file:
            started = int(file.read().rpartition(b")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


def next_beat(now: float, first: float, interval: float) -> float:
    """The next time at which a flush is due; beats are at `first` and every `interval` seconds after."""
    return max(now, now + interval - (now - first) % interval)  # a remainder may be rounded up
