"""Which filters and outputs a chunk goes to: decided once per tag and configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tailrace.config.errors import ConfigError, Problems
from tailrace.config.source import Section
from tailrace.model import LOGS, Chunk
from tailrace.model.condition import Condition, ConditionError
from tailrace.model.tag import matcher

if TYPE_CHECKING:
    from tailrace.engine.build import Instance
    from tailrace.engine.ports import Source
    from tailrace.plugin.log import Log

CACHED_TAGS = 10_000


class TagTable:
    """Instances by tag, with a bounded memory of what was found."""

    def __init__(self, rules: list[tuple[Callable[[str], bool], Any]]) -> None:
        self._rules = rules
        self._known: dict[str, tuple[Any, ...]] = {}

    def find(self, tag: str) -> tuple[Any, ...]:
        found = self._known.get(tag)
        if found is None:
            found = tuple(target for matches, target in self._rules if matches(tag))
            if len(self._known) >= CACHED_TAGS:
                self._known.clear()
            self._known[tag] = found
        return found


def match_rule(
    instance: Instance, only_one: bool, problems: Problems
) -> Callable[[str], bool] | None:
    """The test of a tag by an instance's match options; None if it takes nothing.

    One input and one output without match means everything.
    """
    options = instance.options
    if not options.match and not options.match_regex:
        return matcher("*", None) if only_one else None
    try:
        return matcher(options.match or None, options.match_regex or None)
    except (ValueError, ConfigError) as error:
        entry = instance.section.last("match_regex") or instance.section.last("match")
        problems.add(
            f"match_regex: {error}",
            place=entry.place if entry else instance.section.place,
            where=instance.name,
        )
        return None


class ConditionalRoute(NamedTuple):
    """Where events of one input go for which a condition holds; `condition` None: those for which no other one does."""

    name: str
    condition: Condition | None
    outputs: tuple[str, ...]
    signal: str = "logs"


def all_routes(
    inputs: Iterable[Instance], outputs: Iterable[Instance], problems: Problems
) -> dict[str, list[ConditionalRoute]]:
    """The conditional routes of each input that has some, by its name."""
    names: dict[str, str] = {}
    for output in outputs:
        for word in (output.name, output.unique, output.context.plugin):
            names.setdefault(word, output.name)
    return {
        source.name: read_routes(source.options.routes, source.section, names, problems)
        for source in inputs
        if source.options.routes is not None
    }


def read_routes(
    value: Any, section: Section, outputs: Mapping[str, str], problems: Problems
) -> list[ConditionalRoute]:
    """The `routes` of a YAML input. A route to an output that is not there is left out with a warning.

    `outputs` gives the name of each output by all that it may be called.
    """
    place = (section.last("routes") or section).place
    if not isinstance(value, dict):
        problems.add(
            "routes: a map of signals is expected.",
            mend="As: routes: {logs: [{to: {outputs: [a]}}]}.",
            place=place,
        )
        return []
    routes = []
    for signal, items in value.items():
        if not isinstance(items, list):
            problems.add(
                f"routes: {signal}: {items!r} is no list of routes.",
                mend="As: logs: [{to: {outputs: [a]}}].",
                place=place,
            )
            continue
        for item in items:
            route = read_route(signal, item, outputs, problems, place)
            if route is not None:
                routes.append(route)
    return routes


def read_route(
    signal: str, item: Any, outputs: Mapping[str, str], problems: Problems, place: Any
) -> ConditionalRoute | None:
    if not isinstance(item, dict):
        problems.add(
            f"routes: {item!r} is no route.", mend="Give name, condition and to.", place=place
        )
        return None
    name = str(item.get("name", ""))
    to = item.get("to") or {}
    targets = (to.get("outputs") or []) if isinstance(to, dict) else None
    if not isinstance(targets, list):
        problems.add(
            f"route '{name}': {to!r} does not name outputs.",
            mend="As: to: {outputs: [a]}.",
            place=place,
        )
        return None
    known: dict[str, None] = {}
    for target in targets:
        names = (
            [target.get("name"), target.get("fallback")] if isinstance(target, dict) else [target]
        )
        found = next((outputs[word] for each in names if (word := str(each)) in outputs), None)
        if found is not None:
            known[found] = None
        if str(names[0]) not in outputs:
            instead = "its fallback is taken" if found is not None else "it is left out"
            problems.add(
                f"route '{name}': there is no output '{names[0]}'; {instead}.",
                mend=f"Outputs are: {', '.join(sorted(set(outputs.values())))}."
                if outputs
                else "There are no outputs: add some under pipeline.outputs.",
                place=place,
                severity="warning",
            )
    if not known:
        return None
    rule = item.get("condition")
    if rule is None or is_default(rule):
        return ConditionalRoute(name, None, tuple(known), signal)
    try:
        condition = Condition.parse(rule)
    except ConditionError as error:
        problems.add(f"route '{name}': {error}", place=place)
        return None
    return ConditionalRoute(name, condition, tuple(known), signal)


def is_default(rule: Any) -> bool:
    """Whether a route's condition is `{default: true}`."""
    return isinstance(rule, dict) and str(rule.get("default")).lower() in ("true", "yes", "on")


LOG_SIGNALS = ("logs", "any")
"""Routes under other signals are none of logs', and their conditions never hold, as Fluent Bit documents it."""


def split_by_routes(
    chunk: Chunk,
    routes: list[ConditionalRoute],
    on_failure: Callable[[str], None] = lambda what: None,
) -> list[tuple[Chunk, tuple[str, ...]]]:
    """Parts of a chunk with the outputs each goes to: those of all routes whose condition holds, else those of the default routes.

    Conditions look at logs alone; metrics, traces and profiles go to the default routes of their own signal or of any. Without one
    they go by their tag (Fluent Bit drops them).
    A condition that fails holds for none of the events; `on_failure` is told.

    Compat: Fluent Bit replaces the tag by the route's name, which hides where events came from; here
    the tag stays.
    """
    if chunk.kind is not LOGS:
        signals = (str(chunk.kind.name).lower(), "any")
        names = [
            route.outputs for route in routes if not route.condition and route.signal in signals
        ]
        return [(chunk, tuple(dict.fromkeys(name for each in names for name in each)))]
    chosen: list[tuple[str, ...]] = [()] * chunk.count
    defaults: dict[str, None] = {}
    for route in routes:
        if route.signal not in LOG_SIGNALS:
            continue
        if route.condition is None:
            defaults |= dict.fromkeys(route.outputs)
        else:
            try:
                holds = route.condition.mask(chunk.bodies, chunk.metadata, chunk.groups)
            except Exception as error:
                on_failure(f"route '{route.name}' takes none of {chunk.count} events: {error}")
                continue
            chosen = [
                joined(before, route.outputs) if holding else before
                for before, holding in zip(chosen, holds, strict=True)
            ]
    rest = tuple(defaults)
    parts = chunk.split(names or rest for names in chosen)
    return [(part, names) for names, part in parts.items()]


def joined(names: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Both, each name once."""
    return tuple(dict.fromkeys((*names, *more))) if names else more


def parts_of(chunk: Chunk, source: Source, log: Log) -> list[Chunk]:
    """A chunk by where the routes of its input send its events; whole, if there are none."""
    if not source.routes or not chunk.count:
        return [chunk]
    parts = []
    for part, names in split_by_routes(chunk, source.routes, log.error):
        part.routed = names
        parts.append(part)
    return parts
