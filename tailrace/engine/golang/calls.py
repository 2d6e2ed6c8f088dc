"""Threads in which an instance calls Go code, so that a call which takes its time holds up nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Calls:
    """Up to `threads` calls at once. The threads are daemons: one that Go never gives back doesn't keep the agent alive."""

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._most = max(1, threads)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._running = 0

    async def __call__(self, function: Callable[[], T]) -> T:
        """What the function returns, called in a thread. Cancelling stops the waiting, never the call."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._running >= len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._running += 1
        self._jobs.put((function, loop, future))
        try:
            return await future
        finally:
            self._running -= 1

    def close(self) -> None:
        """Let the threads end when they have done what was asked of them."""
        for _ in self._threads:
            self._jobs.put(None)
        self._threads.clear()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, loop, future = job
            result: Any = None
            failure: Exception | None = None
            try:
                result = function()
            except Exception as error:  # goes to the one who waits
                failure = error
            try:
                loop.call_soon_threadsafe(settle, future, result, failure)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more


def settle(future: asyncio.Future[Any], result: Any, failure: Exception | None) -> None:
    if future.cancelled():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)
