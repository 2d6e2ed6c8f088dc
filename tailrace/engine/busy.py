"""How long the event loop is busy with each instance: its filters' calls, the steps of its input's and flushes' coroutines.

Time is wall time between two turns, exclusive: while an input's step runs its filters, they have the time. Callbacks of sockets and
threads are not seen here; the process's CPU time has them.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")
Key = tuple[str, str]
"""Kind and name of an instance."""


class BusyClock:
    """Seconds by instance."""

    def __init__(self) -> None:
        self.seconds: dict[Key, float] = {}
        self._inside: list[Key] = []
        self._since = 0.0

    def enter(self, key: Key) -> None:
        """From now on time goes to `key`, until `leave`."""
        now = perf_counter()
        if self._inside:
            self.seconds[self._inside[-1]] += now - self._since
        self._inside.append(key)
        self.seconds.setdefault(key, 0.0)
        self._since = now

    def leave(self) -> None:
        now = perf_counter()
        self.seconds[self._inside.pop()] += now - self._since
        self._since = now


class Timed:
    """A coroutine whose steps are counted as an instance's time; await it."""

    def __init__(self, clock: BusyClock, key: Key, coroutine: Coroutine[Any, Any, T]) -> None:
        self._clock = clock
        self._key = key
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        clock, key, coroutine = self._clock, self._key, self._coroutine
        value: Any = None
        error: BaseException | None = None
        while True:
            clock.enter(key)
            try:
                waits_for = coroutine.send(value) if error is None else coroutine.throw(error)
            except StopIteration as end:
                return end.value
            finally:
                clock.leave()
            value, error = None, None
            try:
                value = yield waits_for
            except BaseException as raised:  # passed on into the coroutine, where it belongs
                error = raised
