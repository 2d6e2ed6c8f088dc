"""The agent: one pipeline at work, signals, reload, and the orderly end."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tailrace import __version__
from tailrace.config.errors import FAILED_START, ConfigError, InvalidConfiguration, Problems
from tailrace.config.source import Configuration
from tailrace.engine.build import Builder, Instance, Plan, read_service
from tailrace.engine.ending import last_line, left_of
from tailrace.engine.metrics import MetricRegistry
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.ports import storage_type
from tailrace.engine.service import ServiceOptions
from tailrace.plugin.log import Log, LogSink, counted
from tailrace.plugin.share import WHOLE, Share

if TYPE_CHECKING:
    from tailrace.engine.storage import Storage
    from tailrace.model.metrics import MetricSet

Loader = Callable[[], tuple[Configuration, Problems]]


class ReloadResult(NamedTuple):
    """How a reload went. `status`: 0 done, -1 not enabled, -2 one is under way, -3 failed; the old pipeline goes on then."""

    status: int = 0
    error: str = ""

    @property
    def word(self) -> str:
        return {0: "done", -1: "not enabled", -2: "in progress"}.get(self.status, "failed")


class Checked(NamedTuple):
    """A configuration that was read and built; `plan` is None if something is wrong with it."""

    plan: Plan | None
    service: ServiceOptions | None
    problems: Problems


def check(
    load: Loader,
    log: Log,
    metrics: MetricRegistry,
    on_stop: Callable[[int], None],
    share: Share = WHOLE,
) -> Checked:
    """Read a configuration and make all its instances, without starting anything."""
    configuration, problems = load()
    service = read_service(configuration.service, problems) or standard_service()
    config_dir = Path(configuration.files[0]).parent if configuration.files else Path()
    if configuration.plugins:
        from tailrace.engine.external import load_plugins

        load_plugins(configuration.plugins, config_dir, problems)
    builder = Builder(configuration, service, log, problems, metrics, on_stop, config_dir, share)
    plan = builder.build()
    return Checked(None if problems.errors else plan, service, problems)


def standard_service() -> ServiceOptions:
    """What a service without options has; stands in for a wrong one, so that errors of plugins are found too."""
    service = ServiceOptions.read([], Problems(), "service")
    assert service is not None
    return service


class Companion(Protocol):
    """What runs beside the pipeline and outlives a reload: the HTTP API."""

    async def apply(self, service: ServiceOptions) -> None:
        """Do as the service section says now; `ConfigError` if that can't be done."""

    async def close(self) -> None: ...


class Agent:
    """Runs what `load` gives, until a signal, an input, or a failure ends it."""

    def __init__(self, load: Loader, sink: LogSink, share: Share = WHOLE) -> None:
        self.share = share
        self._load = load
        self.log = self._log = Log(sink)
        self.config_dir = Path()
        self.companions: list[Companion] = []
        self.sink = sink
        self.started_at = time.time()
        self.metrics = MetricRegistry()
        self.reloads = 0
        self.exit_code = 0
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._reloading = False
        self._waiters: list[asyncio.Future[ReloadResult]] = []
        self._storage: Storage | None = None
        self.pipeline: Pipeline | None = None
        self.metrics_of_all: Callable[[], Awaitable[MetricSet]] | None = None
        """Where several engines run: asks the supervisor for the metrics of all; `OSError` if it does not answer."""
        self.service: ServiceOptions | None = None

    def stop(self, exit_code: int = 0) -> None:
        """End in an orderly way. The first non-zero exit code counts."""
        self.exit_code = self.exit_code or exit_code
        self._stop.set()

    def reload(self) -> None:
        """Take up the configuration anew."""
        self._reload.set()

    async def reload_and_wait(self) -> ReloadResult:
        """Take up the configuration anew, and how that went."""
        if self._reload.is_set() or self._reloading or self._waiters:
            return ReloadResult(-2, "a reload is under way")
        waiter: asyncio.Future[ReloadResult] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self.reload()
        return await waiter

    async def run(self, checked: Checked | None = None) -> int:
        """Run until told to end; the exit code."""
        checked = checked or check(self._load, self._log, self.metrics, self.stop, self.share)
        if checked.plan is None or checked.service is None:
            report(checked.problems, self._log)
            return exit_code_of(checked.problems)
        report(checked.problems, self._log)
        self._install_signals()
        try:
            await self._begin(checked.plan, checked.service)
        except InvalidConfiguration as error:
            report(error.problems, self._log)
            return exit_code_of(error.problems)
        while await self._wait_for_event() == "reload":
            self._reload.clear()  # first: what is asked for from here on may mean a file that is read already
            self._reloading = True
            result = await self._take_up_anew()
            self._reloading = False
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(result)
            self._waiters.clear()
        for waiter in self._waiters:
            waiter.cancel()
        await self._end()
        self._close_storage()
        for companion in self.companions:
            await companion.close()
        return self.exit_code

    async def _begin(self, plan: Plan, service: ServiceOptions) -> None:
        plan.services.agent_metrics = self._told
        pipeline = Pipeline(plan, self._log, self._open_storage(service, plan))
        add_streams(pipeline, plan, self._log)
        await pipeline.start()
        self.pipeline, self.service = pipeline, service
        self.config_dir = plan.services.config_dir
        try:
            await self._tell_companions(service)
        except InvalidConfiguration:
            await pipeline.close()
            raise
        for instance in plan.instances():
            instance.context.log.debug("started")
        self._log.info(
            f"[tailrace] version={__version__}, {counted(len(plan.inputs), 'input')}, {counted(len(plan.outputs), 'output')}"
        )
        if not plan.inputs:
            self._log.warn("[tailrace] there is no input, so nothing comes in: give -i or -c (-h)")

    async def _told(self) -> MetricSet:
        """What plugins are told of the agent: of all engines, if they can be asked."""
        if self.metrics_of_all is not None:
            try:
                return await self.metrics_of_all()
            except OSError as error:
                self._log.warn(f"[engine] the metrics of this engine alone are given: {error}")
        return collected(self)

    async def _tell_companions(self, service: ServiceOptions) -> None:
        problems = Problems()
        for companion in self.companions:
            try:
                await companion.apply(service)
            except ConfigError as error:
                problems.add(error.what, mend=error.mend, where="service", exit_code=FAILED_START)
        if problems.errors:
            raise InvalidConfiguration(problems)

    def _open_storage(self, service: ServiceOptions, plan: Plan) -> Storage | None:
        """The storage of `storage.path`, opened once; inputs that need one and have none are a problem."""
        problems = Problems()
        if not service.storage_path:
            check_storage_is_not_needed(plan, service, problems)
        elif self._storage is None:
            from tailrace.engine.storage import Storage

            storage = Storage(
                self._storage_folder(service),
                self._log,
                sync_full=service.storage_sync == "full",
                checksum=service.storage_checksum,
                delete_damaged=service.storage_delete_irrecoverable_chunks,
            )
            try:
                storage.open()
                self._storage = storage
            except ConfigError as error:
                problems.add(error.what, mend=error.mend, where="service", exit_code=FAILED_START)
        if problems.errors:
            raise InvalidConfiguration(problems)
        return self._storage

    def _close_storage(self) -> None:
        """Give the folder back; the next pipeline opens it with its own options."""
        if self._storage is not None:
            self._storage.close()
            self._storage = None

    def _storage_folder(self, service: ServiceOptions) -> Path:
        """The first engine has `storage.path` itself, so that what one process left is delivered; others a folder in it."""
        folder = Path(service.storage_path)
        return folder / f"engine-{self.share.index}" if self.share.index else folder

    async def _wait_for_event(self) -> str:
        waits = {
            asyncio.ensure_future(self._stop.wait()): "stop",
            asyncio.ensure_future(self._reload.wait()): "reload",
        }
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        return "stop" if self._stop.is_set() else "reload"

    def _install_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_end_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        loop.add_signal_handler(signal.SIGCONT, self._dump)

    def _on_end_signal(self, number: int) -> None:
        if self._stop.is_set():
            return
        name = signal.Signals(number).name
        grace = self.service.grace if self.service else 0
        self._log.info(f"[engine] caught {name}, the service ends within {grace} seconds")
        self.stop()

    def _on_hangup(self) -> None:
        self.sink.reopen()
        if self.service is not None and self.service.hot_reload:
            self.reload()
        else:
            self._log.info(
                "[engine] caught SIGHUP; hot reload is off (hot_reload on, or -Y, turns it on)"
            )

    def _dump(self) -> None:
        """SIGCONT: the state of everything, into the log."""
        if self.pipeline is None:
            return
        for line in state_lines(self.pipeline):
            self._log.info(f"[dump] {line}")

    async def _take_up_anew(self) -> ReloadResult:
        """Replace the pipeline by what the configuration says now; the old one stays if that can't be built."""
        old, old_service = self.pipeline, self.service
        assert old is not None
        assert old_service is not None
        checked = check(self._load, self._log, self.metrics, self.stop, self.share)
        if checked.plan is None or checked.service is None:
            report(checked.problems, self._log)
            self._log.error("[reload] the configuration can't be used; the old pipeline goes on")
            return ReloadResult(-3, in_words(checked.problems))
        if old.plan.inputs and not (checked.plan.inputs or checked.plan.outputs):
            # An editor empties the file before it writes it.
            error = "the configuration has neither inputs nor outputs any more"
            self._log.error(f"[reload] {error}; the old pipeline goes on")
            return ReloadResult(-3, error)
        from tailrace.engine.reload import needs_restart

        if needs_restart(old_service, checked.service):
            result = await self._restart(checked, old, old_service)
        else:
            result = await self._renew(checked, old)
        if result.status == 0:
            self.reloads += 1
        return result

    async def _renew(self, checked: Checked, old: Pipeline) -> ReloadResult:
        """Swap what has changed, while the rest goes on; if that can't be started, everything is as it was."""
        assert checked.plan is not None
        service = checked.service
        assert service is not None
        from tailrace.engine.reload import Renewal, merged

        plan = merged(old.plan, checked.plan)
        streams_changed = not same_streams(old.plan, plan)
        plan.services.agent_metrics = self._told
        try:
            check_storage_is_there(plan, service)
            await Renewal(
                old,
                plan,
                self._remaker(old.plan),
                reload_grace(old.plan.services.options),
                float(max(0, service.grace)),
            ).run()
        except InvalidConfiguration as error:
            report(error.problems, self._log)
            self._log.error("[reload] it can't be started; everything is as it was")
            return ReloadResult(-3, in_words(error.problems))
        if streams_changed:
            for call in old.on_close:
                call()
            old.on_close.clear()
            old.taps.clear()
            add_streams(old, plan, self._log)
        self._take_up_service(service)
        try:
            await self._tell_companions(service)
        except InvalidConfiguration as error:
            report(error.problems, self._log)
            return ReloadResult(-3, in_words(error.problems))
        self._log.info("[reload] the new configuration is at work")
        return ReloadResult()

    def _remaker(self, plan: Plan) -> Callable[[Instance], Instance | None]:
        """Makes instances of a plan anew."""
        made: list[Instance] = []

        def remake(instance: Instance) -> Instance | None:
            if not made:
                again = check(
                    lambda: (plan.configuration, Problems()),
                    self._log,
                    self.metrics,
                    self.stop,
                    self.share,
                )
                made.extend(again.plan.instances() if again.plan is not None else [])
            own = (each for each in made if each.kind == instance.kind)
            return next((each for each in own if each.name == instance.name), None)

        return remake

    def _take_up_service(self, service: ServiceOptions) -> None:
        self.service = service
        self.sink.level = service.log_level
        if service.log_file != self.sink.path:
            try:
                self.sink.move(service.log_file)
            except OSError as error:
                self._log.error(
                    f"[reload] log_file '{service.log_file}' can't be written: {error.strerror}"
                )

    async def _restart(
        self, checked: Checked, old: Pipeline, old_service: ServiceOptions
    ) -> ReloadResult:
        """The service section has changed in a way that takes a new pipeline: end the old one first."""
        self._log.info("[reload] the service section has changed: stopping the old pipeline")
        left = await old.stop(reload_grace(old_service))
        assert checked.service is not None
        self._close_storage()
        if left:
            self._log.warn(f"[reload] {left} events of the old pipeline were not delivered")
        return await self._start_or_return(checked, old)

    async def _start_or_return(self, checked: Checked, old: Pipeline) -> ReloadResult:
        """Start the new pipeline; if it can't be started, start the old configuration anew."""
        assert checked.plan is not None
        assert checked.service is not None
        try:
            await self._begin(checked.plan, checked.service)
            self._log.info("[reload] the new pipeline is at work")
            return ReloadResult()
        except InvalidConfiguration as error:
            result = ReloadResult(-3, in_words(error.problems))
            report(error.problems, self._log)
            self._log.error(
                "[reload] the new pipeline can't be started; back to the old configuration"
            )
        configuration = old.plan.configuration
        again = check(
            lambda: (configuration, Problems()), self._log, self.metrics, self.stop, self.share
        )
        if again.plan is None or again.service is None:
            self._log.error("[reload] the old configuration can't be built any more")
            self.stop(FAILED_START)
            return result
        try:
            await self._begin(again.plan, again.service)
        except InvalidConfiguration as error:
            report(error.problems, self._log)
            self._log.error("[reload] the old configuration can't be started any more")
            self.stop(FAILED_START)
        return result

    async def _end(self) -> None:
        pipeline, service = self.pipeline, self.service
        assert pipeline is not None
        assert service is not None
        await pipeline.stop(ending_grace(service.grace))
        left = left_of(pipeline)
        for each in left:
            write = self._log.error if each.lost else self._log.warn
            write(f"[output:{each.output}] {each}")
        self._log.info(f"[engine] {last_line(pipeline, left)}")
        if service.exit_code_on_loss and any(each.lost for each in left):
            self.exit_code = self.exit_code or service.exit_code_on_loss


def ending_grace(seconds: int) -> float | None:
    """Seconds for the last flush: a second at the least, as in the original; None (as long as it takes) if negative."""
    return None if seconds < 0 else float(max(1, seconds))


def reload_grace(service: ServiceOptions) -> float | None:
    """How long undelivered data may hold up a reload; None: as long as it takes."""
    if service.hot_reload_timeout > 0:
        return service.hot_reload_timeout
    return None if service.hot_reload_ensure_thread_safety else float(service.grace)


def check_storage_is_there(plan: Plan, service: ServiceOptions) -> None:
    problems = Problems()
    if not service.storage_path:
        check_storage_is_not_needed(plan, service, problems)
    if problems.errors:
        raise InvalidConfiguration(problems)


def same_streams(old: Plan, new: Plan) -> bool:
    """Whether the tasks of the stream processor are the same."""
    from tailrace.config.fingerprint import outline

    before, after = old.configuration.stream_tasks, new.configuration.stream_tasks
    return [outline(each) for each in before] == [outline(each) for each in after]


def check_storage_is_not_needed(plan: Plan, service: ServiceOptions, problems: Problems) -> None:
    for instance in plan.inputs:
        if storage_type(instance.options, service) == "filesystem":
            entry = instance.section.last("storage.type")
            problems.add(
                "storage.type is filesystem, but the service has no storage.path.",
                mend="Add to the service section: storage.path FOLDER.",
                place=entry.place if entry else instance.section.place,
                where=f"input {instance.name}",
                exit_code=FAILED_START,
            )


def add_streams(pipeline: Pipeline, plan: Plan, log: Log) -> None:
    """Set the stream processor's tasks to work, if there are any."""
    sections = plan.configuration.stream_tasks
    if not sections:
        return
    from tailrace.engine.streams import StreamProcessor, make_tasks

    convert = plan.services.options.sp_convert_from_str_to_num
    streams = StreamProcessor(make_tasks(sections, convert, log), pipeline.inject)
    pipeline.taps.append(lambda chunk, source: streams.watch(chunk, source.name))
    pipeline.on_close.append(streams.stop)
    streams.start()


def in_words(problems: Problems) -> str:
    """The errors in one line each."""
    return "\n".join(str(problem) for problem in problems.errors)


def report(problems: Problems, log: Log) -> None:
    """All problems into the log."""
    for problem in problems:
        if problem.severity == "error":
            log.error(f"[config] {problem}")
        else:
            log.warn(f"[config] {problem}")


def exit_code_of(problems: Problems) -> int:
    """The exit code that Fluent Bit would end with: that of the first error."""
    errors = problems.errors
    return errors[0].exit_code if errors else 0


def state_lines(pipeline: Pipeline) -> list[str]:
    """The books in words."""
    books = pipeline.books
    lines = [
        f"input {name}: {book.records} records, {book.bytes} bytes"
        for name, book in books.inputs.items()
    ]
    lines += [
        f"output {name}: {book.routed} routed, {book.delivered} delivered, {book.in_flight} in flight"
        for name, book in books.outputs.items()
    ]
    return [*lines, *(books.check() or ["the books balance"])]


def collected(agent: Agent) -> MetricSet:
    """What the agent tells of itself."""
    from tailrace.engine.telemetry import collect  # only where somebody asks

    return collect(agent)
