"""Sets of characters as sorted, disjoint ranges of code points, and what Unicode says about them.

Sets are computed, not handed to the engine by name, because Ruby's classes mean something else than Python's:
`\\w` is ASCII, `[[:alpha:]]` is not, and `&&` intersects.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final, TypeAlias

from tailrace.model.regex.fallback import regex_module

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""First and last code point of each run, ascending, with gaps between."""

LAST_CODE: Final = 0x10FFFF
ASCII: Final[Ranges] = ((0, 0x7F),)
NON_ASCII: Final[Ranges] = ((0x80, LAST_CODE),)

WORD: Final[Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
DIGIT: Final[Ranges] = ((0x30, 0x39),)
SPACE: Final[Ranges] = ((0x09, 0x0D), (0x20, 0x20))
HEX_DIGIT: Final[Ranges] = ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66))

POSIX_CLASSES: Final = {
    "alnum": r"[\p{Alphabetic}\p{Nd}]",
    "alpha": r"\p{Alphabetic}",
    "ascii": r"[\x00-\x7f]",
    "blank": r"[\p{Zs}\t]",
    "cntrl": r"\p{Cc}",
    "digit": r"\p{Nd}",
    "graph": r"[^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}]",
    "lower": r"\p{Lowercase}",
    "print": r"(?:[^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}]|\p{Zs})",
    "punct": r"[\p{P}$+<=>^`|~]",
    "space": r"\p{White_Space}",
    "upper": r"\p{Uppercase}",
    "word": r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]",
    "xdigit": r"[0-9A-Fa-f]",
}
"""What Onigmo's POSIX brackets hold, in terms of Unicode's properties."""

_PROPERTIES: Final = POSIX_CLASSES | {
    "any": r"(?s:.)",
    "assigned": r"\P{Cn}",
    "punct": r"\p{P}",
    "xposixpunct": POSIX_CLASSES["punct"],
}

# Where letters have case; the rest of Unicode need not be looked at.
_CASED_BLOCKS: Final = (
    (0x41, 0x587),
    (0x10A0, 0x10FF),
    (0x13A0, 0x13FD),
    (0x1C80, 0x1CBF),
    (0x1D79, 0x1FFF),
    (0x2126, 0x2188),
    (0x24B6, 0x24E9),
    (0x2C00, 0x2D2D),
    (0xA640, 0xA7FF),
    (0xAB53, 0xABBF),
    (0xFB00, 0xFB17),
    (0xFF21, 0xFF5A),
    (0x10400, 0x105BC),
    (0x10C80, 0x10CF2),
    (0x10D50, 0x10D85),
    (0x118A0, 0x118DF),
    (0x16E40, 0x16E7F),
    (0x1E900, 0x1E943),
)


class UnknownProperty(LookupError):
    """There is no such character property."""


def normalise(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """The set of all code points in `pairs`, which may overlap and be in any order."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(pairs):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    return tuple(_gaps(ranges))


def _gaps(ranges: Ranges) -> Iterator[tuple[int, int]]:
    start = 0
    for first, last in ranges:
        if first > start:
            yield start, first - 1
        start = last + 1
    if start <= LAST_CODE:
        yield start, LAST_CODE


def union(one: Ranges, other: Ranges) -> Ranges:
    return normalise(one + other)


def intersection(one: Ranges, other: Ranges) -> Ranges:
    return complement(union(complement(one), complement(other)))


def contains(ranges: Ranges, code: int) -> bool:
    return any(first <= code <= last for first, last in ranges)


@cache
def property_ranges(name: str) -> Ranges:
    r"""The characters that `\p{name}` matches. Raises `UnknownProperty`."""
    key = name.replace("_", "").replace("-", "").replace(" ", "").lower()
    return _scan(_PROPERTIES.get(key) or rf"\p{{{name}}}")


@cache
def posix_ranges(name: str) -> Ranges:
    """The characters of `[[:name:]]`, a key of `POSIX_CLASSES`."""
    return _scan(POSIX_CLASSES[name])


def _scan(expression: str) -> Ranges:
    regex = regex_module()
    try:
        runs = regex.compile(f"(?:{expression})+")
    except regex.error as error:
        raise UnknownProperty(str(error)) from error
    return tuple((run.start(), run.end() - 1) for run in runs.finditer(_every_character()))


def _every_character() -> str:
    codes = array("I", range(LAST_CODE + 1))
    return codes.tobytes().decode("utf-32", "surrogatepass")


@cache
def _case_table() -> tuple[dict[int, tuple[int, ...]], dict[str, str]]:
    """Each cased code point's equivalents, and the letters that fold to several, as "ß" to "ss"."""
    single: defaultdict[str, list[int]] = defaultdict(list)
    several: defaultdict[str, str] = defaultdict(str)
    for first, last in _CASED_BLOCKS:
        for code in range(first, last + 1):
            folded = chr(code).casefold()
            if len(folded) == 1:
                single[folded].append(code)
            else:
                several[folded] += chr(code)
    classes = [*single.values(), *(list(map(ord, letters)) for letters in several.values())]
    equivalents = {code: tuple(codes) for codes in classes for code in codes}
    return equivalents, dict(several)


_ASCII_FOLDS: Final = {ord("k"): 0x212A, ord("s"): 0x17F}
_ASCII_SEQUENCES: Final = {
    "ffi": "ﬃ",
    "ffl": "ﬄ",
    "ff": "ﬀ",
    "fi": "ﬁ",
    "fl": "ﬂ",
    "ss": "ßẞ",
    "st": "ﬅﬆ",
}


def any_case(code: int) -> Ranges:
    """A character in all its cases: `s` gives s, S and ſ."""
    if code < 0x80:
        char = chr(code)
        codes = {ord(char.lower()), ord(char.upper())}
        if extra := _ASCII_FOLDS.get(ord(char.lower())):
            codes.add(extra)
    else:
        codes = set(_case_table()[0].get(code, (code,)))
    return normalise((each, each) for each in codes)


def single_letters(sequence: str) -> str:
    """The letters whose case folding is this sequence of two or three: "ss" gives "ßẞ"."""
    if sequence.isascii():
        return _ASCII_SEQUENCES.get(sequence, "")
    return _case_table()[1].get(sequence, "")


def close_over_case(ranges: Ranges, crossing: Ranges) -> Ranges:
    """`ranges` and all their characters in other cases.

    Only the members of `crossing` bring in equivalents on the other side of the ASCII border: `[k]` brings in
    the Kelvin sign, `[\\w]` does not, as in Onigmo.
    """
    if not ranges or ranges[-1][1] < 0x80:
        cased: Iterable[int] = (code for first, last in ranges for code in range(first, last + 1))
    else:
        cased = (code for code in _case_table()[0] if contains(ranges, code))
    added = [
        (other, other)
        for code in cased
        for first, last in any_case(code)
        for other in range(first, last + 1)
        if (code < 0x80) == (other < 0x80) or contains(crossing, code)
    ]
    return normalise((*ranges, *added))
