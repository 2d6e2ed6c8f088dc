"""Tags: which ones an instance takes, and what a tag from the network may look like."""

from __future__ import annotations

import re
from collections.abc import Callable

MOST_LENGTH = 1024
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def matcher(match: str | None, match_regex: str | None) -> Callable[[str], bool]:
    """The test of a tag: `match` with `*` for any text, or `match_regex` from the tag's start; either is enough.

    `RegexError` if the regular expression can't be used.
    """
    tests: list[Callable[[str], bool]] = []
    if match_regex:
        tests.append(_by_regex(match_regex))
    if match:
        tests.append(_by_pattern(match))
    if not tests:
        return lambda tag: False
    if len(tests) == 1:
        return tests[0]
    return lambda tag: any(test(tag) for test in tests)


def _by_pattern(pattern: str) -> Callable[[str], bool]:
    if pattern == "*":
        return lambda tag: True
    if "*" not in pattern:
        return lambda tag: tag == pattern
    found = re.compile(".*".join(map(re.escape, re.split(r"\*+", pattern))), re.DOTALL).fullmatch
    return lambda tag: found(tag) is not None


def _by_regex(pattern: str) -> Callable[[str], bool]:
    from tailrace.model.regex import compile_regex  # 25 ms, and most configurations have none

    regex = compile_regex(pattern)

    def matches(tag: str) -> bool:
        found = regex.search(tag)
        return found is not None and found.start() == 0

    return matches


def clean_tag(tag: str) -> str:
    """A tag from outside, fit for file names, logs and other records: no control characters, at most 1,024 characters."""
    return CONTROL.sub("_", tag)[:MOST_LENGTH]
