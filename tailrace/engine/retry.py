"""How long to wait before a retry: exponential back-off with full jitter between base and cap."""

from __future__ import annotations


def delay(attempt: int, base: float, cap: float) -> float:
    """Seconds before retry number `attempt` (from 1): between `base` and `base * 2**attempt`, at most `cap`."""
    import random

    longest = min(cap, base * 2 ** min(attempt, 30))
    return random.uniform(min(base, longest), longest)
