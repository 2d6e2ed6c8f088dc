"""Run a pipeline: the command line of Fluent Bit, unchanged."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tailrace.cli.main import print_version, tune_allocator
from tailrace.config.arguments import Arguments, ArgumentsError, TraceArguments, parse
from tailrace.config.errors import FAILED_START, Problems
from tailrace.config.load import load
from tailrace.config.source import Configuration
from tailrace.engine.agent import Agent, check, report
from tailrace.engine.metrics import MetricRegistry
from tailrace.engine.service import ServiceOptions
from tailrace.plugin.log import LEVELS, Level, Log, LogSink

ENGINE = "TAILRACE_ENGINE"
"""Set for the engines of a supervisor; see `engine.link`."""


def run(argv: list[str]) -> int:
    """The exit code of a run with these arguments (without the program's name)."""
    try:
        arguments = parse(argv)
    except ArgumentsError as error:
        print(f"tailrace: {error}", file=sys.stderr)
        return 1
    if arguments.version:
        return print_version()
    if arguments.help:
        from tailrace.cli.help import show_help

        if arguments.plugins and arguments.help_plugin:
            from tailrace.engine.external import load_plugins

            load_plugins(arguments.plugins, Path(), problems := Problems())
            for problem in problems:
                print(f"tailrace: {problem}", file=sys.stderr)
        return show_help(arguments.help_plugin)
    if arguments.json_schema:
        from tailrace.cli.schema import show_plugin_schema

        return show_plugin_schema()
    if arguments.workdir:
        try:
            os.chdir(arguments.workdir)
        except OSError as error:
            print(f"tailrace: -w '{arguments.workdir}': {error.strerror}.", file=sys.stderr)
            return FAILED_START
    return run_pipeline(arguments, argv)


def run_pipeline(arguments: Arguments, argv: list[str]) -> int:
    """Load, check, and unless it is a dry run start."""

    def loader() -> tuple[Configuration, Problems]:
        return load(arguments.config, arguments, os.environ)

    configuration, problems = loader()
    sink = open_log(configuration, arguments)
    first = [(configuration, problems)]

    def load_once_then_again() -> tuple[Configuration, Problems]:
        return first.pop() if first else loader()

    if arguments.dry_run:
        return dry_run(load_once_then_again, sink)
    if ENGINE in os.environ:
        return start(load_once_then_again, sink, arguments)
    if arguments.daemon or is_on(configuration, "daemon"):
        go_to_background()
    processes = configuration.service.text("processes", "1")
    if processes.isdecimal() and int(processes) > 1:
        from tailrace.cli.fleet import run_fleet

        return run_fleet(argv, int(processes), loader, sink, arguments.watch)
    if arguments.supervisor:
        from tailrace.cli.supervise import supervise

        return supervise(lambda: start(load_once_then_again, sink, arguments), Log(sink))
    return start(load_once_then_again, sink, arguments)


def is_on(configuration: Configuration, name: str) -> bool:
    return configuration.service.text(name).lower() in ("on", "true", "yes")


def open_log(configuration: Configuration, arguments: Arguments) -> LogSink:
    """The log as the configuration wants it; what is wrong with that is found again by the check."""
    level = LEVELS.get(configuration.service.text("log_level", "info").lower(), Level.INFO)
    path = configuration.service.text("log_file")
    try:
        return LogSink(level, path)
    except OSError as error:
        sink = LogSink(level)
        sink.write(
            "error", f"log_file '{path}' can't be written: {error.strerror}; the log goes here"
        )
        return sink


def dry_run(loader: Callable[[], tuple[Configuration, Problems]], sink: LogSink) -> int:
    """Read and build everything, start nothing. Any error ends with 1."""
    log = Log(sink)
    checked = check(loader, log, MetricRegistry(), lambda code: None)
    report(checked.problems, log)
    if checked.problems.errors:
        return 1
    print("configuration test is successful", file=sys.stderr)
    return 0


def start(
    loader: Callable[[], tuple[Configuration, Problems]], sink: LogSink, arguments: Arguments
) -> int:
    """Run the agent on an event loop until it ends."""
    tune_allocator()

    async def life() -> int:
        if ENGINE in os.environ:
            from tailrace.engine.link import EngineLink, engine_of_environment

            share, descriptor = engine_of_environment()
            sink.prefix = f"[engine {share.index}] "
            agent = Agent(loader, sink, share)
            if descriptor is not None:
                agent.companions.append(EngineLink(agent, descriptor))
        else:
            agent = Agent(loader, sink)
            agent.companions.append(LazyApi(agent))
            if arguments.watch:
                agent.companions.append(ConfigurationWatch(agent))
        if arguments.trace.input:
            agent.companions.insert(0, TraceFromStart(agent, arguments.trace))
        return await agent.run()

    try:
        import uvloop
    except ImportError:
        return asyncio.run(life())
    return int(uvloop.run(life()))


class LazyApi:
    """The HTTP API, imported once the service wants it."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._server: Any = None
        self._control: Any = None

    async def apply(self, service: ServiceOptions) -> None:
        if self._server is None and service.http_server:
            from tailrace.api.server import ApiServer
            from tailrace.engine.control import LocalControl

            agent = self._agent
            self._control = LocalControl(agent)
            self._server = ApiServer(self._control, agent.log, agent.config_dir)
        if self._server is not None:
            await self._server.apply(service)

    async def close(self) -> None:
        if self._server is not None:
            await self._server.close()
            await self._control.close()  # what was asked for over the API: traces


class ConfigurationWatch:
    """`--watch`: reloads when a file of the configuration changes."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._task: asyncio.Task[None] | None = None

    async def apply(self, service: ServiceOptions) -> None:
        if self._task is None:
            from tailrace.engine.watching import watch

            waiting = watch(self._files, self._agent.reload)
            self._task = asyncio.get_running_loop().create_task(waiting, name="watch")

    def _files(self) -> list[str]:
        from tailrace.engine.external import plugin_files

        pipeline = self._agent.pipeline
        if pipeline is None:
            return []
        configuration = pipeline.plan.configuration
        own = plugin_files(configuration.plugins, self._agent.config_dir)
        return [*configuration.files, *own]

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class TraceFromStart:
    """The trace that `--trace` asks for."""

    def __init__(self, agent: Agent, wanted: TraceArguments) -> None:
        from tailrace.engine.control import LocalControl

        self._agent = agent
        self._control = LocalControl(agent)
        self._wanted = wanted
        self._started = False

    async def apply(self, service: ServiceOptions) -> None:
        if self._started:
            return
        if not service.enable_chunk_trace:
            self._agent.log.warn(
                "[trace] chunk tracing is off: turn it on with -Z, or enable_chunk_trace on"
            )
            return
        from tailrace.engine.control import TraceRequest

        wanted = self._wanted
        request = TraceRequest(wanted.input, wanted.output, params=wanted.properties)
        problem = await self._control.start_trace(request)
        self._started = not problem
        if problem:
            self._agent.log.error(f"[trace] can't be started: {problem}")

    async def close(self) -> None:
        await self._control.close()


def go_to_background() -> None:
    """Leave the terminal: fork twice, with standard streams on /dev/null."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
