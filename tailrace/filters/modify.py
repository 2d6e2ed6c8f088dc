"""Change fields by rules, in their order, if all conditions hold.

Example:
    Name   modify
    Match  *
    Rename user username
    Add    cluster prod
    Remove password

    {"user": "ann", "password": "x"}  ->  {"username": "ann", "cluster": "prod"}

Rules: set, add, remove, remove_wildcard, remove_regex, rename, hard_rename, copy, hard_copy, move_to_start, move_to_end. In
remove_wildcard and move_to_* a text stands for all keys that begin with it; a star is not special.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from itertools import compress
from typing import Any

from tailrace.config import ConfigError, option
from tailrace.config.source import Value
from tailrace.config.types import Reader, read_words, split_words, text
from tailrace.model import Body, Chunk
from tailrace.model.accessor import MISSING, Accessor, AccessorError
from tailrace.model.regex import Regex, RegexError, budget, compile_regex
from tailrace.model.reshape import Reshape
from tailrace.plugin import Filter, FilterOptions, filter_plugin

CHUNK_SECONDS = 2.0
RULES = {
    "set": 2,
    "add": 2,
    "remove": 1,
    "remove_wildcard": 1,
    "remove_regex": 1,
    "rename": 2,
    "hard_rename": 2,
    "copy": 2,
    "hard_copy": 2,
    "move_to_start": 1,
    "move_to_end": 1,
}
BY_BEGINNING = ("remove_wildcard", "move_to_start", "move_to_end")
"""Rules whose key stands for all that begin so."""
Step = Callable[[Body], None]
Test = Callable[[Body], bool]
Rule = tuple[str, list[str]]


def rule_reader(name: str) -> Reader:
    """Reads the words of a rule and keeps its name with them, so that rules stay in the order of the file."""

    def read(value: Value) -> Rule:
        words = read_words(value) if isinstance(value, list) else split_words(text(value))
        if len(words) != RULES[name]:
            wanted = "a key and a value" if RULES[name] == 2 else "a key"
            raise ConfigError(
                f"'{' '.join(words)}' will not do.", f"Give {wanted}; quotes keep words together."
            )
        return name, words

    return Reader("words", read)


class ModifyOptions(FilterOptions):
    condition: list[str] = option(many=True)
    """Apply the rules only if this holds, as: `key_exists a`, `key_value_equals a b`. May be given many times; all must hold."""

    rules: list[Rule] = option(
        many=True, sequence=tuple((name, rule_reader(name)) for name in RULES)
    )
    """The rules, each under its own name: set, add, remove, remove_wildcard, remove_regex, rename, hard_rename, copy, hard_copy, move_to_start, move_to_end."""


@filter_plugin("modify")
class Modify(Filter[ModifyOptions]):
    def __init__(self, options: ModifyOptions) -> None:
        super().__init__(options)
        self.conditions = [make_condition(text) for text in options.condition]
        for name, words in options.rules:
            if name in BY_BEGINNING and words[0].endswith("*"):
                self.warn_of_star(name, words[0])
        self.steps = [make_step(name, words) for name, words in options.rules]
        self.reshape = Reshape(self.change)
        matches = "matches" in " ".join(options.condition).lower() or any(
            name == "remove_regex" for name, _ in options.rules
        )
        self.limit = partial(budget, CHUNK_SECONDS) if matches else nullcontext

    def warn_of_star(self, name: str, prefix: str) -> None:
        """A star at the end does what the user did not mean; one alone, Fluent Bit refuses."""
        if prefix == "*":
            raise ConfigError(
                f"{name}: '*' names no key: a star is not special here.",
                "Give the text that the keys begin with.",
            )
        self.context.warn_of(
            f"{name}: '{prefix}' means keys that begin so, the star included.",
            f"Give the beginning alone, as: {name} {prefix.rstrip('*')}.",
        )

    def process(self, chunk: Chunk) -> Chunk:
        with self.limit():
            bodies = chunk.bodies
            if not self.conditions:
                chunk.bodies = self.reshape(bodies)
                return chunk
            conditions = self.conditions
            hold = [all(holds(body) for holds in conditions) for body in bodies]
            changed = iter(self.reshape(compress(bodies, hold)))
            chunk.bodies = [
                next(changed) if meant else body for body, meant in zip(bodies, hold, strict=True)
            ]
        return chunk

    def change(self, body: Body) -> Body:
        for step in self.steps:
            step(body)
        return body


# Rules


def make_step(name: str, words: list[str]) -> Step:
    """The change of one body, made once from a rule."""
    key = words[0]
    other = words[1] if len(words) > 1 else ""
    match name:
        case "set":
            return setter(key, other)
        case "add":
            return lambda body: None if key in body else body.__setitem__(key, other)
        case "remove":
            return lambda body: body.pop(key, None) and None
        case "remove_wildcard":
            return remover(lambda name: name.startswith(key))
        case "remove_regex":
            found = regex_of(key).search
            return remover(lambda name: found(name) is not None)
        case "rename" | "hard_rename":
            return renamer(key, other, hard=name == "hard_rename")
        case "copy" | "hard_copy":
            return copier(key, other, hard=name == "hard_copy")
    return mover(key, to_start=name == "move_to_start")


def setter(key: str, value: str) -> Step:
    def change(body: Body) -> None:
        body.pop(key, None)
        body[key] = value

    return change


def remover(is_meant: Callable[[str], bool]) -> Step:
    def change(body: Body) -> None:
        for key in [key for key in body if is_meant(key)]:
            del body[key]

    return change


def replace_items(body: Body, items: list[tuple[str, Any]]) -> None:
    body.clear()
    body.update(items)


def renamer(key: str, name: str, hard: bool) -> Step:
    """Keeps the place. A taken name stops `rename`, and is replaced by `hard_rename`."""

    def change(body: Body) -> None:
        if key not in body or key == name or (name in body and not hard):
            return
        items = [
            (name if each == key else each, value) for each, value in body.items() if each != name
        ]
        replace_items(body, items)

    return change


def copier(key: str, name: str, hard: bool) -> Step:
    """The copy stands right behind its source."""

    def change(body: Body) -> None:
        if key not in body or key == name or (name in body and not hard):
            return
        items = []
        for each, value in body.items():
            if each != name:
                items.append((each, value))
            if each == key:
                items.append((name, value))
        replace_items(body, items)

    return change


def mover(prefix: str, to_start: bool) -> Step:
    def change(body: Body) -> None:
        moved = [item for item in body.items() if item[0].startswith(prefix)]
        if not moved or len(moved) == len(body):
            return
        rest = [item for item in body.items() if not item[0].startswith(prefix)]
        replace_items(body, moved + rest if to_start else rest + moved)

    return change


# Conditions


def regex_of(pattern: str) -> Regex:
    try:
        return compile_regex(pattern)
    except RegexError as error:
        raise ConfigError(f"'{pattern}' is no regular expression: {error}") from error


def accessor_of(text: str) -> Accessor:
    try:
        return Accessor(text)
    except AccessorError as error:
        raise ConfigError(f"condition: {error}") from error


def matches_value(regex: Regex, value: Any) -> bool:
    """Texts and booleans are looked at; nothing else matches."""
    if type(value) is bool:
        value = "true" if value else "false"
    return type(value) is str and regex.search(value) is not None


CONDITIONS = {
    "key_exists": 1,
    "key_does_not_exist": 1,
    "a_key_matches": 1,
    "no_key_matches": 1,
    "key_value_equals": 2,
    "key_value_does_not_equal": 2,
    "key_value_matches": 2,
    "key_value_does_not_match": 2,
    "matching_keys_have_matching_values": 2,
    "matching_keys_do_not_have_matching_values": 2,
}


def make_condition(condition: str) -> Test:
    """The test of one body, made once from a condition."""
    words = split_words(condition)
    name = words[0].lower() if words else ""
    if name not in CONDITIONS:
        raise ConfigError(
            f"condition: '{condition}' is not known.", f"There are: {', '.join(CONDITIONS)}."
        )
    if name in ("key_value_equals", "key_value_does_not_equal") and len(words) == 2:
        words.append("")  # Compat: no value is an empty text.
    if len(words) != CONDITIONS[name] + 1:
        raise ConfigError(f"condition: '{condition}' needs {CONDITIONS[name]} words after {name}.")
    first, second = words[1], words[2] if len(words) > 2 else ""
    match name:
        case "key_exists" | "key_does_not_exist":
            return existence(accessor_of(first), wanted=name == "key_exists")
        case "a_key_matches" | "no_key_matches":
            return key_match(regex_of(first), wanted=name == "a_key_matches")
        case "key_value_equals" | "key_value_does_not_equal":
            return equality(accessor_of(first), second, wanted=name == "key_value_equals")
        case "key_value_matches" | "key_value_does_not_match":
            return value_match(
                accessor_of(first), regex_of(second), wanted=name == "key_value_matches"
            )
    return values_match(
        regex_of(first), regex_of(second), wanted=name == "matching_keys_have_matching_values"
    )


def existence(accessor: Accessor, wanted: bool) -> Test:
    get = accessor.get
    return lambda body: (get(body) is not MISSING) is wanted


def key_match(regex: Regex, wanted: bool) -> Test:
    search = regex.search
    return lambda body: any(search(key) is not None for key in body) is wanted


def equality(accessor: Accessor, text: str, wanted: bool) -> Test:
    """Both need the key to be there."""
    get = accessor.get

    def holds(body: Body) -> bool:
        value = get(body)
        return value is not MISSING and (type(value) is str and value == text) is wanted

    return holds


def value_match(accessor: Accessor, regex: Regex, wanted: bool) -> Test:
    get = accessor.get

    def holds(body: Body) -> bool:
        value = get(body)
        return value is not MISSING and matches_value(regex, value) is wanted

    return holds


def values_match(keys: Regex, values: Regex, wanted: bool) -> Test:
    def holds(body: Body) -> bool:
        meant = (value for key, value in body.items() if keys.search(key) is not None)
        return all(matches_value(values, value) for value in meant) is wanted

    return holds
