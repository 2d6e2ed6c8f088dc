"""Several engines under one supervisor: `--processes N`, or `processes` in the service section.

Each engine is this program with its share of the work: listeners of network inputs share their ports, tailed files are divided by
a hash of their names, everything else that reads runs in the first engine. The supervisor starts a crashed engine again,
serves the HTTP API for all of them, and passes reloads and the end on to all.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailrace.cli.supervise import RESTART_SECONDS, STEADY_SECONDS, describe
from tailrace.config.errors import ConfigError, Problems
from tailrace.engine.agent import Loader, ReloadResult
from tailrace.engine.build import read_service
from tailrace.engine.control import EMPTY_TOPOLOGY, TraceRequest
from tailrace.engine.link import ENVIRONMENT, LinkError, SupervisorLink, trace_as_map
from tailrace.engine.service import ServiceOptions
from tailrace.engine.telemetry.adding import add_up
from tailrace.engine.watching import watch
from tailrace.model.metrics import MetricSet
from tailrace.plugin.log import Log, LogSink
from tailrace.wire import cmetrics

FIRST_SECONDS = 2.0
"""An engine that fails on its own within this time of the first start ends all."""
LOOK_SECONDS = 2.0
ROOT = str(Path(__file__).parents[2])
COMMAND = f"import sys; sys.path.append({ROOT!r}); from tailrace.cli.main import main; main()"


@dataclass(slots=True)
class Engine:
    """One engine's process."""

    index: int
    process: asyncio.subprocess.Process | None = None
    link: SupervisorLink | None = None
    started_at: float = 0.0
    crashes: int = 0


class Fleet:
    """The supervisor; `run` gives the exit code. It is the API's `Control` as well."""

    def __init__(
        self, argv: list[str], count: int, load: Loader, sink: LogSink, watches: bool = False
    ) -> None:
        self._argv = argv
        self._watches = watches
        self._load = load
        self._sink = sink
        self.log = Log(sink, "supervisor")
        self.engines = [Engine(index) for index in range(count)]
        self.started_at = time.time()
        self.reloads = 0
        self.service: ServiceOptions | None = None
        self._topology: dict[str, Any] = EMPTY_TOPOLOGY
        self._files: list[str] = []
        """What the configuration is read from, for `--watch`."""
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._reloading = False
        self._exit_code = 0

    # Life

    async def run(self) -> int:
        configuration, _ = self._load()
        self.service = read_service(configuration.service, Problems())
        self._files = configuration.files
        folder = Path(configuration.files[0]).parent if configuration.files else Path()
        self._install_signals()
        self.log.info(f"{len(self.engines)} engines")
        api = await self._open_api(folder)
        keepers = [
            asyncio.ensure_future(self._keep(engine, count=len(self.engines)))
            for engine in self.engines
        ]
        watcher = None
        if self._watches:
            watcher = asyncio.ensure_future(watch(lambda: self._files, self._reload_soon))
        await asyncio.gather(*keepers)
        if watcher is not None:
            watcher.cancel()
        if api is not None:
            await api.close()
        return self._exit_code

    async def _open_api(self, folder: Path) -> Any:
        if self.service is None or not self.service.http_server:
            return None
        from tailrace.api.server import ApiServer

        api = ApiServer(self, Log(self._sink), folder)
        try:
            await api.apply(self.service)
        except ConfigError as error:
            self.log.error(str(error))
            self._exit_code = 255
            self._stopping = True
        return api

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        loop.add_signal_handler(signal.SIGCONT, self._pass_on, signal.SIGCONT)

    def _end(self, number: int) -> None:
        if not self._stopping:
            self.log.info(f"caught {signal.Signals(number).name}, all engines end")
        self._stopping = True
        self._ended.set()
        self._pass_on(signal.SIGTERM)

    def _on_hangup(self) -> None:
        self._sink.reopen()
        if self.service is not None and self.service.hot_reload:
            self._reload_soon()
        else:
            self._pass_on(signal.SIGHUP)

    def _reload_soon(self) -> None:
        async def reload() -> None:
            result = await self.reload()
            if result.status:
                self.log.error(f"[reload] {result.error}")

        task = asyncio.get_running_loop().create_task(reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _pass_on(self, number: int) -> None:
        for engine in self.engines:
            if engine.process is not None and engine.process.returncode is None:
                engine.process.send_signal(number)

    async def _keep(self, engine: Engine, count: int) -> None:
        """Run one engine, again whenever it crashes."""
        while not self._stopping:
            code = await self._run_once(engine, count)
            lived = time.monotonic() - engine.started_at
            if self._stopping or code == 0:  # 0: it was done, as at the end of all its files
                if code > 0:
                    self._exit_code = self._exit_code or code
                break
            if code > 0 and not engine.crashes and lived < FIRST_SECONDS:
                self.log.error(
                    f"engine {engine.index} can't run (exit code {code}); all engines end"
                )
                self._exit_code = self._exit_code or code
                self._end_quietly()
                break
            wait = RESTART_SECONDS[min(engine.crashes, len(RESTART_SECONDS) - 1)]
            engine.crashes = 1 if lived > STEADY_SECONDS else engine.crashes + 1
            self.log.error(
                f"engine {engine.index} ended ({describe(code)}); it starts again in {wait:.0f} s"
            )
            try:
                async with asyncio.timeout(wait):
                    await self._ended.wait()
            except TimeoutError:
                continue

    def _end_quietly(self) -> None:
        self._stopping = True
        self._ended.set()
        self._pass_on(signal.SIGTERM)

    async def _run_once(self, engine: Engine, count: int) -> int:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, ENVIRONMENT: f"{engine.index}/{count}/{theirs.fileno()}"}
        engine.started_at = time.monotonic()
        engine.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing from the working directory, where a user may have a json.py
            "-c",
            COMMAND,
            *self._argv,
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=None if engine.index == 0 else asyncio.subprocess.DEVNULL,
        )
        theirs.close()
        engine.link = SupervisorLink(ours, self.metrics)
        await engine.link.open()
        if self._stopping:
            engine.process.send_signal(signal.SIGTERM)
        code = await engine.process.wait()
        await engine.link.close()
        engine.link = None
        return code

    # What the API asks

    async def metrics(self) -> MetricSet:
        """Those of all engines together; one that does not answer is left out."""
        answers = await asyncio.gather(*(self._look(engine) for engine in self.engines))
        sets = [found for answer in answers if answer is not None for found in answer]
        return add_up(sets)

    async def errors(self) -> tuple[int, int]:
        errors = failed = 0
        for engine in self.engines:
            if engine.link is None:
                continue
            try:
                more = await engine.link.ask("errors", LOOK_SECONDS)
            except LinkError:
                continue
            errors, failed = errors + more[0], failed + more[1]
        return errors, failed

    async def _look(self, engine: Engine) -> list[MetricSet] | None:
        if engine.link is None:
            return None
        try:
            packed, topology, _ = await engine.link.ask("look", LOOK_SECONDS)
        except LinkError:
            return None
        if engine.index == 0:
            self._topology = {**topology, "processes": len(self.engines)}
        return cmetrics.decode(packed)

    def topology(self) -> dict[str, Any]:
        return self._topology

    async def reload(self) -> ReloadResult:
        """One engine after another; the first that can't keeps the others from trying."""
        if self._reloading:
            return ReloadResult(-2, "a reload is under way")
        self._reloading = True
        try:
            for engine in self.engines:
                if engine.link is None:
                    continue
                try:
                    status, error = await engine.link.ask("reload")
                except LinkError as problem:
                    return ReloadResult(-3, f"engine {engine.index}: {problem}")
                if status:
                    return ReloadResult(status, f"engine {engine.index}: {error}")
        finally:
            self._reloading = False
        self.reloads += 1
        configuration, _ = self._load()
        self._files = configuration.files
        self.service = read_service(configuration.service, Problems()) or self.service
        return ReloadResult()

    async def start_trace(self, request: TraceRequest) -> str:
        problems: list[str] = []
        for engine in self.engines:
            if engine.link is None:
                continue
            try:
                problems.append(await engine.link.ask("start_trace", request=trace_as_map(request)))
            except LinkError as error:
                problems.append(f"engine {engine.index}: {error}")
        return "" if "" in problems else next(iter(problems), "no engine is there")

    async def stop_trace(self, name: str) -> None:
        for engine in self.engines:
            if engine.link is not None:
                with contextlib.suppress(LinkError):  # its traces have ended with it
                    await engine.link.ask("stop_trace", name=name)

    async def read_tap(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        answered = False
        for engine in self.engines:
            if engine.link is None:
                continue
            try:
                found += await engine.link.ask("read_tap", LOOK_SECONDS, name=name)
                answered = True
            except LinkError:
                continue
        if not answered:
            raise LookupError(f"there is no input '{name}'")
        return found


def run_fleet(
    argv: list[str], count: int, load: Loader, sink: LogSink, watches: bool = False
) -> int:
    """Run `count` engines until they end; the exit code."""

    async def life() -> int:
        return await Fleet(argv, count, load, sink, watches).run()

    return asyncio.run(life())
