"""What all instances of one pipeline share: parsers, service options, metrics, the way to end the agent."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailrace.config.errors import ConfigError, Problems, did_you_mean
from tailrace.config.load import WELL_KNOWN
from tailrace.config.options import option_table
from tailrace.config.source import Configuration, Section
from tailrace.engine.metrics import MetricRegistry
from tailrace.engine.service import ServiceOptions
from tailrace.plugin.base import Parser
from tailrace.plugin.plain_parser import is_plain
from tailrace.plugin.share import WHOLE

if TYPE_CHECKING:
    from tailrace.model.metrics import MetricSet


class Services:
    """Made once per pipeline; parsers are compiled when first asked for."""

    def __init__(
        self,
        configuration: Configuration,
        options: ServiceOptions,
        metrics: MetricRegistry,
        config_dir: Path,
        on_stop: Callable[[int], None],
    ) -> None:
        self.options = options
        self.metrics = metrics
        self.config_dir = config_dir
        self.variables: Mapping[str, str] = configuration.env
        self.output_count = len(configuration.outputs)
        self.running = False
        self.share = WHOLE
        """The part of the work that is this engine's."""
        self.agent_metrics: Callable[[], Awaitable[MetricSet]] = no_metrics
        """What the agent tells of itself; the agent sets it."""
        self._on_stop = on_stop
        self._upstreams = configuration.upstreams
        self._all_parsers = configuration.parsers
        self._parser_sections = sections_by_name(configuration.parsers)
        self._multiline_sections = {
            name.lower(): section
            for name, section in sections_by_name(configuration.multiline_parsers).items()
        }
        self._parsers: dict[str, Parser[Any]] = {}
        self._multiline: dict[str, Any] = {}
        self._multiline_own: dict[str, Any] = {}
        """Those of the configuration, made by `check_parsers`."""

    def service(self, name: str) -> Any:
        """The value of a service option by the name users write."""
        spec = option_table(ServiceOptions).by_name[name]
        return getattr(self.options, spec.attribute)

    def stop_agent(self, exit_code: int) -> None:
        self._on_stop(exit_code)

    def check_parsers(self, problems: Problems) -> None:
        """Make every parser of the configuration, used or not, so that what is wrong is told at the start.

        Those that Tailrace brings, or that are plainly right, are made when they are asked for.
        """
        own = [section for section in self._all_parsers if not is_well_known(section)]
        names: set[str] = set()
        for section in own:
            made = None if is_plain(section) else self._make_parser(section, problems)
            name = section.text("name")
            if name in names:
                problems.add(
                    "there is another parser of this name.",
                    mend="Give each its own.",
                    place=section.place,
                    where=f"parser {name}",
                )
            names.add(name)
            if made is not None and self._parser_sections[name] is section:
                self._parsers[name] = made
        if not self._multiline_sections:
            return
        from tailrace.plugin.multiline import make_rules

        for name, section in self._multiline_sections.items():
            rules = make_rules(section, problems, self.parser)
            if rules is not None:
                self._multiline_own[name] = rules

    def _make_parser(self, section: Section, problems: Problems) -> Parser[Any] | None:
        from tailrace.plugin.parsing import make_parser

        return make_parser(section, problems)

    def parser(self, name: str) -> Parser[Any]:
        found = self._parsers.get(name)
        if found is None:
            section = self._section(self._parser_sections, name, "parser")
            problems = Problems()
            made = self._make_parser(section, problems)
            if made is None:
                raise ConfigError(f"parser '{name}' can't be used: {problems.found[0]}")
            found = self._parsers[name] = made
        return found

    def multiline_parser(self, name: str) -> Any:
        name = name.lower()
        found = self._multiline.get(name)
        if found is None:
            from tailrace.plugin.multiline import built_in, make_rules

            found = built_in(name) or self._multiline_own.get(name)
            if found is None:
                section = self._section(self._multiline_sections, name, "multiline parser")
                problems = Problems()
                found = make_rules(section, problems, self.parser)
                if found is None:
                    raise ConfigError(
                        f"multiline parser '{name}' can't be used: {problems.found[0]}"
                    )
            self._multiline[name] = found
        return found

    def _section(self, sections: dict[str, Section], name: str, kind: str) -> Section:
        if name not in sections:
            mend = did_you_mean(name, sections) or "Define it, or name its file with parsers_file."
            raise ConfigError(f"there is no {kind} '{name}'.", mend)
        return sections[name]

    def upstream(self, path: str) -> list[Section]:
        from tailrace.config.load import located, read_upstream

        named = [section for section in self._upstreams if section.text("name") == path]
        if named:
            return named
        file = located(path, self.config_dir)
        if file is None:
            raise ConfigError(
                f"upstream: the file '{path}' is not there.",
                f"It was looked for in {self.config_dir.resolve()} and in the working directory.",
            )
        sections, problems = read_upstream(file, {**os.environ, **self.variables})
        if problems.errors:
            raise ConfigError(f"upstream: {problems.errors[0]}")
        return sections


def is_well_known(section: Section) -> bool:
    return Path(section.place.file).parent == WELL_KNOWN


def sections_by_name(sections: list[Section]) -> dict[str, Section]:
    """Of sections with one name the first counts, as in Fluent Bit."""
    found: dict[str, Section] = {}
    for section in sections:
        found.setdefault(section.text("name"), section)
    return found


async def no_metrics() -> MetricSet:
    """What stands in until there is an agent."""
    from tailrace.model.metrics import MetricSet

    return MetricSet()
