"""The parts of a time format, and what each reads.

A format is that of `strptime` as Fluent Bit knows it (`flb_strptime.c`, after OpenBSD's): numbers need no leading zeros, blanks
match any amount of white space, text behind the format is allowed; `%L` reads a fraction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto
from functools import cache
from typing import Final, NamedTuple

from tailrace.model.time.errors import TimeFormatError, UnknownConversionError
from tailrace.model.time.zones import NUMERIC_ZONE, named_zone

_BLANKS: Final = r"[\t-\r ]*+"
_NAMES: Final = {
    "months": [
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ],
    "days": ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"],
}
# What the C locale writes for these; `%F` and its like are read part by part.
_COMPOSED: Final = {
    "c": "%a %b %e %H:%M:%S %Y",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "R": "%H:%M",
    "r": "%I:%M:%S %p",
    "T": "%H:%M:%S",
    "X": "%H:%M:%S",
    "x": "%m/%d/%y",
}
_NUMBERS: Final = {
    "C": (0, 99), "d": (1, 31), "e": (1, 31), "H": (0, 23), "I": (1, 12), "j": (1, 366), "k": (0, 23), "l": (1, 12),
    "M": (0, 59), "m": (1, 12), "S": (0, 60), "y": (0, 99), "U": (0, 53), "V": (0, 53), "W": (0, 53), "g": (0, 99),
    "u": (1, 7), "w": (0, 6), "Y": (0, 9999),
}  # fmt: skip
_FIELDS: Final = {
    "C": "century", "d": "day", "e": "day", "H": "hour", "I": "hour", "j": "year_day", "k": "hour", "l": "hour",
    "M": "minute", "m": "month", "S": "second", "y": "short_year", "Y": "year", "B": "month_name", "b": "month_name",
    "h": "month_name", "p": "half_day", "s": "epoch", "z": "offset", "Z": "offset",
    # Weeks and days of the week must be in range; they say nothing that Fluent Bit would use.
    "U": "ignored", "V": "ignored", "W": "ignored", "g": "ignored", "u": "ignored", "w": "ignored",
}  # fmt: skip
# Which conversions the modifiers %E and %O may stand before; they change nothing.
_MODIFIED: Final = {"E": "cXxCYy" + "sgGVZz%", "O": "deHIMmSUWwuy" + "sgGVZz%"}


class Kind(Enum):
    LITERAL = auto()
    BLANK = auto()
    IGNORED = auto()
    FIELD = auto()


class Token(NamedTuple):
    """One part of a format.

    `pattern` matches what it reads; for a `FIELD` its only group holds the text of `field`, whose values are
    numbers from `low` to `high` if it is one.
    """

    kind: Kind
    pattern: str
    field: str = ""
    low: int = 0
    high: int = 0


def read_format(text: str) -> list[Token]:
    """The parts of a time format without `%L`. Raises `TimeFormatError`."""
    return list(_tokens(text, text))


def _tokens(text: str, whole: str) -> Iterator[Token]:
    place = 0
    while place < len(text):
        char = text[place]
        place += 1
        if char in " \t\n\v\f\r":
            yield Token(Kind.BLANK, _BLANKS)
        elif char != "%":
            yield Token(Kind.LITERAL, re.escape(char))
        else:
            letter, place = _conversion(text, place, whole)
            yield from _converted(letter, whole)


def _conversion(text: str, place: int, whole: str) -> tuple[str, int]:
    """The letter of a conversion, behind its % and modifier, and the place behind it."""
    modifier = text[place : place + 1]
    if modifier and modifier in _MODIFIED:
        letter = text[place + 1 : place + 2]
        if not letter or letter not in _MODIFIED[modifier]:
            raise UnknownConversionError(
                f"{whole!r}: %{modifier}{letter} is not known in a time format"
            )
        return letter, place + 2
    if not modifier:
        raise TimeFormatError(
            f"{whole!r}: a % stands at the end of the time format. Write %% for the sign itself."
        )
    return modifier, place + 1


def _converted(letter: str, whole: str) -> Iterator[Token]:
    if letter == "%":
        yield Token(Kind.LITERAL, "%")
    elif letter in "nt":
        yield Token(Kind.BLANK, f"(?=[^\\0]){_BLANKS}")
    elif composed := _COMPOSED.get(letter):
        yield from _tokens(composed, whole)
    elif letter in "aA":
        yield Token(Kind.IGNORED, f"(?ai:{_names('days')})")
    elif letter == "G":
        yield Token(Kind.IGNORED, r"[^\0][0-9]*+")
    elif letter in _FIELDS:
        yield _field(letter)
    else:
        raise UnknownConversionError(
            f"{whole!r}: %{letter} is not known in a time format.{_HINTS.get(letter, '')}"
        )


_HINTS: Final = {
    "L": " Only one %L can stand in it.",
    "f": " Use %L for fractions of a second.",
    "N": " Use %L for fractions of a second.",
}


def _names(kind: str) -> str:
    return "|".join(f"{name}|{name[:3]}" for name in _NAMES[kind])


def _field(letter: str) -> Token:
    field = _FIELDS[letter]
    if letter in _NUMBERS:
        low, high = _NUMBERS[letter]
        blank = r"[\t-\r ]?+" if letter == "e" else ""
        return Token(Kind.FIELD, f"{blank}({number_pattern(high)})", field, low, high)
    return Token(Kind.FIELD, _pattern(field, letter), field)


def _pattern(field: str, letter: str) -> str:
    if field == "month_name":
        return f"(?ai:({_names('months')}))"
    if field == "half_day":
        return "(?ai:(am|pm))"
    if field == "epoch":
        return "([0-9]{1,18}+)(?![0-9])"
    return f"{_BLANKS}({NUMERIC_ZONE})" if letter == "z" else f"({named_zone()})"


MONTH_NUMBERS: Final = {
    text.lower(): number
    for number, name in enumerate(_NAMES["months"])
    for text in (name, name[:3])
}


def number_pattern(high: int) -> str:
    """The digits that a number up to `high` takes: no more once another digit would exceed it.

    A day takes both digits of "32", which is then out of range, but only the first of "45".
    """
    width = len(str(high))
    if high == 10**width - 1:
        return f"[0-9]{{1,{width}}}+"
    return f"(?:{_digits(0, width, high)})"


def _digits(value: int, left: int, high: int) -> str:
    alternatives: dict[str, str] = {}
    for digit in range(10):
        longer = value * 10 + digit
        more = left > 1 and longer * 10 <= high
        rest = f"(?:{_digits(longer, left - 1, high)})?+" if more else ""
        alternatives[rest] = alternatives.get(rest, "") + str(digit)
    return "|".join(f"[{digits}]{rest}" for rest, digits in alternatives.items())


@cache
def number_table(low: int, high: int) -> dict[str, int]:
    """The numbers from `low` to `high` by their texts, with and without leading zeros; `KeyError` for others."""
    return _Numbers(low, high)


class _Numbers(dict[str, int]):
    """Filled as texts come: a table of all years would take 5 ms to make."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def __missing__(self, text: str | None) -> int:
        if text is None or len(text) > len(str(self.high)):
            raise KeyError(text)
        number = int(text)
        if not self.low <= number <= self.high:
            raise KeyError(text)
        self[text] = number
        return number
