"""A time limit around many matches, at the cost of two system calls for all of them.

On the main thread an interval timer interrupts the engines, which both look for signals while they match. The timer counts the
process's own processor time (`ITIMER_VIRTUAL`): a busy or suspended machine does not make patterns look slow, and other users of
`SIGALRM` are not disturbed. On other threads signals do not arrive; there `Regex.search` goes through the `regex` module, whose
matches take a time limit each.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Final, Self

from tailrace.model.regex.errors import RegexTimeout

DEFAULT_SECONDS: Final = 1.0
"""The limit of one match off the main thread when no budget is set."""

_SHORTEST: Final = 1e-6
_HAS_TIMER: Final = hasattr(signal, "setitimer")


def on_main_thread() -> bool:
    """Whether signals can interrupt a match here."""
    return _HAS_TIMER and threading.current_thread() is threading.main_thread()


class _Deadlines(threading.local):
    latest: float | None = None


_deadlines = _Deadlines()


def seconds_left() -> float:
    """What a match may take on a thread that signals do not reach."""
    if _deadlines.latest is None:
        return DEFAULT_SECONDS
    return _deadlines.latest - time.monotonic()


class budget:
    """Ends with `RegexTimeout` when the matches inside take more than `seconds`.

    May be nested: the shortest limit counts, and what an inner one used is taken off the outer. Nothing inside may
    `await`, or the interruption could hit another task. The exception can also hit code beside the match, so
    what is inside should only compute. After it, take the texts one by one, each under its own budget, to
    find the culprit.
    """

    __slots__ = (
        "armed",
        "fired",
        "limit",
        "main",
        "outer_deadline",
        "outer_handler",
        "outer_interval",
        "outer_left",
        "seconds",
    )

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.armed = False

    def __enter__(self) -> Self:
        self.main = on_main_thread()
        if self.main:
            self.arm()
        else:
            self.set_deadline()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.main:
            self.disarm()
        else:
            _deadlines.latest = self.outer_deadline

    def set_deadline(self) -> None:
        self.outer_deadline = _deadlines.latest
        deadline = time.monotonic() + self.seconds
        _deadlines.latest = (
            deadline if self.outer_deadline is None else min(deadline, self.outer_deadline)
        )

    def arm(self) -> None:
        self.outer_handler: Any = signal.signal(signal.SIGVTALRM, self.interrupt)
        self.outer_left, self.outer_interval = signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        self.limit = max(min(self.seconds, self.outer_left or self.seconds), _SHORTEST)
        self.fired = 0
        self.armed = True
        # It goes off again and again: Python drops an exception that hits, say, a `__del__`.
        signal.setitimer(signal.ITIMER_VIRTUAL, self.limit, self.limit)

    def disarm(self) -> None:
        self.armed = False
        left, _ = signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, self.outer_handler or signal.SIG_DFL)
        if self.outer_left:
            left_outside = self.outer_left - self.limit * (self.fired + 1) + left
            signal.setitimer(
                signal.ITIMER_VIRTUAL, max(left_outside, _SHORTEST), self.outer_interval
            )

    def interrupt(self, _signal: int, frame: FrameType | None) -> None:
        # Between the last match and `disarm` there is nothing left to end.
        if self.armed and (frame is None or frame.f_code not in _OWN_CODE):
            self.fired += 1
            raise RegexTimeout(f"matching took more than {self.limit:g} s")


_OWN_CODE: Final = {
    budget.__exit__.__code__,
    budget.disarm.__code__,
    budget.__enter__.__code__,
    budget.arm.__code__,
}
