"""Test events: say so, mark them, or end the agent when one is not as expected.

Example:
    Name       expect
    Match      *
    Key_exists level
    Action     result_key

    {"level": "info"}  ->  {"matched": true, "level": "info"}
    {"msg": "x"}       ->  {"matched": false, "msg": "x"}
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tailrace.config import ConfigError, Reader, one_of, option
from tailrace.config.source import Value
from tailrace.config.types import text
from tailrace.model import Body, Chunk
from tailrace.model.accessor import MISSING, Accessor, AccessorError
from tailrace.model.condition import as_text
from tailrace.plugin import Filter, FilterOptions, filter_plugin

Check = tuple[str, Callable[[Body], bool]]


def rule_reader(name: str, count: int) -> Reader:
    def read(value: Value) -> tuple[str, list[str]]:
        found = [text(value).strip()] if count == 1 else text(value).strip().split(None, 1)
        if len(found) != count or not found[0]:
            raise ConfigError(
                f"{value!r} will not do.",
                "Give a field." if count == 1 else "Give a field and a value.",
            )
        return name, found

    return Reader("words", read)


RULES = {
    "key_exists": 1,
    "key_not_exists": 1,
    "key_val_is_null": 1,
    "key_val_is_not_null": 1,
    "key_val_eq": 2,
}


class ExpectOptions(FilterOptions):
    rules: list[tuple[str, list[str]]] = option(
        many=True, sequence=tuple((name, rule_reader(name, count)) for name, count in RULES.items())
    )
    """What must hold: key_exists, key_not_exists, key_val_is_null, key_val_is_not_null (a field), key_val_eq (a field and a value)."""

    action: str = option("warn", reader=one_of("warn", "exit", "result_key"))
    """warn: log it; exit: end the agent with 255; result_key: put a boolean before the fields of each event; a field that is there already stays."""

    result_key: str = option("matched")
    """The field of that boolean."""


@filter_plugin("expect")
class Expect(Filter[ExpectOptions]):
    padding = None

    def __init__(self, options: ExpectOptions) -> None:
        super().__init__(options)
        if not options.rules:
            self.context.warn_of(
                "there is no rule, so nothing is checked.", "Add one, as: key_exists level."
            )
        self.checks = [make_check(name, rule) for name, rule in options.rules]

    def process(self, chunk: Chunk) -> Chunk:
        results = [self.failed(body) for body in chunk.bodies]
        if self.options.action == "result_key":
            key = self.options.result_key
            pairs = zip(results, chunk.bodies, strict=True)
            chunk.bodies = [
                body if key in body else {key: failed is None, **body} for failed, body in pairs
            ]
            return chunk
        wrong = [
            (failed, body)
            for failed, body in zip(results, chunk.bodies, strict=True)
            if failed is not None
        ]
        if wrong:
            self.complain(wrong)
        return chunk

    def failed(self, body: Body) -> str | None:
        """The first rule that does not hold, or None."""
        for rule, holds in self.checks:
            if not holds(body):
                return rule
        return None

    def complain(self, wrong: list[tuple[str, Body]]) -> None:
        rule, body = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        message = f"expect check failed: {rule}, in {str(body)[:200]}{more}"
        if self.options.action == "exit":
            self.context.log.error(message)
            self.context.stop_agent(255)
        else:
            self.context.log.warn(message)


def make_check(name: str, rule: list[str]) -> Check:
    """A rule in words and as a test of one body."""
    try:
        get = Accessor(rule[0]).get
    except AccessorError as error:
        raise ConfigError(f"{name}: {error}") from error
    return f"{name} {' '.join(rule)}", TESTS[name](get, rule[-1])


Get = Callable[[Body], Any]
TESTS: dict[str, Callable[[Get, str], Callable[[Body], bool]]] = {
    "key_exists": lambda get, text: lambda body: get(body) is not MISSING,
    "key_not_exists": lambda get, text: lambda body: get(body) is MISSING,
    "key_val_is_null": lambda get, text: lambda body: get(body) is None,
    "key_val_is_not_null": lambda get, text: (
        lambda body: get(body) is not None and get(body) is not MISSING
    ),
    # Compat: the original lets any value that is no text pass; here it is compared by its text.
    "key_val_eq": lambda get, text: (
        lambda body: get(body) is not MISSING and as_text(get(body)) == text
    ),
}
