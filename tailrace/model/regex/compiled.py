"""Compiled Ruby regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Literal, Protocol

from tailrace.model.regex.deadline import on_main_thread, seconds_left
from tailrace.model.regex.emit import Unsupported, for_re, for_regex, group_names, regex_group_names
from tailrace.model.regex.errors import RegexError, RegexTimeout
from tailrace.model.regex.fallback import regex_module
from tailrace.model.regex.measure import endless_call, line_anchored
from tailrace.model.regex.nodes import Pattern, Place
from tailrace.model.regex.ruby import read_pattern


class Match(Protocol):
    """What a search finds: the part of `re.Match` that all engines share. Groups go by number or by name."""

    def group(self, *groups: str | int) -> Any: ...
    def __getitem__(self, group: str | int, /) -> Any: ...
    def groups(self) -> tuple[str | None, ...]: ...
    def groupdict(self) -> dict[str, str | None]: ...
    def start(self, group: str | int = 0, /) -> int: ...
    def end(self, group: str | int = 0, /) -> int: ...
    def span(self, group: str | int = 0, /) -> tuple[int, int]: ...


Search = Callable[[str], Match | None]


@lru_cache(maxsize=1024)
def compile_regex(pattern: str) -> Regex:
    """A pattern as Fluent Bit takes it: as it is, or between slashes with options, as `/error/i`.

    Options are `i` (any letter case), `m` (the dot takes line feeds), `x` (blanks and comments) and `o`, which does nothing.
    A text that begins with a slash but has other letters behind the last one is taken as it is. Raises `RegexError`.
    """
    body, options = _without_slashes(pattern)
    try:
        parsed = read_pattern(
            body, fold="i" in options, newlines="m" in options, extended="x" in options
        )
        if endless_call(parsed.bodies):
            raise RegexError(
                f"{body!r} is not a regular expression: a group calls itself without end"
            )
        return Regex(pattern, parsed)
    except RecursionError:
        raise RegexError(
            f"{body!r} is nested too deeply for the regular expression engines"
        ) from None


_SLASHES: Final = re.compile(r"/(.*)/([imxo]*)", re.DOTALL)


def _without_slashes(pattern: str) -> tuple[str, str]:
    found = _SLASHES.fullmatch(pattern)
    # Compat: `o` alone changes nothing, and so not even the slashes are taken off.
    if found is None or found[2].strip("o") == "" != found[2]:
        return pattern, ""
    return found[1], found[2]


class Regex:
    """A compiled pattern; made by `compile_regex`, and shared.

    - `pattern`: the text it was made of.
    - `names`: the group names, in order of first appearance.
    - `indexes`: for each name the places in `match.groups()` that hold it; more than one where the name is repeated.
    - `engine`: `re` or `regex`.
    """

    __slots__ = (
        "_compiled",
        "_line_search",
        "_parsed",
        "_renamed",
        "_search",
        "_timed",
        "engine",
        "indexes",
        "names",
        "pattern",
    )

    def __init__(self, pattern: str, parsed: Pattern) -> None:
        self.pattern = pattern
        self.names: tuple[str, ...] = tuple(
            dict.fromkeys(name for name in parsed.names if name is not None)
        )
        self.indexes = {
            name: tuple(index for index, other in enumerate(parsed.names) if other == name)
            for name in self.names
        }
        self._parsed = parsed
        self._renamed = group_names(parsed) != parsed.names
        self.engine, self._compiled = _compile(parsed)
        self._timed: Any = None
        self._search, self._line_search = self.bound(self._compiled)

    def __repr__(self) -> str:
        return f"compile_regex({self.pattern!r})"

    def __reduce__(self) -> tuple[Callable[[str], Regex], tuple[str]]:
        return compile_regex, (self.pattern,)

    def bound(self, compiled: Any) -> tuple[Search, Search]:
        """Functions that find the first match, in any text and in a text of one line."""
        anchor = line_anchored(self._parsed.root)
        anywhere = compiled.match if anchor is Place.TEXT_START else compiled.search
        line = compiled.match if anchor else compiled.search
        return anywhere, line

    @property
    def search(self) -> Search:
        """Finds the leftmost match in a text, or None; as fast as the engine goes.

        Fetch it on the thread that uses it, once for many texts: off the main thread it keeps the time limit by itself.
        """
        return self.named(self._search) if on_main_thread() else self.named(self.timed()[0])

    @property
    def search_line(self) -> Search:
        """As `search`, for text without line feeds only: a pattern that begins with `^` is tried at the start alone."""
        return self.named(self._line_search) if on_main_thread() else self.named(self.timed()[1])

    @property
    def groups_of(self) -> Callable[[str], tuple[str | None, ...] | None]:
        """The groups of the leftmost match in a text, None for those that took no part; or None."""
        search = self._search if on_main_thread() else self.timed()[0]

        def groups(text: str) -> tuple[str | None, ...] | None:
            match = search(text)
            return None if match is None else match.groups()

        return groups

    def matches(self, text: str) -> bool:
        """Whether the pattern matches anywhere in the text."""
        return (self._search if on_main_thread() else self.timed()[0])(text) is not None

    def named(self, search: Search) -> Search:
        """The search, whose matches know all groups by name."""
        if not self._renamed:
            return search

        def find(text: str) -> Match | None:
            match = search(text)
            return None if match is None else _NamedMatch(match, self.indexes)

        return find

    def timed(self) -> tuple[Search, Search]:
        """Searches that keep the time limit themselves, by the `regex` module."""
        if self._timed is None:
            self._timed = (
                self._compiled if self.engine == "regex" else _compile_for_regex(self._parsed)
            )
        anywhere, line = self.bound(self._timed)
        return _limited(anywhere), _limited(line)


def _limited(search: Any) -> Search:
    def find(text: str) -> Match | None:
        left = seconds_left()
        try:
            if left > 0:
                found: Match | None = search(text, timeout=left)
                return found
        except TimeoutError:
            pass
        raise RegexTimeout("matching took more time than it was given")

    return find


class _NamedMatch:
    """A match of a pattern with names that the engine does not take, such as repeated ones.

    A repeated name gives the last of its groups that took part.
    """

    __slots__ = ("indexes", "match")

    def __init__(self, match: Match, indexes: dict[str, tuple[int, ...]]) -> None:
        self.match = match
        self.indexes = indexes

    def number(self, group: str | int) -> int:
        if isinstance(group, int):
            return group
        if group not in self.indexes:
            raise IndexError("no such group")
        numbers = [index + 1 for index in self.indexes[group]]
        return next(
            (number for number in reversed(numbers) if self.match.start(number) >= 0), numbers[-1]
        )

    def group(self, *groups: str | int) -> Any:
        return self.match.group(*map(self.number, groups))

    def __getitem__(self, group: str | int, /) -> Any:
        return self.match[self.number(group)]

    def groups(self) -> tuple[str | None, ...]:
        return self.match.groups()

    def groupdict(self) -> dict[str, str | None]:
        return {name: self[name] for name in self.indexes}

    def start(self, group: str | int = 0, /) -> int:
        return self.match.start(self.number(group))

    def end(self, group: str | int = 0, /) -> int:
        return self.match.end(self.number(group))

    def span(self, group: str | int = 0, /) -> tuple[int, int]:
        return self.match.span(self.number(group))


def _compile(parsed: Pattern) -> tuple[Literal["re", "regex"], Any]:
    try:
        return "re", re.compile(for_re(parsed))
    except (Unsupported, re.error, OverflowError):
        return "regex", _compile_for_regex(parsed)


def _compile_for_regex(parsed: Pattern) -> Any:
    regex = regex_module()
    try:
        compiled = regex.compile(for_regex(parsed), flags=regex.VERSION0)
    except Unsupported as error:
        raise RegexError(f"{error} cannot be matched here") from None
    except regex.error as error:
        raise RegexError(
            f"the engines here cannot match this regular expression: {error.msg}"
        ) from None
    if sorted(compiled.groupindex, key=compiled.groupindex.__getitem__) != regex_group_names(
        parsed
    ):
        raise RegexError(
            "a group that calls itself beside a call ahead of its group cannot be matched here"
        )
    return compiled
