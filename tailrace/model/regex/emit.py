"""Write a regular expression in the syntax of Python's `re`, or of the `regex` module.

`re` is about twice as fast; `regex` knows subexpression calls, `\\K`, `\\X` and lookbehind of any width.
"""

from __future__ import annotations

from typing import Final

from tailrace.model.regex import charset
from tailrace.model.regex.charset import Ranges
from tailrace.model.regex.measure import recursive_groups, walk, width
from tailrace.model.regex.nodes import (
    UNBOUNDED,
    Absent,
    Anchor,
    AnyChar,
    Atomic,
    BackReference,
    Call,
    Char,
    CharClass,
    Choice,
    Conditional,
    Grapheme,
    Group,
    LineBreak,
    Look,
    Node,
    Pattern,
    Place,
    Repeat,
    Sequence,
)

_NEVER: Final = "(?!)"
_LINE_START: Final = "(?m:^)"
# Ruby finds no line after a line feed that ends the text; Python does.
_LINE_START_UNLESS_EMPTY: Final = r"(?:(?m:^)(?!\Z)|\A)"
_LINE_BREAK: Final = r"(?>\r\n|[\n-\r\x85\u2028\u2029])"
_PLACES: Final = {
    Place.LINE_END: "(?m:$)",
    Place.TEXT_START: r"\A",
    Place.TEXT_END: r"\Z",
    Place.TEXT_END_OR_LAST_NEWLINE: r"(?=\n?\Z)",
    Place.WORD_EDGE: r"\b",
    # Python's `\B` does not match empty text, Ruby's does.
    Place.NO_WORD_EDGE: r"(?!\b)",
    Place.ASCII_WORD_EDGE: r"(?a:\b)",
    Place.NO_ASCII_WORD_EDGE: r"(?!(?a:\b))",
}
_UNITS: Final = (Char, CharClass, AnyChar, Group, Atomic, LineBreak)


class Unsupported(Exception):
    """The engine lacks a construct; the text names it."""


def group_names(pattern: Pattern) -> tuple[str | None, ...]:
    """What the engine calls each group: by its own name where that will do for the engine, else by none."""
    counts = {name: pattern.names.count(name) for name in pattern.names}
    return tuple(
        name if name and name.isidentifier() and counts[name] == 1 else None
        for name in pattern.names
    )


def for_re(pattern: Pattern) -> str:
    """The pattern for `re`. Raises `Unsupported`."""
    return _ReEmitter(pattern).emit()


def for_regex(pattern: Pattern) -> str:
    """The pattern for the `regex` module. Raises `Unsupported`."""
    return _RegexEmitter(pattern).emit()


def regex_group_names(pattern: Pattern) -> list[str]:
    """The names of the groups in what `for_regex` gives, in order."""
    return [name or f"_{number}" for number, name in enumerate(group_names(pattern), 1)]


class _ReEmitter:
    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self.names = group_names(pattern)
        self.open_groups: list[int] = []

    def emit(self) -> str:
        return self.text(self.pattern.root, 0)

    def text(self, node: Node, following: int) -> str:
        """A part of the pattern. `following` is the least width of what comes behind it."""
        match node:
            case Char(code):
                return char_text(code)
            case CharClass(ranges):
                return class_text(ranges)
            case AnyChar(newlines):
                return "(?s:.)" if newlines else "."
            case Anchor(place):
                return self.anchor(place, following)
            case LineBreak():
                return _LINE_BREAK
            case Sequence(items):
                return self.sequence(items, following)
            case Choice(items):
                return "|".join(self.text(item, following) for item in items)
            case Repeat():
                return self.repeat(node)
            case Group(number, item):
                return self.group(number, item, following)
            case Atomic(item):
                return f"(?>{self.text(item, following)})"
            case Look():
                return self.look(node)
            case Absent(item):
                return self.absent(item)
            case BackReference(numbers, fold):
                return self.back_reference(numbers, fold)
            case Conditional(number, yes, no):
                return f"(?({number}){self.atom(yes, following)}|{self.atom(no, following)})"
            case Grapheme():
                return self.grapheme()
            case Call(number):
                return self.call(number)

    def group(self, number: int, item: Node, following: int) -> str:
        self.open_groups.append(number)
        body = self.text(item, following)
        self.open_groups.pop()
        return f"{self.opening(number)}{body})"

    def opening(self, number: int) -> str:
        name = self.names[number - 1]
        return f"(?P<{name}>" if name else "("

    def atom(self, node: Node, following: int = 0) -> str:
        """A part as a unit, to which a quantifier may be added."""
        text = self.text(node, following)
        return text if isinstance(node, _UNITS) else f"(?:{text})"

    def anchor(self, place: Place, following: int) -> str:
        if place is Place.LINE_START:
            return _LINE_START if following else _LINE_START_UNLESS_EMPTY
        if place is Place.KEEP:
            return self.keep()
        return _PLACES[place]

    def sequence(self, items: tuple[Node, ...], following: int) -> str:
        least = [following]
        for item in reversed(items):
            least.append(least[-1] + width(item)[0])
        behind = reversed(least[:-1])
        return "".join(map(self.part, items, behind))

    def part(self, item: Node, following: int) -> str:
        text = self.text(item, following)
        return f"(?:{text})" if isinstance(item, Choice) else text

    def repeat(self, node: Repeat) -> str:
        return f"{self.atom(node.item)}{count_text(node.low, node.high)}{node.mode.value}"

    def look(self, node: Look) -> str:
        sign = "!" if node.negated else "="
        if not node.behind:
            return f"(?{sign}{self.text(node.item, 0)})"
        return self.look_behind(node.item, sign)

    def look_behind(self, item: Node, sign: str) -> str:
        """`re` wants a fixed width, so alternatives are looked at one by one."""
        items = item.items if isinstance(item, Choice) else (item,)
        if any(low != high for low, high in map(width, items)):
            raise Unsupported("lookbehind of varying width")
        looks = [f"(?<{sign}{self.text(each, 0)})" for each in items]
        if sign == "!":
            return "".join(looks)
        return looks[0] if len(looks) == 1 else f"(?:{'|'.join(looks)})"

    def absent(self, item: Node) -> str:
        """All text up to where `item` begins, and as far into it as does not complete it."""
        least, greatest = width(item)
        if least != greatest or any(isinstance(part, Group) for part in walk(item)):
            raise Unsupported(
                "the absence operator (?~...) around a group or text of varying width"
            )
        if not least:
            return _NEVER
        text = self.text(item, 0)
        before = f"(?:(?!{text})(?s:.))*"
        if least == 1:
            return before
        return f"{before}(?:(?={text})(?s:.){{1,{least - 1}}})?"

    def back_reference(self, numbers: tuple[int, ...], fold: bool) -> str:
        if not set(numbers).isdisjoint(self.open_groups):
            raise Unsupported("a back reference inside the group that it refers to")
        texts = [self.reference(number) for number in reversed(numbers)]
        text = texts[0] if len(texts) == 1 else f"(?>{'|'.join(texts)})"
        return f"(?i:{text})" if fold else text

    def reference(self, number: int) -> str:
        return f"(?:\\{number})"

    def keep(self) -> str:
        raise Unsupported(r"\K")

    def grapheme(self) -> str:
        raise Unsupported(r"\X")

    def call(self, number: int) -> str:
        raise Unsupported(r"subexpression calls \g<...>")


class _RegexEmitter(_ReEmitter):
    """As for `re`, but a group that is called appears again where it is called, under the same name.

    So it holds what it matched last, as in Ruby. Only groups that call themselves are called.
    """

    def __init__(self, pattern: Pattern) -> None:
        super().__init__(pattern)
        self.engine_names = regex_group_names(pattern)
        self.recursive = recursive_groups(pattern.bodies)

    def emit(self) -> str:
        return self.numbering() + super().emit()

    def numbering(self) -> str:
        """`regex` numbers groups by first appearance, which a call ahead of its group would upset."""
        if self.recursive or not any(isinstance(part, Call) for part in walk(self.pattern.root)):
            return ""
        return f"(?:{''.join(f'{self.opening(n)})' for n in range(1, len(self.names) + 1))}){{0}}"

    def opening(self, number: int) -> str:
        return f"(?P<{self.engine_names[number - 1]}>"

    def reference(self, number: int) -> str:
        return f"(?P={self.engine_names[number - 1]})"

    def look_behind(self, item: Node, sign: str) -> str:
        return f"(?<{sign}{self.text(item, 0)})"

    def keep(self) -> str:
        return r"\K"

    def grapheme(self) -> str:
        return r"\X"

    def call(self, number: int) -> str:
        if number in self.recursive:
            return f"(?&{self.engine_names[number - 1]})" if number else "(?R)"
        return self.group(number, self.pattern.bodies[number], 0)


def count_text(low: int, high: int) -> str:
    """A quantifier, as short as it goes."""
    if high >= UNBOUNDED:
        return {0: "*", 1: "+"}.get(low, f"{{{low},}}")
    if (low, high) == (0, 1):
        return "?"
    return f"{{{low}}}" if low == high else f"{{{low},{high}}}"


def char_text(code: int) -> str:
    """One character, escaped for use in a class or outside."""
    char = chr(code)
    if char.isascii() and (char.isalnum() or char in " _<>=!:;,@%'\"`/"):
        return char
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if code < 0x80:
        return f"\\{char}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def class_text(ranges: Ranges) -> str:
    """A character class, negated if that is shorter."""
    negated = charset.complement(ranges)
    if not negated:
        return "(?s:.)"
    if not ranges:
        return _NEVER
    if len(negated) < len(ranges) or (
        len(negated) == len(ranges) and ranges[-1][1] == charset.LAST_CODE
    ):
        return f"[^{_ranges_text(negated)}]"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return char_text(ranges[0][0])
    return f"[{_ranges_text(ranges)}]"


def _ranges_text(ranges: Ranges) -> str:
    return "".join(
        char_text(first)
        if first == last
        else f"{char_text(first)}{'-' if last > first + 1 else ''}{char_text(last)}"
        for first, last in ranges
    )
