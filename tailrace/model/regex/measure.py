"""How much text a part of a pattern can take, and where calls would never end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

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
    Place,
    Repeat,
    Sequence,
)

NEVER: Final = UNBOUNDED + 1
"""The least width of what cannot end."""

Widths = Mapping[int, int]
"""Least widths of the groups that are called, by number."""


def width(node: Node) -> tuple[int, int]:
    """The least and the greatest number of characters that a part can take."""
    match node:
        case Char() | CharClass() | AnyChar():
            return 1, 1
        case LineBreak():
            return 1, 2
        case Grapheme():
            return 1, UNBOUNDED
        case Sequence(items):
            widths = [width(item) for item in items]
            return sum(low for low, _ in widths), min(sum(high for _, high in widths), UNBOUNDED)
        case Choice(items):
            return _either([width(item) for item in items])
        case Repeat(item, low, high):
            least, greatest = width(item)
            return least * low, min(greatest * high, UNBOUNDED)
        case Group(_, item) | Atomic(item):
            return width(item)
        case Conditional(_, yes, no):
            return _either([width(yes), width(no)])
        case Anchor() | Look():
            return 0, 0
        case Absent() | BackReference() | Call():
            return 0, UNBOUNDED


def _either(widths: list[tuple[int, int]]) -> tuple[int, int]:
    return min(low for low, _ in widths), max(high for _, high in widths)


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Sequence(items) | Choice(items):
            return items
        case Repeat(item) | Group(_, item) | Atomic(item) | Look(item) | Absent(item):
            return (item,)
        case Conditional(_, yes, no):
            return yes, no
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all parts of it."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending += children(current)


def line_anchored(node: Node) -> Place | None:
    """`LINE_START` or `TEXT_START` if a match can only begin there; the weaker of the two."""
    match node:
        case Anchor(place) if place in (Place.LINE_START, Place.TEXT_START):
            return place
        case Sequence(items):
            return _first_anchor(items)
        case Choice(items):
            places = {line_anchored(item) for item in items}
            return None if None in places else max(places, key=_WEAKNESS.__getitem__)
        case Group(_, item) | Atomic(item):
            return line_anchored(item)
        case _:
            return None


_WEAKNESS: Final[dict[Place | None, int]] = {Place.TEXT_START: 0, Place.LINE_START: 1}


def _first_anchor(items: tuple[Node, ...]) -> Place | None:
    for item in items:
        if (place := line_anchored(item)) or width(item) != (0, 0):
            return place
    return None


def recursive_groups(bodies: Mapping[int, Node]) -> frozenset[int]:
    """The groups that call themselves, directly or through others."""
    return frozenset(number for number in bodies if number in _reachable(number, bodies))


def _reachable(number: int, bodies: Mapping[int, Node]) -> set[int]:
    seen: set[int] = set()
    pending = [number]
    while pending:
        for part in walk(bodies[pending.pop()]):
            if isinstance(part, Call) and part.number not in seen:
                seen.add(part.number)
                pending.append(part.number)
    return seen


def endless_call(bodies: Mapping[int, Node]) -> bool:
    """Whether some group calls itself before taking any text, or in every case."""
    least = _least_widths(bodies)
    called = {
        node.number for body in bodies.values() for node in walk(body) if isinstance(node, Call)
    }
    return any(least[number] >= NEVER or _calls_at_once(number, bodies, least) for number in called)


def _least_widths(bodies: Mapping[int, Node]) -> dict[int, int]:
    least = dict.fromkeys(bodies, NEVER)
    for _ in range(len(bodies) + 1):
        least = {number: _least(body, least) for number, body in bodies.items()}
    return least


def _least(node: Node, groups: Widths) -> int:
    match node:
        case Call(number):
            return groups[number]
        case Sequence(items):
            return min(sum(_least(item, groups) for item in items), NEVER)
        case Choice(items):
            return min(_least(item, groups) for item in items)
        case Repeat(item, low):
            return min(_least(item, groups) * low, NEVER) if low else 0
        case Group(_, item) | Atomic(item):
            return _least(item, groups)
        case Look(item):
            return NEVER if _least(item, groups) >= NEVER else 0
        case Conditional(_, yes, no):
            return min(_least(yes, groups), _least(no, groups))
        case _:
            return width(node)[0]


def _calls_at_once(number: int, bodies: Mapping[int, Node], least: Widths) -> bool:
    seen: set[int] = set()
    pending = [number]
    while pending:
        for called in _first_calls(bodies[pending.pop()], least):
            if called == number:
                return True
            if called not in seen:
                seen.add(called)
                pending.append(called)
    return False


def _first_calls(node: Node, least: Widths) -> Iterator[int]:
    """The groups that may be called before any text is taken."""
    if isinstance(node, Call):
        yield node.number
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _first_calls(item, least)
            if _least(item, least):
                return
    else:
        for child in children(node):
            yield from _first_calls(child, least)
