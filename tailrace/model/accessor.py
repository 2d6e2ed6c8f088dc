"""Record accessors: `$key`, `$map['sub'][0]`, and templates that mix them with text.

Syntax (Fluent Bit's documentation, "Record accessor"): a name of letters, digits, `_`, `-`, `/` after a dollar, then
any number of `['key']` and `[index]`. In a template a variable ends at `.`, `,`, blank or `"`; there are `$TAG`, `$TAG[n]`
(parts between dots) and `$0` to `$9` (what a regular expression captured) as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from tailrace.model.chunk import Body


class Missing:
    """The one value that says: there is none."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Any = Missing()
Getter = Callable[[Body], Any]

NAME = re.compile(r"\$([_A-Za-z][A-Za-z0-9_.\-/]*)")
STEP = re.compile(r"\[\s*(?:'((?:[^']|'')*)'|([0-9]{1,9}))\s*\]")
MOST_STEPS = 64
TAG_PART = re.compile(r"[0-9]{1,9}")


class AccessorError(ValueError):
    """Text that is no accessor; says where and what one looks like."""


def parse_path(text: str) -> tuple[str | int, ...]:
    """The keys and indexes of an accessor; a text without dollar is the name of one key."""
    if not text.startswith("$"):
        if not text:
            raise AccessorError("an empty text is no accessor. Write: $key or $map['sub'].")
        return (text,)
    found = NAME.match(text)
    if not found:
        raise AccessorError(f"{text!r} is no accessor. Write: $key or $map['sub'].")
    path: list[str | int] = [found.group(1)]
    at = found.end()
    while at < len(text):
        step = STEP.match(text, at)
        if not step or len(path) > MOST_STEPS:
            raise AccessorError(
                f"{text!r} is no accessor: character {at + 1} is not expected. Write: $key['sub'][0]."
            )
        key, index = step.groups()
        path.append(key.replace("''", "'") if key is not None else int(index))
        at = step.end()
    return tuple(path)


class Accessor:
    """One place in a body. `get` is made once and as fast as the path allows."""

    __slots__ = ("get", "path", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.path = parse_path(text)
        self.get: Getter = make_getter(self.path)

    def __repr__(self) -> str:
        return f"Accessor({self.text!r})"

    @property
    def key(self) -> str:
        """The key at the top."""
        return str(self.path[0])

    @property
    def is_plain(self) -> bool:
        """Whether it is a key at the top, without steps below."""
        return len(self.path) == 1

    def parent(self, body: Body) -> Any:
        """The map or list that holds the place, or `MISSING`."""
        holder: Any = body
        for step in self.path[:-1]:
            holder = take(holder, step)
            if holder is MISSING:
                return MISSING
        return holder

    def set(self, body: Body, value: Any) -> bool:
        """Put a value there; False if what should hold it is missing."""
        holder, step = self.parent(body), self.path[-1]
        if type(holder) is dict and type(step) is str:
            holder[step] = value
            return True
        if type(holder) is list and type(step) is int and step < len(holder):
            holder[step] = value
            return True
        return False

    def remove(self, body: Body) -> bool:
        """Take the place out; False if it is not there."""
        holder, step = self.parent(body), self.path[-1]
        if take(holder, step) is MISSING:
            return False
        del holder[step]
        return True

    def rename(self, body: Body, name: str) -> bool:
        """Give the key another name, in its place; False if it is not there."""
        holder, step = self.parent(body), self.path[-1]
        if type(holder) is not dict or step not in holder:
            return False
        items = [
            (name if key == step else key, value)
            for key, value in holder.items()
            if key != name or key == step
        ]
        holder.clear()
        holder.update(items)
        return True


def take(holder: Any, step: str | int) -> Any:
    """One step down, or `MISSING`."""
    if type(step) is str:
        return holder.get(step, MISSING) if type(holder) is dict else MISSING
    if type(holder) is list and type(step) is int and step < len(holder):
        return holder[step]
    return MISSING


def make_getter(path: tuple[str | int, ...]) -> Getter:
    """A function that follows the path."""
    first: Any = path[0]  # a text: parse_path sees to it
    if len(path) == 1:
        return lambda body: body.get(first, MISSING)
    if len(path) == 2 and type(path[1]) is str:
        second: Any = path[1]

        def get_two(body: Body) -> Any:
            holder = body.get(first)
            return holder.get(second, MISSING) if type(holder) is dict else MISSING

        return get_two

    rest = path[1:]

    def get(body: Body) -> Any:
        value = body.get(first, MISSING)
        for step in rest:
            value = take(value, step)
        return value

    return get


# Templates

Part = Callable[[Body, str, Sequence[str]], str]
"""Text of one part, from a body, its tag and what was captured."""

END = frozenset('., "')
DIGITS = frozenset("0123456789")


class Template:
    """Text with variables. `render` gives the text; missing variables give nothing, and `missing` names them."""

    __slots__ = ("_parts", "accessors", "constant", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.accessors: list[Accessor] = []
        self._parts: list[str | Part] = []
        self._read(text)
        self.constant: str | None = None
        if all(isinstance(part, str) for part in self._parts):
            self.constant = "".join(str(part) for part in self._parts)

    def render(self, body: Body, tag: str = "", captures: Sequence[str] = ()) -> str:
        """The text for one event; `captures` are the groups of a match, the whole first."""
        if self.constant is not None:
            return self.constant
        parts: list[Any] = self._parts
        return "".join([p if type(p) is str else p(body, tag, captures) for p in parts])

    def missing(self, body: Body) -> list[str]:
        """The accessors that lead nowhere in this body."""
        return [accessor.text for accessor in self.accessors if accessor.get(body) is MISSING]

    def _read(self, text: str) -> None:
        at, length = 0, len(text)
        while at < length:
            dollar = text.find("$", at)
            if dollar < 0 or dollar + 1 >= length:
                self._parts.append(text[at:])
                return
            if dollar > at:
                self._parts.append(text[at:dollar])
            at = self._variable(text, dollar)

    def _variable(self, text: str, dollar: int) -> int:
        """Read the variable that begins at the dollar; where it ends."""
        following = text[dollar + 1]
        if following in DIGITS:
            self._parts.append(capture(int(following)))
            return dollar + 2
        if text.startswith("TAG", dollar + 1):
            return self._tag(text, dollar)
        end = variable_end(text, dollar)
        accessor = Accessor(text[dollar:end])
        self.accessors.append(accessor)
        get = accessor.get
        self._parts.append(lambda body, tag, captures: value_text(get(body)))
        return end

    def _tag(self, text: str, dollar: int) -> int:
        end = dollar + 4
        closing = text.find("]", end)
        if end < len(text) and text[end] == "[" and closing > 0:
            number = text[end + 1 : closing]
            if not TAG_PART.fullmatch(number):
                raise AccessorError(f"{text!r}: '$TAG[{number}]' needs a number, as: $TAG[0].")
            self._parts.append(tag_part(int(number)))
            return closing + 1
        self._parts.append(lambda body, tag, captures: tag)
        return end


def variable_end(text: str, dollar: int) -> int:
    """Where the accessor that begins at the dollar ends: at a sign of `END` outside quotes."""
    quoted = False
    for at in range(dollar + 1, len(text)):
        letter = text[at]
        if letter == "'":
            quoted = not quoted
        elif letter in END and not quoted:
            return at
    return len(text)


def capture(number: int) -> Part:
    return lambda body, tag, captures: captures[number] or "" if number < len(captures) else ""


def tag_part(number: int) -> Part:
    def part(body: Body, tag: str, captures: Sequence[str]) -> str:
        parts = tag.split(".")
        return parts[number] if number < len(parts) else ""

    return part


def value_text(value: Any) -> str:
    """A value in a template: floats with six digits, maps as JSON, lists and what is missing as nothing."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float:
        return f"{value:f}"
    if value is None:
        return "null"
    if kind is dict:
        import orjson

        try:
            return orjson.dumps(value).decode()
        except TypeError:
            return ""
    return ""
