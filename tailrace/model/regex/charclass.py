"""Read a bracketed character class: ranges, POSIX brackets, classes within classes, intersections."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from tailrace.model.regex import charset
from tailrace.model.regex.charset import Ranges
from tailrace.model.regex.nodes import Char, CharClass, Node
from tailrace.model.regex.scanner import STRAY_BYTES, Scanner

MAX_DEPTH: Final = 50

_POSIX_BRACKET: Final = re.compile(r"\[:(\^?)([^\\\]:]*):\]")


class _State(Enum):
    """What was read last; decides what a `-` means."""

    START = auto()
    VALUE = auto()
    SET = auto()
    RANGE = auto()
    RANGE_END = auto()


class CharClassReader:
    """Reads one class; the scanner stands behind its opening bracket.

    `members` are the characters; `crossing` those whose other cases may lie on the other side of the ASCII border,
    which is all but those of `\\w`, `[[:word:]]` and `[[:ascii:]]`.
    """

    def __init__(self, scanner: Scanner, depth: int = 0) -> None:
        self.scanner = scanner
        self.depth = depth
        self.members: list[tuple[int, int]] = []
        self.crossing: list[tuple[int, int]] = []
        self.intersected: tuple[Ranges, Ranges] | None = None
        self.state = _State.START
        self.value = 0

    def read(self) -> Node:
        members, crossing, negated = self.read_sets()
        single = len(members) == 1 and members[0][0] == members[0][1] and not negated
        if single:
            return Char(members[0][0], self.scanner.options.fold)
        if self.scanner.options.fold:
            members = charset.close_over_case(members, crossing)
        return CharClass(charset.complement(members) if negated else members)

    def read_sets(self) -> tuple[Ranges, Ranges, bool]:
        scanner = self.scanner
        start = scanner.position
        if self.depth > MAX_DEPTH:
            raise scanner.error(f"character classes are nested more than {MAX_DEPTH} deep")
        negated = scanner.take("^")
        self.first_bracket()
        while not scanner.take("]"):
            if not scanner.more():
                scanner.position = start
                raise scanner.error("a closing ] is missing for the class opened here")
            self.element()
        self.close_operand()
        assert self.intersected is not None
        return *self.intersected, negated

    def first_bracket(self) -> None:
        """A `]` in front is literal, if another one follows."""
        scanner = self.scanner
        if not scanner.text.startswith("]", scanner.position):
            return
        if "]" not in scanner.text[scanner.position + 1 :]:
            raise scanner.error("the character class is empty")
        scanner.position += 1
        self.add_value(ord("]"))

    def element(self) -> None:
        scanner = self.scanner
        char = scanner.next()
        if char == "\\":
            self.escape()
        elif char == "[":
            self.bracket()
        elif char == "&" and scanner.take("&"):
            self.close_operand()
        elif char == "-":
            self.dash()
        else:
            self.add_value(ord(char))

    def escape(self) -> None:
        scanner = self.scanner
        if not scanner.more():
            raise scanner.error(r"a \ stands at the end; write \\ for the sign itself")
        word = scanner.peek() in "wW"
        if ranges := scanner.class_escape():
            self.add_set(ranges, crosses=not word)
        elif scanner.peek() in "pP" and scanner.text.startswith("{", scanner.position + 1):
            self.add_set(scanner.property_escape())
        else:
            self.add_value(scanner.escaped_code())

    def bracket(self) -> None:
        scanner = self.scanner
        posix = _POSIX_BRACKET.match(scanner.text, scanner.position - 1)
        if posix:
            self.posix_bracket(posix)
            return
        inner = CharClassReader(scanner, self.depth + 1)
        members, crossing, negated = inner.read_sets()
        if negated:
            members, crossing = charset.complement(members), charset.complement(crossing)
        self.members += members
        self.crossing += crossing

    def posix_bracket(self, found: re.Match[str]) -> None:
        scanner = self.scanner
        name = found[2]
        if name not in charset.POSIX_CLASSES:
            scanner.position -= 1
            known = ", ".join(charset.POSIX_CLASSES)
            raise scanner.error(f"there is no class [:{name}:]; there are {known}")
        scanner.position = found.end()
        ranges = charset.posix_ranges(name)
        if scanner.options.charset == "a":
            ranges = charset.intersection(ranges, charset.ASCII)
        self.add_set(
            charset.complement(ranges) if found[1] else ranges,
            crosses=name not in ("word", "ascii"),
        )

    def dash(self) -> None:
        """A range, or a literal `-` in front, at the end, or behind a range."""
        rest = self.scanner.text[self.scanner.position : self.scanner.position + 2]
        at_end = rest.startswith("]") or rest == "&&"
        if self.state is _State.VALUE and not at_end:
            self.state = _State.RANGE
        elif self.state is _State.SET and not at_end:
            raise self.scanner.error(r"a class cannot begin a range; write \- for the sign itself")
        else:
            self.add_value(ord("-"))

    def add_value(self, code: int) -> None:
        if self.state is _State.RANGE:
            self.add_range(self.value, code)
            self.state = _State.RANGE_END
        else:
            self.add_range(code, code)
            self.state = _State.VALUE
            self.value = code

    def add_range(self, first: int, last: int) -> None:
        if first > last:
            raise self.scanner.error(f"the range {chr(first)!r}-{chr(last)!r} is empty")
        ranges = (
            _byte_range(first, last)
            if STRAY_BYTES[0] <= last <= STRAY_BYTES[1]
            else ((first, last),)
        )
        self.members += ranges
        self.crossing += ranges

    def add_set(self, ranges: Ranges, *, crosses: bool = True) -> None:
        if self.state is _State.RANGE:
            raise self.scanner.error(r"a class cannot end a range; write \- for the sign itself")
        self.members += ranges
        if crosses:
            self.crossing += ranges
        self.state = _State.SET

    def close_operand(self) -> None:
        """Intersect what was read since the last `&&` with what stood before it."""
        members, crossing = charset.normalise(self.members), charset.normalise(self.crossing)
        if self.intersected is not None:
            members = charset.intersection(self.intersected[0], members)
            crossing = charset.intersection(self.intersected[1], crossing)
        self.intersected = members, crossing
        self.members, self.crossing = [], []
        self.state = _State.START


def _byte_range(first: int, last: int) -> Ranges:
    r"""What `\x00-\xff` and its like mean for text: bytes from 80 on stand alone only where text is no UTF-8.

    A range over all bytes that can begin a character, as people write for "not ASCII", takes in those characters.
    """
    ascii_part = ((first, 0x7F),) if first < 0x80 else ()
    stray = max(first, STRAY_BYTES[0])
    if stray <= 0xDCC2 and last >= 0xDCF4:
        return (*ascii_part, *charset.NON_ASCII)
    return (*ascii_part, (stray, last))
