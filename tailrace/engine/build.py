"""From a configuration to instances: every problem is found here, before any data flows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tailrace.config.address import split_address, with_address
from tailrace.config.errors import (
    FAILED_LOAD,
    FAILED_START,
    ConfigError,
    Place,
    Problems,
    did_you_mean,
)
from tailrace.config.fingerprint import fingerprint
from tailrace.config.options import option_table
from tailrace.config.source import Configuration, Entry, Section
from tailrace.engine.context import EngineContext
from tailrace.engine.metrics import MetricRegistry
from tailrace.engine.router import ConditionalRoute, all_routes
from tailrace.engine.service import SERVICE_NAMES_ELSEWHERE, ServiceOptions
from tailrace.engine.services import Services
from tailrace.model import Signal
from tailrace.model.condition import Condition, ConditionError
from tailrace.plugin import registry
from tailrace.plugin.base import Kind
from tailrace.plugin.log import Log
from tailrace.plugin.share import WHOLE, Share

NOT_OPTIONS = frozenset({"name", "processors"})


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Instance:
    """One configured plugin."""

    kind: Kind
    name: str
    plugin: Any
    context: EngineContext
    section: Section
    processors: list[Instance] = field(default_factory=list)
    condition: Condition | None = None
    """As a processor: the events it is applied to."""
    unique: str = ""
    """Plugin and number (`tail.0`), whatever the alias."""
    fingerprint: Any = None
    """What its section says, for comparing it with that of another configuration."""

    @property
    def options(self) -> Any:
        return self.plugin.options


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Plan:
    """All instances of one pipeline, made and checked but not started."""

    services: Services
    configuration: Configuration
    inputs: list[Instance] = field(default_factory=list)
    filters: list[Instance] = field(default_factory=list)
    outputs: list[Instance] = field(default_factory=list)
    customs: list[Instance] = field(default_factory=list)
    routes: dict[str, list[ConditionalRoute]] = field(default_factory=dict)
    """The conditional routes of each input that has some, by its name."""

    def instances(self) -> list[Instance]:
        """Every instance, processors too."""
        own = [*self.inputs, *self.filters, *self.outputs, *self.customs]
        return [*own, *(processor for instance in own for processor in instance.processors)]


def read_service(section: Section, problems: Problems) -> ServiceOptions | None:
    """The service options. An unknown key is warned of: Fluent Bit passes it over, so files in use may have some."""
    known = option_table(ServiceOptions)
    for entry in section:
        if not known.find(entry.name) and entry.name not in SERVICE_NAMES_ELSEWHERE:
            problems.add(
                f"the service has no option '{entry.name}'; it is passed over.",
                mend=did_you_mean(entry.name, known.names),
                place=entry.place,
                where="service",
                severity="warning",
            )
    entries = latest([entry for entry in section if known.find(entry.name)])
    found = Problems()
    options = ServiceOptions.read(entries, found, "service")
    if options is None:
        entries, found = without_misread(entries)
        options = ServiceOptions.read(entries, found, "service")
    for problem in found:
        problems.add(
            problem.what,
            mend=problem.mend,
            place=problem.place,
            where="service",
            severity=problem.severity,
            exit_code=FAILED_START if problem.what.startswith("storage.sync:") else FAILED_LOAD,
        )
    return options


STRICT = frozenset(
    {
        *("flush", "log_level", "processes", "memory_limit", "exit_code_on_loss", "telemetry"),
        *("storage.sync", "storage.type", "storage.inherit", "storage.keep.rejected"),
    }
)
"""Service options whose wrong value ends the start: Fluent Bit's do, are unknown to it, or their default would not keep what the user wants kept."""


def without_misread(entries: list[Entry]) -> tuple[list[Entry], Problems]:
    """What can be read, or must be right; of other options the default counts, with a warning: Fluent Bit starts with them."""
    kept, problems = [], Problems()
    for entry in entries:
        found = Problems()
        if entry.name in STRICT or ServiceOptions.read([entry], found, "service") is not None:
            kept.append(entry)
            continue
        for problem in found.errors:
            problems.add(
                f"{problem.what} The default is taken.",
                mend=problem.mend,
                place=problem.place,
                severity="warning",
            )
    return kept, problems


def latest(entries: list[Entry]) -> list[Entry]:
    """Of a service key given twice the last counts, but files of parsers and the like add up."""
    lists = {"parsers_file", "plugins_file", "streams_file"}
    last = {entry.name: entry for entry in entries}
    return [entry for entry in entries if entry.name in lists or last[entry.name] is entry]


class Builder:
    """Makes the instances of one configuration and collects what is wrong."""

    def __init__(
        self,
        configuration: Configuration,
        options: ServiceOptions,
        log: Log,
        problems: Problems,
        metrics: MetricRegistry,
        on_stop: Callable[[int], None],
        config_dir: Path,
        share: Share = WHOLE,
    ) -> None:
        self.configuration = configuration
        self.problems = problems
        self.log = log
        self.services = Services(configuration, options, metrics, config_dir, on_stop)
        self.services.share = share
        self._numbers: dict[str, int] = {}
        self._names: dict[tuple[str, str], Place] = {}

    def build(self) -> Plan:
        configuration = self.configuration
        plan = Plan(self.services, configuration)
        self.services.check_parsers(self.problems)
        plan.inputs = self._make_all("input", self._inputs_of_share(configuration.inputs))
        plan.filters = self._make_all("filter", configuration.filters)
        self._refuse_without_match(plan.filters)
        plan.outputs = self._make_all("output", configuration.outputs)
        plan.customs = self._make_all("custom", configuration.customs)
        plan.routes = all_routes(plan.inputs, plan.outputs, self.problems)
        if self.services.options.processes > 1:
            self._refuse_exclusive(plan)
        return plan

    def _make_all(self, kind: Kind, sections: Iterable[Section]) -> list[Instance]:
        made = (self._make(kind, section) for section in sections)
        return [instance for instance in made if instance is not None]

    def _refuse_without_match(self, filters: list[Instance]) -> None:
        for instance in filters:
            if not instance.options.match and not instance.options.match_regex:
                self.problems.add(
                    "it has no match, so no events would come to it.",
                    mend="Add: match *.",
                    place=instance.section.place,
                    where=f"filter {instance.context.plugin} ({instance.name})",
                    exit_code=FAILED_START,
                )

    def _refuse_exclusive(self, plan: Plan) -> None:
        for instance in (*plan.filters, *plan.outputs):
            if instance.plugin.exclusive:
                self.problems.add(
                    "it holds a port, which several processes can't share.",
                    mend="Take processes 1, or run it in an agent of its own.",
                    place=instance.section.place,
                    where=f"{instance.kind} {instance.context.plugin} ({instance.name})",
                    exit_code=FAILED_START,
                )

    def _inputs_of_share(self, sections: list[Section]) -> Iterator[Section]:
        """The inputs that this engine runs: those that divide their work, and listeners, whose port is shared; the first has the others.

        One that is left out counts for the numbers of those behind it: their names and tags are the same in all engines.
        """
        share = self.services.share
        for section in sections:
            if share.count <= 1:
                yield section
                continue
            try:
                cls = registry.find("input", section.text("name"))
            except (ConfigError, ImportError):
                yield section  # told of when it is made
                continue
            if option_table(registry.options_class(cls)).find("net.share_port") is not None:
                own = [entry for entry in section if entry.name != "net.share_port"]
                shared = Entry("net.share_port", "on", section.place)
                yield replace(section, entries=[*own, shared])
            elif cls.divides or share.index == 0:
                yield section
            else:
                self._numbers["input"] = self._numbers.get("input", 0) + 1

    def _make(self, kind: Kind, section: Section) -> Instance | None:
        entry = section.last("name")
        if entry is None or not isinstance(entry.value, str) or not entry.value:
            self.problems.add(
                f"this {kind} has no name.", mend="Add: name PLUGIN.", place=section.place
            )
            return None
        name = split_address(entry.value)[0]
        try:
            cls = registry.find(kind, name)
        except ConfigError as error:
            self.problems.add(error.what, mend=error.mend, place=entry.place, exit_code=FAILED_LOAD)
            return None
        except ImportError as error:
            self.problems.add(missing_extra(f"{kind} {name}", error), place=entry.place)
            return None
        if name != entry.value:
            known = option_table(registry.options_class(cls)).names
            section = with_address(section, entry, known, self.problems, f"{kind} {name}")
        return self._configure(kind, cls, name.lower(), section)

    def _configure(self, kind: Kind, cls: Any, plugin: str, section: Section) -> Instance | None:
        # As in Fluent Bit, instances of a kind are numbered through: file.0, null.1.
        place = section.kind if section.kind == "processor" else kind
        number = self._numbers.get(place, 0)
        self._numbers[place] = number + 1
        unique = f"{plugin}.{number}"
        where = f"{kind} {plugin} ({unique})"
        options = registry.options_class(cls).read(
            section.entries, self.problems, where, section.place, NOT_OPTIONS
        )
        if options is None:
            return None
        name = options.alias or unique
        self._check_name(kind, name, section)
        log = self.log.named(
            f"{kind}:{plugin}:{name}", options.log_level, options.log_suppress_interval
        )
        context = EngineContext(kind, plugin, name, log, self.services)
        context.unique = unique
        if section.group:
            context.signal = Signal[section.group.upper()]
        instance = self._instantiate(kind, cls, name, options, context, section, where)
        if instance is not None:
            instance.unique = unique
            instance.processors = self._processors(section, name)
            own = fingerprint(section, self.services.config_dir)
            # The classes: those of an external plugin that was imported anew are others.
            instance.fingerprint = own, cls, [each.fingerprint for each in instance.processors]
        return instance

    def _instantiate(
        self,
        kind: Kind,
        cls: Any,
        name: str,
        options: Any,
        context: Any,
        section: Section,
        where: str,
    ) -> Instance | None:

        def warn(what: str, mend: str) -> None:
            self.problems.add(
                what,
                mend=mend,
                place=self._blame(section, what),
                where=where,
                severity="warning",
            )

        context.on_odd = warn
        try:
            plugin = registry.make(cls, options, context)
        except ConfigError as error:
            self.problems.add(
                error.what,
                mend=error.mend,
                place=self._blame(section, error.what),
                where=where,
                exit_code=FAILED_START,
            )
            return None
        except ImportError as error:
            self.problems.add(
                missing_extra("it", error),
                place=section.place,
                where=where,
                exit_code=FAILED_START,
            )
            return None
        finally:
            context.on_odd = None
        return Instance(kind, name, plugin, context, section)

    def _blame(self, section: Section, what: str) -> Place:
        """The entry that an error speaks of (`regex: ...`), else the section."""
        entry = section.last(what.split(":", 1)[0].strip().lower())
        return entry.place if entry is not None else section.place

    def _check_name(self, kind: Kind, name: str, section: Section) -> None:
        taken = self._names.get((kind, name))
        if taken is not None:
            self.problems.add(
                f"two {kind}s are called '{name}' (the other: {taken}).",
                mend="Give one another alias.",
                place=section.place,
                severity="warning",
            )
        self._names[kind, name] = section.place

    def _processors(self, section: Section, owner: str) -> list[Instance]:
        made = []
        for child in section.children:
            if child.kind != "processor":
                continue
            instance = self._make_processor(child, owner)
            if instance is not None:
                made.append(instance)
        return made

    def _make_processor(self, section: Section, owner: str) -> Instance | None:
        """A processor, or a filter used as one, with its condition."""
        entry = section.last("name")
        if entry is None or not isinstance(entry.value, str):
            self.problems.add(
                "this processor has no name.", mend="Add: name: PLUGIN.", place=section.place
            )
            return None
        word = entry.value.lower()
        is_filter = not registry.is_known("processor", word) and registry.is_known("filter", word)
        rules = [
            entry
            for entry in section
            if entry.name == "condition" and isinstance(entry.value, dict)
        ]
        plain = replace(section, entries=[entry for entry in section if entry not in rules])
        instance = self._make("filter" if is_filter else "processor", plain)
        if instance is not None and rules:
            instance.condition = self._condition(rules[-1])
        if instance is not None and section.group:
            self._check_signal(instance, section)
        return instance

    def _check_signal(self, instance: Instance, section: Section) -> None:
        """Warn of a processor that takes nothing of what it stands under; Fluent Bit passes it over in silence."""
        if not instance.plugin.handles & instance.context.signal:
            self.problems.add(
                f"{instance.kind} {instance.context.plugin} takes no {section.group}: it does nothing there.",
                mend="Put it under a signal that it takes.",
                place=section.place,
                severity="warning",
            )

    def _condition(self, entry: Entry) -> Condition | None:
        try:
            return Condition.parse(entry.value)
        except ConditionError as error:
            self.problems.add(f"condition: {error}", place=entry.place, exit_code=FAILED_LOAD)
            return None


def missing_extra(what: str, error: ImportError) -> str:
    """What to say when a plugin's library is not there."""
    extra = extra_that_brings(error.name or "")
    return (
        f"{what} needs the Python module '{error.name}', which is not installed. "
        f"`pip install 'tailrace[{extra}]'` brings it."
    )


EXTRA = re.compile(r"""([A-Za-z0-9._-]+)[^;]*;.*extra\s*==\s*['"]([\w-]+)['"]""")


def extra_that_brings(module: str) -> str:
    """The smallest extra of this package with the distribution of a module, found by its name; `all` if there is none."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires("tailrace") or []
    except PackageNotFoundError:  # run from a folder
        lines = []
    word = module.lower().replace(".", "-").replace("_", "-")
    sizes: Counter[str] = Counter()
    bringing: set[str] = set()
    for line in lines:
        found = EXTRA.match(line)
        if found is None:
            continue
        distribution, extra = found.group(1).lower().replace("_", "-"), found.group(2)
        sizes[extra] += 1
        if f"{word}-".startswith(f"{distribution}-") or distribution.startswith(f"{word}-"):
            bringing.add(extra)
    return min(sorted(bringing), key=sizes.__getitem__, default="all")
