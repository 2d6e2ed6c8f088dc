"""The conditions of tail sampling: a trace is kept if one of its spans meets one of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tailrace.config import ConfigError
from tailrace.config.errors import did_you_mean
from tailrace.config.types import read_bool
from tailrace.model.regex import RegexError, compile_regex
from tailrace.model.traces import Attributes, Span, StatusCode

NS_PER_MS = 1_000_000
INTEGER = re.compile(r"\s*[+-]?\d+\s*")

Test = Callable[[Span, Attributes, int], bool]
"""Of a span, its resource's attributes, and the number of spans of its trace."""


class Kind(NamedTuple):
    """A type of condition: how it is read, and the keys it takes beside `type`."""

    read: Callable[[dict[str, Any]], Test]
    keys: tuple[str, ...]


def read_conditions(given: Any, warn: Callable[[str], None]) -> list[Test] | None:
    """Tests of the list under `conditions`; None if there is none, and every trace is kept."""
    if given is None:
        return None
    if not isinstance(given, list):
        raise ConfigError("conditions: a list is expected.", "Begin each condition with a dash.")
    return [read_condition(each, f"conditions[{at}]", warn) for at, each in enumerate(given)]


def read_condition(given: Any, where: str, warn: Callable[[str], None]) -> Test:
    if not isinstance(given, dict):
        raise ConfigError(f"{where}: {given!r} is no map.", "As: {type: latency, ...}.")
    name = given.get("type")
    kind = KINDS.get(name.lower()) if isinstance(name, str) else None
    if kind is None:
        mend = did_you_mean(str(name), KINDS) or f"Give one of: {', '.join(KINDS)}."
        raise ConfigError(f"{where}: type {name!r} is not known.", mend)
    for key in given:
        if key != "type" and key not in kind.keys:
            mend = did_you_mean(key, kind.keys) or f"It takes {', '.join(kind.keys)}."
            warn(f"{where}: {name} has no '{key}', it has no effect. {mend}")
    try:
        return kind.read(given)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.what}", error.mend) from error


def read_latency(given: dict[str, Any]) -> Test:
    """Spans that took at most `threshold_ms_low` or at least `threshold_ms_high` milliseconds; 0: not looked at."""
    low = number_of(given, "threshold_ms_low", 0)
    high = number_of(given, "threshold_ms_high", 0)
    if low < 0 or high < 0:
        raise ConfigError("a threshold is no time.", "Give milliseconds, 0 or more.")
    if not low and not high:
        raise ConfigError(
            "latency has no threshold.", "Give threshold_ms_low, threshold_ms_high or both."
        )

    def test(span: Span, resource: Attributes, count: int) -> bool:
        if span.start_ns > span.end_ns:
            return False
        took = (span.end_ns - span.start_ns) // NS_PER_MS
        return bool(low and took <= low) or bool(high and took >= high)

    return test


def read_span_count(given: dict[str, Any]) -> Test:
    """Traces of `min_spans` to `max_spans` spans."""
    least, most = range_of(given, "min_spans", "max_spans")
    return lambda span, resource, count: least <= count <= most


def read_status(given: dict[str, Any]) -> Test:
    """Spans of one of the `status_codes`."""
    names = {code.name: int(code) for code in StatusCode}
    wanted = set()
    for word in texts_of(given, "status_codes"):
        if word.upper() not in names:
            raise ConfigError(f"'{word}' is no status code.", f"Give one of: {', '.join(names)}.")
        wanted.add(names[word.upper()])
    return lambda span, resource, count: span.status_code in wanted


def read_string(given: dict[str, Any]) -> Test:
    """Spans whose text attribute has one of the `values`, matches one of them, or is there."""
    key = key_of(given)
    how = match_type_of(given, "strict", "exists", "regex")
    if how == "exists":
        if given.get("values") is not None:
            texts_of(given, "values")
        return attribute_test(key, is_text, lambda value: True)
    values = texts_of(given, "values")
    if how == "strict":
        wanted = frozenset(values)
        return attribute_test(key, is_text, wanted.__contains__)
    try:
        searches = [compile_regex(value).search for value in values]
    except RegexError as error:
        raise ConfigError(f"values: {error}") from error
    return attribute_test(
        key, is_text, lambda value: any(search(value) is not None for search in searches)
    )


def read_numeric(given: dict[str, Any]) -> Test:
    """Spans whose attribute is a number from `min_value` to `max_value`, or a number at all."""
    key = key_of(given)
    how = match_type_of(given, "strict", "exists")
    least, most = range_of(given, "min_value", "max_value")
    if how == "exists":
        return attribute_test(key, is_number, lambda value: True)
    return attribute_test(key, is_number, lambda value: bool(least <= value <= most))


def read_boolean(given: dict[str, Any]) -> Test:
    """Spans whose attribute is the boolean `value`, or a boolean at all."""
    key = key_of(given)
    how = match_type_of(given, "strict", "exists")
    if given.get("value") is None:
        raise ConfigError("value is missing.", "Add: value: true.")
    wanted = read_bool(given["value"])
    if how == "exists":
        return attribute_test(key, is_boolean, lambda value: True)
    return attribute_test(key, is_boolean, lambda value: value is wanted)


def read_trace_state(given: dict[str, Any]) -> Test:
    """Spans whose trace state holds one of the `values`, each a `key=value`."""
    wanted = frozenset(texts_of(given, "values"))

    def test(span: Span, resource: Attributes, count: int) -> bool:
        state = span.trace_state
        return state is not None and any(
            part and part in wanted for part in (word.strip(" ") for word in state.split(","))
        )

    return test


KINDS: dict[str, Kind] = {
    "latency": Kind(read_latency, ("threshold_ms_low", "threshold_ms_high")),
    "span_count": Kind(read_span_count, ("min_spans", "max_spans")),
    "status_code": Kind(read_status, ("status_codes",)),
    "string_attribute": Kind(read_string, ("key", "match_type", "values")),
    "numeric_attribute": Kind(read_numeric, ("key", "match_type", "min_value", "max_value")),
    "boolean_attribute": Kind(read_boolean, ("key", "match_type", "value")),
    "trace_state": Kind(read_trace_state, ("values",)),
}


def attribute_test(key: str, fits: Callable[[Any], bool], holds: Callable[[Any], bool]) -> Test:
    """A test of the attribute of the resource, and of that of the span."""

    def test(span: Span, resource: Attributes, count: int) -> bool:
        for attributes in (resource, span.attributes):
            value = attributes.get(key)
            if value is not None and fits(value) and holds(value):
                return True
        return False

    return test


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def key_of(given: dict[str, Any]) -> str:
    key = given.get("key")
    if not isinstance(key, str) or not key:
        raise ConfigError("key is missing.", "Add: key: NAME.")
    return key


def match_type_of(given: dict[str, Any], *choices: str) -> str:
    how = given.get("match_type", choices[0])
    if not isinstance(how, str) or how.lower() not in choices:
        raise ConfigError(
            f"match_type {how!r} is not known.", f"Give one of: {', '.join(choices)}."
        )
    return how.lower()


def number_of(given: dict[str, Any], name: str, default: int | None = None) -> float:
    value = given.get(name)
    if value is None:
        if default is None:
            raise ConfigError(f"{name} is missing.", f"Add: {name}: NUMBER.")
        return default
    try:
        return int(value) if INTEGER.fullmatch(str(value)) else float(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: {value!r} is no number.", "Give a number, as: 10.") from error


def range_of(given: dict[str, Any], least: str, most: str) -> tuple[float, float]:
    low, high = number_of(given, least), number_of(given, most)
    if low > high:
        raise ConfigError(f"{least} {low} is more than {most} {high}.", "Change them.")
    return low, high


def texts_of(given: dict[str, Any], name: str) -> list[str]:
    values = given.get(name)
    if values is None:
        raise ConfigError(f"{name} is missing.", f"Add: {name}: [TEXT].")
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise ConfigError(f"{name}: a list of texts is expected.", f"As: {name}: [TEXT].")
    return values


def any_meets(
    tests: list[Test] | None, spans: Iterable[tuple[Attributes, Span]], count: int
) -> bool:
    """Whether one of the spans, each with its resource's attributes, meets one of the conditions."""
    if tests is None:
        return True
    for resource, span in spans:
        for test in tests:
            if test(span, resource, count):
                return True
    return False
