"""Which of several rules a line matches first, with as few calls as can be: most lines of a file go this way.

Rules that look at the start of a line only become one expression; one that must hold some text is tried only on
lines that hold it (bench: multiline_file).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol

sre: Any = None
parser: Any = None
with suppress(ImportError):  # without them no text is known to be required, and every line is tried
    sre, parser = import_module("re._constants"), import_module("re._parser")

LEAST_TEXT = 3
"""A required text shorter than this is not worth looking for."""
MOST_TEXTS = 8


class Found(Protocol):
    """What `match` gives: `lastindex` is the number of the rule, from 1."""

    @property
    def lastindex(self) -> Any: ...


class Number:
    __slots__ = ("lastindex",)

    def __init__(self, lastindex: int) -> None:
        self.lastindex = lastindex


class Choice:
    """`match` finds the first rule that a line (without line feeds) matches; `rules[lastindex]` is it."""

    __slots__ = ("_tests", "match", "rules", "stays")

    def __init__(self, rules: Sequence[Any]) -> None:
        self.rules: tuple[Any, ...] = (None, *rules)
        self.stays: tuple[bool, ...] = (False,) * len(self.rules)
        """After which rules, by number, this same choice is to be made, with nothing complete."""
        self._tests = [(guarded(rule.search), rule) for rule in rules]
        self.match: Callable[[str], Found | None] = (
            together(rules) or one_by_one(rules) if rules else lambda line: None
        )

    def of(self, text: str) -> Any:
        """The first rule that a text, of one line or several, matches, or None."""
        if "\n" in text:
            for test, rule in self._tests:
                if test(text) is not None:
                    return rule
            return None
        found = self.match(text)
        return None if found is None else self.rules[found.lastindex]


NO_CHOICE = Choice(())


def compiled_start(rule: Any) -> re.Pattern[str] | None:
    """The compiled expression of a rule that looks at a line's start alone and has no groups; else None."""
    owner = getattr(rule.search_line, "__self__", None)
    is_match = getattr(rule.search_line, "__name__", "") == "match"
    return owner if isinstance(owner, re.Pattern) and is_match and not owner.groups else None


def together(rules: Sequence[Any]) -> Callable[[str], Found | None] | None:
    """One expression for all, with an empty group behind each that tells which one matched; None if that can't be."""
    patterns = [compiled_start(rule) for rule in rules]
    if not all(patterns) or len({pattern.flags for pattern in patterns if pattern}) != 1:
        return None
    first = patterns[0]
    assert first is not None
    text = "|".join(f"(?:{pattern.pattern})()" for pattern in patterns if pattern)
    try:
        compiled: Any = re.compile(text, first.flags)
    except re.error:
        return None
    match: Callable[[str], Found | None] = compiled.match
    return match


def one_by_one(rules: Sequence[Any]) -> Callable[[str], Found | None]:
    tests = [guarded(rule.search_line) for rule in rules]
    numbers = [Number(index) for index in range(1, len(rules) + 1)]
    if len(rules) == 1:
        test, number = tests[0], numbers[0]
        return lambda line: None if test(line) is None else number
    pairs = list(zip(tests, numbers, strict=True))

    def match(line: str) -> Found | None:
        for test, number in pairs:
            if test(line) is not None:
                return number
        return None

    return match


def guarded(search: Callable[[str], Any]) -> Callable[[str], Any]:
    """The search, done only in lines that hold one of the texts that a match must hold."""
    owner = getattr(search, "__self__", None)
    if not isinstance(owner, re.Pattern) or getattr(search, "__name__", "") != "search":
        return search
    texts = required_texts(owner)
    if texts is None:
        return search
    condition = " or ".join(f"{text!r} in line" for text in texts)
    scope: dict[str, Any] = {"search": search}
    made: Callable[[str], Any] = eval(  # it holds only text literals
        f"lambda line: search(line) if {condition} else None", scope
    )
    return made


def required_texts(pattern: re.Pattern[str]) -> tuple[str, ...] | None:
    """Texts one of which is in every match; None if there are no good ones."""
    if parser is None or pattern.flags & (re.IGNORECASE | re.VERBOSE):
        return None
    try:
        tree = parser.parse(pattern.pattern, pattern.flags)
    except (re.error, RecursionError):
        return None
    texts = texts_of(tree)
    return texts if texts and len(texts) <= MOST_TEXTS else None


def texts_of(tree: Any) -> tuple[str, ...] | None:
    """Of the parts of a sequence, the one whose shortest text is longest."""
    found: list[tuple[str, ...]] = []
    run: list[str] = []
    for kind, value in [*tree, (None, None)]:
        if kind is sre.LITERAL:
            run.append(chr(value))
            continue
        if len(run) >= LEAST_TEXT:
            found.append(("".join(run),))
        run = []
        inner = texts_inside(kind, value)
        if inner is not None:
            found.append(inner)
    return max(found, key=lambda texts: min(map(len, texts)), default=None)


def texts_inside(kind: Any, value: Any) -> tuple[str, ...] | None:
    if kind is sre.SUBPATTERN:
        _, added, removed, inner = value
        return None if added or removed else texts_of(inner)
    if kind in (sre.MAX_REPEAT, sre.MIN_REPEAT) and value[0] > 0:
        return texts_of(value[2])
    if kind is sre.BRANCH:
        branches = [texts_of(branch) for branch in value[1]]
        if all(branches):
            return tuple(dict.fromkeys(text for texts in branches if texts for text in texts))
    return None
