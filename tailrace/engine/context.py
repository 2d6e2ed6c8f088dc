"""The agent as one plugin instance sees it: the engine's side of `plugin.Context`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailrace.config.source import Section
from tailrace.engine.metrics import InstanceMetrics, MetricRegistry
from tailrace.engine.services import Services
from tailrace.model import LOGS, Chunk
from tailrace.plugin.base import Parser
from tailrace.plugin.clock import SystemClock
from tailrace.plugin.log import Log

if TYPE_CHECKING:
    from tailrace.model.metrics import MetricSet


class RepeatingTimer:
    """A callback at an interval, until cancelled."""

    def __init__(self, seconds: float, callback: Callable[[], None]) -> None:
        self._seconds = seconds
        self._callback = callback
        self._handle = asyncio.get_running_loop().call_later(seconds, self._run)

    def _run(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._run)
        self._callback()

    def cancel(self) -> None:
        self._handle.cancel()


class PendingTimer:
    """A timer asked for before the loop runs (in a plugin's `__init__`); it starts with the pipeline."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start
        self._timer: Any = None
        self._cancelled = False

    def start(self) -> None:
        if not self._cancelled:
            self._timer = self._start()

    def cancel(self) -> None:
        self._cancelled = True
        if self._timer is not None:
            self._timer.cancel()


class EngineContext:
    """One instance's way to the agent."""

    def __init__(self, kind: str, plugin: str, name: str, log: Log, services: Services) -> None:
        self.kind = kind
        self.plugin = plugin
        self.name = self.unique = name
        self.log = log
        self.clock = SystemClock()
        self.metrics = InstanceMetrics(services.metrics, name)
        self.config_dir: Path = services.config_dir
        self.share = services.share
        self.variables = services.variables
        self.signal = LOGS
        self.is_only_output = services.output_count == 1
        self._services = services
        self._timers: list[Any] = []
        self._pending: list[PendingTimer] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self.on_emit: Callable[[Chunk], None] | None = None
        self.on_drop: Callable[[int, str], None] | None = None
        self.on_odd: Callable[[str, str], None] | None = None

    def emit(self, chunk: Chunk) -> None:
        if self.on_emit is None:
            raise RuntimeError(f"{self.name}: the pipeline is not running")
        self.on_emit(chunk)

    def warn_of(self, what: str, mend: str = "") -> None:
        if self.on_odd is not None:
            self.on_odd(what, mend)
        else:
            self.log.warn(f"{what} {mend}".rstrip())

    def drop(self, count: int, reason: str) -> None:
        if self.on_drop is not None:
            self.on_drop(count, reason)

    def parser(self, name: str) -> Parser[Any]:
        return self._services.parser(name)

    def multiline_parser(self, name: str) -> Any:
        return self._services.multiline_parser(name)

    def upstream(self, path: str) -> list[Section]:
        return self._services.upstream(path)

    def service(self, name: str) -> Any:
        return self._services.service(name)

    async def agent_metrics(self) -> MetricSet:
        return await self._services.agent_metrics()

    def stop_agent(self, exit_code: int = 0) -> None:
        self._services.stop_agent(exit_code)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Any:
        def start() -> Any:
            return asyncio.get_running_loop().call_later(seconds, callback)

        return self._timer(start)

    def every(self, seconds: float, callback: Callable[[], None]) -> Any:
        return self._timer(lambda: RepeatingTimer(seconds, callback))

    def _timer(self, start: Callable[[], Any]) -> Any:
        if not self._services.running:
            pending = PendingTimer(start)
            self._pending.append(pending)
            return pending
        timer = start()
        self._timers.append(timer)
        if len(self._timers) > 64:
            self._timers = [each for each in self._timers if not is_over(each)]
        return timer

    def spawn(self, coroutine: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.log.error(f"a task ended unexpectedly: {type(error).__name__}: {error}")

    def begin(self) -> None:
        """The loop runs: start timers that were asked for before."""
        for pending in self._pending:
            pending.start()

    async def close(self) -> None:
        """Cancel timers and tasks."""
        for timer in (*self._timers, *self._pending):
            timer.cancel()
        self._timers.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def is_over(timer: Any) -> bool:
    """Whether a one-shot timer was cancelled or has run (its time is past)."""
    if isinstance(timer, (RepeatingTimer, PendingTimer)):
        return False
    when = getattr(timer, "when", None)  # uvloop's have none when their time was past at once
    return timer.cancelled() or when is None or when() < asyncio.get_running_loop().time()


__all__ = ["EngineContext", "MetricRegistry", "RepeatingTimer"]
