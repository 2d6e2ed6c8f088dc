"""Conditions of processors and routes: rules over fields, joined with and or or.

    condition:
      op: and
      rules:
        - {field: $level, op: eq, value: error}
        - {field: "$code", op: gte, value: 500}

Semantics: Fluent Bit's documentation, "Conditional processing" and "Routing". A missing field counts as "" or 0. No rule holds
for an event that does not have what the rule's context names: a group, or a resource or scope of OpenTelemetry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import repeat
from math import inf
from typing import Any

from tailrace.model.accessor import MISSING, Accessor, AccessorError
from tailrace.model.chunk import Body, Group, Metadata

OPERATORS = ("eq", "neq", "gt", "lt", "gte", "lte", "regex", "not_regex", "in", "not_in")
Source = Callable[[Body, Metadata, Group | None], Any]
"""What of an event a rule looks into; None if it has no such thing."""


def body_of(body: Body, metadata: Metadata, group: Group | None) -> Any:
    return body


def metadata_of(body: Body, metadata: Metadata, group: Group | None) -> Any:
    return metadata


def group_metadata(body: Body, metadata: Metadata, group: Group | None) -> Any:
    return None if group is None else group.metadata


def group_body(body: Body, metadata: Metadata, group: Group | None) -> Any:
    return None if group is None else group.body


def open_telemetry(*path: str) -> Source:
    """What lies at a path in the group, or in the body of an event without one."""

    def find(body: Body, metadata: Metadata, group: Group | None) -> Any:
        found: Any = body if group is None else group.body
        for name in path:
            found = found.get(name)
            if type(found) is not dict:
                return None
        return found

    return find


scope = open_telemetry("scope")
CONTEXTS: dict[str, Source] = {
    **dict.fromkeys(("", "body", "message", "record", "record_body"), body_of),
    **dict.fromkeys(("metadata", "attributes", "record_metadata"), metadata_of),
    "group_metadata": group_metadata,
    **dict.fromkeys(("group_attributes", "group_body"), group_body),
    "otel_resource_attributes": open_telemetry("resource", "attributes"),
    "otel_scope_attributes": open_telemetry("scope", "attributes"),
    **dict.fromkeys(("otel_scope_metadata", "otel_scope_name", "otel_scope_version"), scope),
}

NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
Test = Callable[[Any], bool]
CHUNK_SECONDS = 2.0
"""How long the patterns of a condition may take for one chunk."""


class ConditionError(ValueError):
    """What is wrong with a condition, and how to mend it."""


class Rule:
    """One comparison of one field."""

    def __init__(
        self, accessor: Accessor, source: Source, test: Test, is_pattern: bool = False
    ) -> None:
        self.get = accessor.get
        self.source = source
        self.test = test
        self.is_pattern = is_pattern

    def mask(
        self,
        bodies: Sequence[Body],
        metadata: Sequence[Metadata] | None,
        groups: Sequence[Group | None] | None,
    ) -> list[bool]:
        get, test = self.get, self.test
        # Compat: no rule holds for a list, not even not_in.
        if self.source is body_of:
            return [type(found := get(body)) is not list and test(found) for body in bodies]
        count = len(bodies)
        items = map(
            self.source, bodies, metadata or repeat({}, count), groups or repeat(None, count)
        )
        return [
            item is not None and type(found := get(item)) is not list and test(found)
            for item in items
        ]


class Condition:
    """Rules joined with `and` or `or`."""

    def __init__(self, rules: list[Rule], is_and: bool) -> None:
        self._rules = rules
        self._is_and = is_and
        self._limit = patience if any(rule.is_pattern for rule in rules) else nullcontext

    @classmethod
    def parse(cls, value: Any) -> Condition:
        """Read a condition as it stands in YAML."""
        if not isinstance(value, dict):
            raise ConditionError(f"{value!r} is no condition. Give op and rules.")
        op = str(value.get("op", "and")).lower()
        if op not in ("and", "or"):
            raise ConditionError(f"op '{op}' is not known. Give and or or.")
        rules = value.get("rules")
        if not isinstance(rules, list) or not rules:
            raise ConditionError(
                "there are no rules. Give a list of: {field: $key, op: eq, value: x}."
            )
        return cls([read_rule(rule) for rule in rules], op == "and")

    def mask(
        self,
        bodies: Sequence[Body],
        metadata: Sequence[Metadata] | None,
        groups: Sequence[Group | None] | None = None,
    ) -> list[bool]:
        """For which events it holds. `RegexTimeout` if its patterns take too long."""
        with self._limit():
            masks = [rule.mask(bodies, metadata, groups) for rule in self._rules]
        if len(masks) == 1:
            return masks[0]
        join = all if self._is_and else any
        return [join(row) for row in zip(*masks, strict=True)]


def read_rule(value: Any) -> Rule:
    if not isinstance(value, dict) or not isinstance(value.get("field"), str):
        raise ConditionError(f"{value!r} is no rule. Give field, op and value.")
    op = str(value.get("op", "")).lower()
    if op not in OPERATORS:
        raise ConditionError(
            f"op '{value.get('op')}' is not known. Give one of: {', '.join(OPERATORS)}."
        )
    context = str(value.get("context") or "").lower()
    if context not in CONTEXTS:
        known = ", ".join(name for name in CONTEXTS if name)
        raise ConditionError(f"context '{context}' is not known. Give one of: {known}.")
    try:
        accessor = Accessor(value["field"])
    except AccessorError as error:
        raise ConditionError(f"field: {error}") from error
    is_pattern = op in ("regex", "not_regex")
    return Rule(accessor, CONTEXTS[context], make_test(op, value.get("value")), is_pattern)


def patience() -> AbstractContextManager[Any]:
    """Ends patterns that take too long: nobody else has a turn meanwhile."""
    from tailrace.model.regex import budget

    return budget(CHUNK_SECONDS)


def make_test(op: str, wanted: Any) -> Test:
    """The test of one field's value."""
    match op:
        case "eq" | "neq":
            text = as_text(wanted)
            return (
                (lambda found: as_text(found) == text)
                if op == "eq"
                else (lambda found: as_text(found) != text)
            )
        case "in" | "not_in":
            if not isinstance(wanted, list):
                raise ConditionError(f"op {op} needs a list of values, not {wanted!r}.")
            texts = frozenset(map(as_text, wanted))
            return (
                (lambda found: as_text(found) in texts)
                if op == "in"
                else (lambda found: as_text(found) not in texts)
            )
        case "regex" | "not_regex":
            return make_regex_test(op, wanted)
    return make_number_test(op, wanted)


def make_regex_test(op: str, wanted: Any) -> Test:
    from tailrace.model.regex import RegexError, compile_regex

    try:
        search = compile_regex(as_text(wanted)).search
    except RegexError as error:
        raise ConditionError(f"{wanted!r}: {error}") from error
    if op == "regex":
        return lambda found: search(as_text(found)) is not None
    return lambda found: search(as_text(found)) is None


def make_number_test(op: str, wanted: Any) -> Test:
    try:
        number = float(as_text(wanted))
    except ValueError:
        raise ConditionError(f"op {op} needs a number, not {wanted!r}.") from None
    match op:
        case "gt":
            return lambda found: as_number(found) > number
        case "lt":
            return lambda found: as_number(found) < number
        case "gte":
            return lambda found: as_number(found) >= number
    return lambda found: as_number(found) <= number


def as_text(value: Any) -> str:
    """The text that is compared; a missing field counts as empty."""
    if isinstance(value, str):
        return value
    if value is None or value is MISSING or isinstance(value, (dict, list)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:f}"
    return str(value)


def as_number(value: Any) -> float:
    """The number that is compared, of a text as far as it is one; what is missing or no number counts as 0."""
    if isinstance(value, (bool, int, float)):
        try:
            return float(value)
        except OverflowError:
            return inf if value > 0 else -inf
    if isinstance(value, str):
        found = NUMBER.match(value)
        return float(found.group()) if found else 0.0
    return 0.0
