"""Read a Ruby regular expression, as Onigmo 6 does with `ONIG_SYNTAX_RUBY`.

The reader follows that library's rules where they are peculiar, since patterns in the field rely on them:
`^` and `$` match at every line, `{,n}` is `{0,n}`, `{n}?` is optional and not lazy, an unpaired `{` is
literal, options in the middle hold up to the next closing bracket and take in alternatives, named groups switch
off unnamed captures. Source: Onigmo's `doc/RE` and its observed behaviour.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from tailrace.model.regex import charset
from tailrace.model.regex.charclass import CharClassReader
from tailrace.model.regex.errors import RegexError
from tailrace.model.regex.nodes import (
    EMPTY,
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
    Mode,
    Node,
    Pattern,
    Place,
    Repeat,
    Sequence,
)
from tailrace.model.regex.scanner import Options, Scanner

MAX_DEPTH: Final = 100
MAX_REPEAT: Final = 100_000

_INTERVAL: Final = re.compile(r"\{(?:([0-9]+)(,?)([0-9]*)|,([0-9]+))\}")
_GROUP_OPTIONS: Final = re.compile(r"([imxadu-]*)([:)])")
_LEVEL: Final = re.compile(r".[+-][0-9]+\Z", re.DOTALL)
_ANCHORS: Final = {
    "A": Place.TEXT_START,
    # Searches start at the start of the text, which is what `\G` asks for.
    "G": Place.TEXT_START,
    "z": Place.TEXT_END,
    "Z": Place.TEXT_END_OR_LAST_NEWLINE,
    "K": Place.KEEP,
}
_CLOSERS: Final = {"<": ">", "'": "'", "(": ")"}

# What a quantifier around a quantifier comes to; from Onigmo's table. Rows are the inner, columns the outer one.
_POPULAR: Final = ((0, 1), (0, UNBOUNDED), (1, UNBOUNDED))
_REDUCED: Final = {
    ("?", "?"): "?", ("?", "*"): "*", ("?", "+"): "*", ("?", "??"): "??", ("?", "*?"): "*?",
    ("*", "?"): "*", ("*", "*"): "*", ("*", "+"): "*", ("*", "+?"): "*",
    ("+", "?"): "*", ("+", "*"): "*", ("+", "+"): "+", ("+", "+?"): "+",
    ("??", "?"): "??", ("??", "*"): "*?", ("??", "+"): "*?", ("??", "??"): "??", ("??", "*?"): "*?", ("??", "+?"): "*?",
    ("*?", "?"): "*?", ("*?", "*"): "*?", ("*?", "+"): "*?", ("*?", "??"): "*?", ("*?", "*?"): "*?", ("*?", "+?"): "*?",
    ("+?", "+"): "+?", ("+?", "??"): "*?", ("+?", "*?"): "*?", ("+?", "+?"): "+?",
}  # fmt: skip
_REWRITTEN: Final = {
    ("*", "??"): ("+", "??"),
    ("*", "*?"): ("+", "??"),
    ("+", "*?"): ("+", "??"),
    ("+?", "*"): ("+?", "?"),
}
_QUANTIFIERS: Final = {
    sign + mode.value: (low, high, mode)
    for sign, (low, high) in zip("?*+", _POPULAR, strict=True)
    for mode in (Mode.GREEDY, Mode.LAZY)
}
_SIGNS: Final = {bounds: sign for sign, bounds in _QUANTIFIERS.items()}

T = TypeVar("T")


def read_pattern(text: str, *, fold: bool, newlines: bool, extended: bool) -> Pattern:
    """The parts of a regular expression without its slashes. Raises `RegexError`."""
    return _Reader(text, Options(fold=fold, newlines=newlines, extended=extended)).read()


class _PendingCall(NamedTuple):
    r"""A `\g<name>` whose group may follow later in the pattern."""

    name: str
    number: int
    place: int


class _Reader(Scanner):
    def __init__(self, text: str, options: Options) -> None:
        super().__init__(text, options)
        self.depth = 0
        self.names: list[str | None] = []
        self.bodies: dict[int, Node] = {}
        self.calls: list[_PendingCall] = []
        self.numbered: list[tuple[int, int]] = []
        """References by number, with their places; checked when all groups are known."""

    def read(self) -> Pattern:
        root = self.alternatives()
        if self.more():
            raise self.error("this ) closes nothing")
        self.check_references()
        self.bodies[0] = root
        return _without_unnamed_captures(
            Pattern(root, tuple(self.names), self.bodies), self.resolve
        )

    def check_references(self) -> None:
        for number, place in self.numbered:
            self.position = place
            if any(self.names):
                raise self.error("groups with names cannot be referred to by number")
            if number > len(self.names):
                raise self.error(f"there is no group {number}")

    # Structure

    def alternatives(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"brackets are nested more than {MAX_DEPTH} deep")
        branches = [self.branch()]
        while self.take("|"):
            branches.append(self.branch())
        self.depth -= 1
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def branch(self) -> Node:
        items: list[Node] = []
        self.skip_comments()
        while self.more() and self.peek() not in "|)":
            if options := self.isolated_options():
                items.append(self.under(options, self.alternatives))
                break
            items.append(self.quantified(self.term()))
            self.skip_comments()
        items = spelled_out(items)
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def under(self, options: Options, read: Callable[[], T]) -> T:
        saved, self.options = self.options, options
        try:
            return read()
        finally:
            self.options = saved

    def isolated_options(self) -> Options | None:
        """The options of `(?i)` and the like, if they stand here; they hold to the end of the group."""
        if not self.text.startswith("(?", self.position):
            return None
        found = _GROUP_OPTIONS.match(self.text, self.position + 2)
        if found is None or found[2] == ":" or not found[1]:
            return None
        self.position = found.end()
        return self.changed_options(found[1])

    def changed_options(self, letters: str) -> Options:
        options, on = self.options, True
        for letter in letters:
            if letter == "-":
                on = False
            elif letter in "adu":
                if not on:
                    raise self.error(f"the option {letter} cannot be switched off")
                options = options._replace(charset=letter)
            else:
                options = _switched(options, letter, on)
        return options

    # Quantifiers

    def quantified(self, item: Node) -> Node:
        self.skip_comments()
        repeats = 0
        while quantifier := self.quantifier():
            item = _repeated(item, *quantifier)
            repeats += 1
            if repeats > MAX_DEPTH:
                raise self.error("there are too many quantifiers in a row")
            self.skip_comments()
        return item

    def quantifier(self) -> tuple[int, int, Mode] | None:
        if self.more() and self.peek() in "?*+":
            low, high, _ = _QUANTIFIERS[self.next()]
            return low, high, self.mode(possessive=True, lazy=True)
        interval = _INTERVAL.match(self.text, self.position)
        if interval is None:
            return None
        low, high, fixed = self.interval(interval)
        self.position = interval.end()
        # `{n,m}+` repeats the interval, and `{n}?` makes it optional: only the short signs have a second letter.
        return low, high, self.mode(possessive=False, lazy=not fixed)

    def interval(self, found: re.Match[str]) -> tuple[int, int, bool]:
        first, comma, second, only_high = found.groups()
        if only_high is not None:
            low, high = 0, int(only_high)
        else:
            low = int(first)
            high = int(second) if second else UNBOUNDED if comma else low
        if low > MAX_REPEAT or UNBOUNDED > high > MAX_REPEAT:
            raise self.error(f"{found[0]}: the count is too large, {MAX_REPEAT} is the most")
        if low > high:
            raise self.error(f"{found[0]}: the greatest count is below the least")
        return low, high, only_high is None and not comma

    def mode(self, *, possessive: bool, lazy: bool) -> Mode:
        if lazy and self.take("?"):
            return Mode.LAZY
        if possessive and self.take("+"):
            return Mode.POSSESSIVE
        return Mode.GREEDY

    # Terms

    def term(self) -> Node:
        char = self.next()
        if char == "(":
            return self.bracketed()
        if char == "[":
            return CharClassReader(self).read()
        if char == ".":
            return AnyChar(self.options.newlines)
        if char == "^":
            return Anchor(Place.LINE_START)
        if char == "$":
            return Anchor(Place.LINE_END)
        if char == "\\":
            return self.escape()
        if char in "?*+" or self.interval_here(char):
            self.position -= 1
            raise self.error(
                f"there is nothing that {char} could repeat; write \\{char} for the sign itself"
            )
        return self.char(ord(char))

    def interval_here(self, char: str) -> bool:
        return char == "{" and _INTERVAL.match(self.text, self.position - 1) is not None

    def char(self, code: int) -> Char:
        return Char(code, self.options.fold)

    def escape(self) -> Node:
        if not self.more():
            raise self.error(r"a \ stands at the end; write \\ for the sign itself")
        letter = self.peek()
        if ranges := self.class_escape():
            return CharClass(ranges)
        if letter in "pP" and self.text.startswith("{", self.position + 1):
            return self.property_class()
        if read := _ESCAPES.get(letter):
            self.position += 1
            return read(self)
        if letter in "123456789" and (reference := self.numeric_reference()):
            return reference
        if letter in "kg" and self.text[self.position + 1 : self.position + 2] in ("<", "'"):
            self.position += 2
            return self.named_reference() if letter == "k" else self.call()
        return self.char(self.escaped_code())

    def property_class(self) -> Node:
        ranges = self.property_escape()
        if self.options.fold:
            ranges = charset.close_over_case(ranges, ranges)
        return CharClass(ranges)

    def word_edge(self, *, negated: bool) -> Anchor:
        if self.options.charset == "a":
            return Anchor(Place.NO_ASCII_WORD_EDGE if negated else Place.ASCII_WORD_EDGE)
        return Anchor(Place.NO_WORD_EDGE if negated else Place.WORD_EDGE)

    # References

    def numeric_reference(self) -> BackReference | None:
        found = re.compile("[0-9]+").match(self.text, self.position)
        assert found is not None
        number = int(found[0])
        if number > 9 and number > len(self.names):
            return None
        self.position = found.end()
        return self.reference_by_number(number)

    def reference_by_number(self, number: int) -> BackReference:
        self.numbered.append((number, self.position))
        return BackReference((number,), self.options.fold)

    def named_reference(self) -> BackReference:
        return self.reference_to(self.name_up_to(_CLOSERS[self.text[self.position - 1]]))

    def reference_to(self, name: str) -> BackReference:
        if _LEVEL.search(name):
            raise RegexError(
                f"{self.text!r}: back references with a level ({name}) are not supported"
            )
        if name.removeprefix("-").isdecimal():
            return self.reference_by_number(self.absolute(int(name)))
        numbers = tuple(n for n, known in enumerate(self.names, 1) if known == name)
        if not numbers:
            raise self.error(f"no group before this place is named {name!r}")
        return BackReference(numbers, self.options.fold)

    def absolute(self, number: int) -> int:
        absolute = number if number >= 0 else len(self.names) + 1 + number
        if absolute <= 0:
            raise self.error(f"there is no group {number}")
        return absolute

    def call(self) -> Call:
        """A call, numbered below zero until every group is known."""
        name = self.name_up_to(_CLOSERS[self.text[self.position - 1]])
        number = -1
        if name.lstrip("+-").isdecimal():
            number = self.called_number(name)
            if number:
                self.numbered.append((number, self.position))
        self.calls.append(_PendingCall(name, number, self.position))
        return Call(-len(self.calls))

    def called_number(self, name: str) -> int:
        if name.startswith("+"):
            return len(self.names) + int(name)
        return 0 if name == "0" else self.absolute(int(name))

    def resolve(self, call: int) -> int:
        """The group that the call with this provisional number means."""
        pending = self.calls[-call - 1]
        if pending.number >= 0:
            return pending.number
        self.position = pending.place
        named = [n for n, name in enumerate(self.names, 1) if name == pending.name]
        if not named:
            raise self.error(f"no group is named {pending.name!r}")
        if len(named) > 1:
            raise self.error(
                f"several groups are named {pending.name!r}: which one is called is not clear"
            )
        return named[0]

    # Brackets

    def bracketed(self) -> Node:
        if not self.take("?"):
            return self.capture(None)
        kind = self.next_or("the bracket is not complete")
        if kind in _BRACKETS:
            return _BRACKETS[kind](self.content())
        if kind == "<" and self.more() and self.peek() in "=!":
            negated = self.next() == "!"
            return Look(self.content(), behind=True, negated=negated)
        if kind in "<'":
            return self.capture(self.name_up_to(_CLOSERS[kind], define=True))
        if kind == "(":
            return self.conditional()
        self.position -= 1
        return self.group_with_options()

    def group_with_options(self) -> Node:
        found = _GROUP_OPTIONS.match(self.text, self.position)
        if found is None or not found[1]:
            raise self.error(f"(?{self.text[self.position : self.position + 1]} is not known")
        self.position = found.end()
        return self.under(self.changed_options(found[1]), self.content)

    def content(self) -> Node:
        start = self.position
        node = self.alternatives()
        if not self.take(")"):
            self.position = start
            raise self.error("a closing ) is missing for the bracket opened here")
        return node

    def capture(self, name: str | None) -> Group:
        self.names.append(name)
        number = len(self.names)
        node = self.content()
        self.bodies[number] = node
        return Group(number, node)

    def conditional(self) -> Node:
        number = self.condition()
        content = self.content()
        if not isinstance(content, Choice):
            return Conditional(number, content, EMPTY)
        if len(content.items) > 2:
            raise self.error("a condition takes at most two alternatives")
        return Conditional(number, content.items[0], content.items[1])

    def condition(self) -> int:
        kind = self.next_or("the condition is not complete")
        if kind in "<'":
            numbers = self.reference_to(self.name_up_to(_CLOSERS[kind])).numbers
            if not self.take(")"):
                raise self.error("a closing ) is missing after the condition")
            return numbers[0]
        self.position -= 1
        name = self.name_up_to(")")
        if not name.isdecimal():
            raise self.error(f"({name}) is not a condition; write (?(<name>)yes|no)")
        return self.reference_by_number(int(name)).numbers[0]

    def name_up_to(self, closer: str, *, define: bool = False) -> str:
        end = self.text.find(closer, self.position)
        name = self.text[self.position : end] if end >= 0 else ""
        if not name:
            raise self.error("the group name is empty or not closed")
        if define and not _is_name(name):
            raise self.error(
                f"{name!r} cannot be a group name: letters, digits and _ can, digits not in front"
            )
        self.position = end + 1
        return name


def _anchor(place: Place) -> Callable[[_Reader], Node]:
    return lambda _: Anchor(place)


def _switched(options: Options, letter: str, on: bool) -> Options:
    if letter == "i":
        return options._replace(fold=on)
    if letter == "m":
        return options._replace(newlines=on)
    return options._replace(extended=on)


_BRACKETS: Final[dict[str, Callable[[Node], Node]]] = {
    ":": lambda node: node,
    "=": lambda node: Look(node, behind=False, negated=False),
    "!": lambda node: Look(node, behind=False, negated=True),
    ">": Atomic,
    "~": Absent,
}
_ESCAPES: Final[dict[str, Callable[[_Reader], Node]]] = {
    "b": lambda reader: reader.word_edge(negated=False),
    "B": lambda reader: reader.word_edge(negated=True),
    "R": lambda _: LineBreak(),
    "X": lambda _: Grapheme(),
    **{letter: _anchor(place) for letter, place in _ANCHORS.items()},
}


def spelled_out(items: list[Node]) -> list[Node]:
    """The items with characters in any case as classes, and as choices where "ß" may stand for "ss"."""
    result: list[Node] = []
    folded = ""
    for item in items:
        if isinstance(item, Char) and item.fold:
            folded += chr(item.code)
            continue
        result += [*_in_any_case(folded), item]
        folded = ""
    return result + _in_any_case(folded)


def _in_any_case(text: str) -> list[Node]:
    folded = text.casefold()
    nodes: list[Node] = []
    place = 0
    while place < len(folded):
        sequence, letters = _single_letters_for(folded, place)
        spelled = [_class_of(charset.any_case(ord(char))) for char in sequence]
        if letters:
            alternative = _class_of(
                charset.normalise((ord(letter), ord(letter)) for letter in letters)
            )
            nodes.append(Choice((Sequence(tuple(spelled)), alternative)))
        else:
            nodes += spelled
        place += len(sequence)
    return nodes


def _single_letters_for(folded: str, place: int) -> tuple[str, str]:
    """The longest sequence here that a single letter may stand for, and these letters; or one character."""
    for length in (3, 2):
        sequence = folded[place : place + length]
        if len(sequence) == length and (letters := charset.single_letters(sequence)):
            return sequence, letters
    return folded[place], ""


def _class_of(ranges: charset.Ranges) -> Node:
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return Char(ranges[0][0])
    return CharClass(ranges)


def _is_name(name: str) -> bool:
    word = charset.WORD if name.isascii() else charset.posix_ranges("word")
    return not name[0].isdigit() and all(charset.contains(word, ord(char)) for char in name)


def _repeated(item: Node, low: int, high: int, mode: Mode) -> Node:
    if low == high == 1:
        return item
    if isinstance(item, Char):
        (item,) = spelled_out([item])
    if isinstance(item, Repeat) and mode is not Mode.POSSESSIVE:
        inner = _SIGNS.get((item.low, item.high, item.mode), "")
        outer = _SIGNS.get((low, high, mode), "")
        if reduced := _REDUCED.get((inner, outer)):
            return Repeat(item.item, *_QUANTIFIERS[reduced])
        if rewritten := _REWRITTEN.get((inner, outer)):
            return Repeat(
                Repeat(item.item, *_QUANTIFIERS[rewritten[0]]), *_QUANTIFIERS[rewritten[1]]
            )
    return Repeat(item, low, high, mode)


def _without_unnamed_captures(pattern: Pattern, resolve: Callable[[int], int]) -> Pattern:
    """The pattern with its calls resolved and, beside named groups, its unnamed ones not capturing."""
    kept = [
        n for n, name in enumerate(pattern.names, 1) if name is not None or not any(pattern.names)
    ]
    numbers = {old: new for new, old in enumerate(kept, 1)}
    rewrite = _Renumbering(numbers, resolve).rewrite
    bodies = {number: pattern.bodies[old] for old, number in numbers.items()} | {0: pattern.root}
    return Pattern(
        rewrite(pattern.root),
        tuple(pattern.names[old - 1] for old in kept),
        {number: rewrite(body) for number, body in bodies.items()},
    )


class _Renumbering:
    def __init__(self, numbers: dict[int, int], resolve: Callable[[int], int]) -> None:
        self.numbers = numbers
        self.resolve = resolve

    def rewrite(self, node: Node) -> Node:
        match node:
            case Group(number, item):
                inner = self.rewrite(item)
                return Group(self.numbers[number], inner) if number in self.numbers else inner
            case Sequence(items):
                return Sequence(tuple(map(self.rewrite, items)))
            case Choice(items):
                return Choice(tuple(map(self.rewrite, items)))
            case Repeat() | Atomic() | Look() | Absent():
                return node._replace(item=self.rewrite(node.item))
            case Conditional(number, yes, no):
                return Conditional(self.numbers[number], self.rewrite(yes), self.rewrite(no))
            case BackReference(numbers, fold):
                return BackReference(tuple(self.numbers[number] for number in numbers), fold)
            case Call(number):
                called = self.resolve(number)
                return Call(self.numbers.get(called, 0))
            case _:
                return node
