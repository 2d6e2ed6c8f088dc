"""The parts of a Ruby regular expression, as the parser finds them and the emitter writes them.

Options such as `(?i)` are already resolved: a node says by itself what it matches, wherever it is used.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, NamedTuple, TypeAlias

from tailrace.model.regex.charset import Ranges

UNBOUNDED: Final = 1 << 40
"""More than any count: the upper end of `*`, and the width of what has no greatest width."""


class Mode(Enum):
    """How a quantifier chooses among counts."""

    GREEDY = ""
    LAZY = "?"
    POSSESSIVE = "+"


class Place(Enum):
    """What a zero-width anchor asks of its place."""

    LINE_START = auto()
    LINE_END = auto()
    TEXT_START = auto()
    TEXT_END = auto()
    TEXT_END_OR_LAST_NEWLINE = auto()
    WORD_EDGE = auto()
    NO_WORD_EDGE = auto()
    ASCII_WORD_EDGE = auto()
    NO_ASCII_WORD_EDGE = auto()
    KEEP = auto()


class Char(NamedTuple):
    """One literal character. `fold`, in any letter case, is spelled out before the reader is done."""

    code: int
    fold: bool = False


class CharClass(NamedTuple):
    """Any one character of a set."""

    ranges: Ranges


class AnyChar(NamedTuple):
    """The dot: any character, line feeds only if `newlines`."""

    newlines: bool


class Anchor(NamedTuple):
    place: Place


class LineBreak(NamedTuple):
    r"""`\R`."""


class Grapheme(NamedTuple):
    r"""`\X`: what a reader takes for one character."""


class Sequence(NamedTuple):
    items: tuple[Node, ...]


class Choice(NamedTuple):
    items: tuple[Node, ...]


class Repeat(NamedTuple):
    item: Node
    low: int
    high: int
    mode: Mode


class Group(NamedTuple):
    """A capture; groups are numbered from 1 in the order of their opening brackets."""

    number: int
    item: Node


class Atomic(NamedTuple):
    item: Node


class Look(NamedTuple):
    """Text ahead (or behind) that must (or, `negated`, must not) be there."""

    item: Node
    behind: bool
    negated: bool


class Absent(NamedTuple):
    """`(?~...)`: the longest text that does not contain a match of `item`, or a shorter one."""

    item: Node


class BackReference(NamedTuple):
    """The text that a group matched; of several groups the last that took part."""

    numbers: tuple[int, ...]
    fold: bool


class Conditional(NamedTuple):
    """`yes` if the group took part in the match, else `no`."""

    number: int
    yes: Node
    no: Node


class Call(NamedTuple):
    r"""`\g<name>`: match a group's pattern again, here. Group 0 is the whole pattern."""

    number: int


Node: TypeAlias = (
    Char
    | CharClass
    | AnyChar
    | Anchor
    | LineBreak
    | Grapheme
    | Sequence
    | Choice
    | Repeat
    | Group
    | Atomic
    | Look
    | Absent
    | BackReference
    | Conditional
    | Call
)

EMPTY: Final = Sequence(())


class Pattern(NamedTuple):
    """A whole regular expression.

    `names` holds the name of each group, in order: all None, or none of them.
    `bodies` holds the content of the groups by number; 0 is the whole pattern.
    """

    root: Node
    names: tuple[str | None, ...]
    bodies: dict[int, Node]
