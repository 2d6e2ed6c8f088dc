"""Parsers that are right at a glance.

Every parser of a configuration is checked at the start, and most of them are never used. Making one takes milliseconds and the
engine for Ruby's expressions; this looks whether that can wait. It knows only the usual, and is never sure of what
is wrong: then the parser is made.
"""

from __future__ import annotations

import re

from tailrace.config.source import Section

FORMATS = frozenset({"json", "regex", "ltsv", "logfmt"})
SWITCH = re.compile("on|off|true|false", re.IGNORECASE)
PLAIN = {
    "time_key": re.compile(r"\w+"),
    "time_format": re.compile(r"(?!.*%L.*%L)(?:%[YmdHMSLzbBeyjTF]|[^%\s]| )+"),
    "time_keep": SWITCH,
    "time_strict": SWITCH,
    "time_offset": re.compile(r"[+-]\d{4}"),
    "types": re.compile(
        r"\w+:(?:integer|float|bool|string)(?: +\w+:(?:integer|float|bool|string))*"
    ),
    "skip_empty_values": SWITCH,
}
"""Options with the values that are known to be right."""
UNUSUAL = re.compile(
    r"(?<!\\)\[(?:\\.|[^\]\\])*\[|\[\^?\]|\\\\\[|&&|\|\||--|~~|\(\?(?!<[a-z_]\w*>|:)"
    r"|\\(?![sSdDwWntr.\-/\"'\[\]{}()|?*+^$:\\])|[+*?}][+?]|^/"
)
"""What Ruby's and Python's expressions may take in different ways, or in which names have other rules."""
GROUP = re.compile(r"\(\?<(\w+)>")


def is_plain(section: Section) -> bool:
    """Whether this section of a parser is right beyond doubt; False says nothing."""
    entries = {entry.name: entry.value for entry in section.entries}
    if len(entries) < len(section.entries):
        return False
    if not isinstance(entries.pop("name", None), str):
        return False
    kind = entries.pop("format", None)
    if not isinstance(kind, str) or kind.lower() not in FORMATS:
        return False
    pattern = entries.pop("regex", None)
    if (kind.lower() == "regex") is not (isinstance(pattern, str) and is_plain_regex(pattern)):
        return False
    return all(
        isinstance(value, str) and name in PLAIN and PLAIN[name].fullmatch(value) is not None
        for name, value in entries.items()
    )


def is_plain_regex(pattern: str) -> bool:
    names = GROUP.findall(pattern)
    if not pattern.isascii() or UNUSUAL.search(pattern) or len(set(names)) < len(names):
        return False
    try:
        re.compile(GROUP.sub(r"(?P<\1>", pattern))
    except (re.error, OverflowError, RecursionError):
        return False
    return True
