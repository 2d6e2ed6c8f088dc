"""Readers of option values: text as written in, a typed value out, `ConfigError` when it will not do.

An option's type is its annotation (`port: int`, `limit: Size`); `reader_for` finds the reader. A type of
one plugin's own is `Annotated[T, Reader("its name", function)]`.
"""

import re
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from tailrace.config.errors import ConfigError, Odd, did_you_mean
from tailrace.config.source import Value


class Reader(NamedTuple):
    """How one type is read; `name` stands in help and error messages, `schema` in the JSON Schema."""

    name: str
    read: Callable[[Value], Any]
    schema: dict[str, Any] | None = None


def text(value: Value) -> str:
    """The value as text; a list or a map is refused."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    raise ConfigError(f"{value!r} will not do.", "Give one text or number.")


BOOLEANS = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def read_bool(value: Value) -> bool:
    word = text(value).strip().lower()
    if word not in BOOLEANS:
        raise ConfigError(f"{value!r} is no boolean.", "Give on, true, yes, off, false or no.")
    return BOOLEANS[word]


LEADING_INTEGER = re.compile(r"\s*[+-]?\d+")


def read_int(value: Value) -> int:
    """An integer. Compat: text after the digits is passed over, as atoi does (`samples 2x` is 2)."""
    found = LEADING_INTEGER.match(text(value))
    if not found:
        raise ConfigError(f"{value!r} is no number.", "Give a whole number, as: 10.")
    return int(found.group())


WHOLE_INTEGER = re.compile(r"\s*[+-]?\d+\s*")


def take_int(value: Value) -> int:
    """An integer; other text counts as far as it is one, and else as 0, as in Fluent Bit, with a warning."""
    word = text(value)
    found = LEADING_INTEGER.match(word)
    if found and WHOLE_INTEGER.fullmatch(word):
        return int(word)
    number = int(found.group()) if found else 0
    raise Odd(number, f"{value!r} is no whole number; {number} is taken.", "Give one, as: 10.")


def read_float(value: Value) -> float:
    try:
        return float(text(value))
    except ValueError:
        raise ConfigError(f"{value!r} is no number.", "Give a number, as: 0.5.") from None


LEADING_FLOAT = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def take_float(value: Value) -> float:
    """A number; other text counts as far as it is one, and else as 0, as in Fluent Bit, with a warning."""
    try:
        return read_float(value)
    except ConfigError:
        found = LEADING_FLOAT.match(text(value))
        number = float(found.group()) if found else 0.0
        raise Odd(
            number, f"{value!r} is no number; {number:g} is taken.", "Give one, as: 0.5."
        ) from None


SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?)(b?)\s*", re.IGNORECASE)
FACTORS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}


def read_size(value: Value) -> int:
    """Bytes: `32768`, `32k`, `5M`, `1GB`; `false` and `off` are 0. Units are powers of 1000, as in Fluent Bit."""
    word = text(value)
    if word.strip().lower() in ("false", "off"):
        return 0
    found = SIZE.fullmatch(word)
    if not found:
        raise ConfigError(f"{value!r} is no size.", "Give bytes with k, m or g, as: 32k or 5M.")
    number, unit, _ = found.groups()
    return int(float(number) * FACTORS[unit.lower()])


TIME = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", re.IGNORECASE)
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def read_seconds(value: Value) -> float:
    """Seconds: `5`, `0.2`, `10s`, `1m`, `2h`, `1d`."""
    found = TIME.fullmatch(text(value))
    if not found:
        raise ConfigError(f"{value!r} is no time.", "Give seconds, or a number with s, m, h or d.")
    number, unit = found.groups()
    return float(number) * SECONDS[unit.lower()]


def take_seconds(value: Value) -> float:
    """Seconds; other text counts as far as it is a number, and else as 0, as in Fluent Bit, with a warning; below 0 is 0."""
    try:
        return read_seconds(value)
    except ConfigError as error:
        word = text(value).strip()
        found = LEADING_INTEGER.match(word)
        factor = SECONDS.get(word[-1:].lower(), 1)
        seconds = float(max(0, int(found.group()) * factor)) if found else 0.0
        what = f"{value!r} is no time; {seconds:g} seconds are taken."
        raise Odd(seconds, what, error.mend) from None


def read_comma_list(value: Value) -> list[str]:
    """`a, b` or a YAML list."""
    if isinstance(value, list):
        return [text(item) for item in value]
    return [part.strip() for part in text(value).split(",") if part.strip()]


WORD = re.compile(
    r"""\s*(?:"((?:[^"\\]|\\.)*)"(?=\s|\Z)|'((?:[^'\\]|\\.)*)'(?=\s|\Z)|(\S+))""", re.DOTALL
)


def split_words(line: str) -> list[str]:
    """Words at blanks. Quotes around a word keep its blanks; inside them a backslash takes a quote or a backslash as it is."""
    found = []
    for double, single, plain in WORD.findall(line):
        if plain:
            found.append(plain)
        else:
            quote = '"' if double else "'"
            found.append((double or single).replace("\\" + quote, quote))
    return found


TOKEN = re.compile(r'\s*(?:"(?:(.*?)(?<!\\)"|(.+))|([^\s"]\S*))', re.DOTALL)


def split_tokens(line: str) -> list[str]:
    """Words at blanks, as Fluent Bit splits the values of most options: only double quotes keep blanks together.

    A quote that is not closed takes the rest; a single one, and one inside a word, is text.
    """
    return [
        plain or rest or quoted.replace('\\"', '"') for quoted, rest, plain in TOKEN.findall(line)
    ]


def read_words(value: Value) -> list[str]:
    """`a b "c d"` or a YAML list."""
    if isinstance(value, list):
        return [text(item) for item in value]
    return split_tokens(text(value))


KeyText = tuple[str, str]
"""Two parts: a first word, and the rest of the line with its blanks and quotes."""


def read_key_text(value: Value) -> KeyText:
    if isinstance(value, list) and len(value) == 2:
        return text(value[0]), text(value[1])
    parts = text(value).strip().split(None, 1)
    if len(parts) != 2:
        raise ConfigError(
            f"{value!r} will not do.", "Give a field and a value, as: hostname web-1."
        )
    return parts[0], parts[1]


def read_path(value: Value) -> Path:
    return Path(text(value))


def read_any(value: Value) -> Value:
    return value


Size = Annotated[int, Reader("size", read_size)]
"""Bytes."""
Seconds = Annotated[float, Reader("time", take_seconds)]
"""Seconds."""
CommaList = Annotated[list[str], Reader("list (comma)", read_comma_list)]
WordList = Annotated[list[str], Reader("words", read_words)]
Structure = Annotated[Any, Reader("structure", read_any, schema={})]
"""A YAML structure, taken as it is."""

SIMPLE: dict[Any, Reader] = {
    str: Reader("text", text),
    bool: Reader("boolean", read_bool),
    int: Reader("integer", take_int),
    float: Reader("number", take_float),
    Path: Reader("path", read_path),
    KeyText: Reader("key and text", read_key_text),
}


def words(minimum: int) -> Reader:
    """A reader of at least `minimum` words."""

    def read(value: Value) -> list[str]:
        found = read_words(value)
        if len(found) < minimum:
            raise ConfigError(f"{value!r} will not do.", f"Give at least {minimum} words.")
        return found

    return Reader(f"words (at least {minimum})", read)


def one_of(*choices: str, otherwise: str | None = None) -> Reader:
    """A reader of one of some words, in any letter case.

    `otherwise`: what another word is taken for, as in Fluent Bit, with a warning; without it that is an error.
    """

    def read(value: Value) -> str:
        word = text(value).strip().lower()
        for choice in choices:
            if word == choice.lower():
                return choice
        mend = did_you_mean(word, choices) or f"Give one of: {', '.join(filter(None, choices))}."
        if otherwise is None:
            raise ConfigError(f"{value!r} is not known.", mend)
        taken = f"'{otherwise}' is taken" if otherwise else "it is passed over"
        raise Odd(otherwise, f"{value!r} is not known; {taken}.", mend)

    return Reader(" | ".join(choices), read)


def reader_for(annotation: Any, many: bool = False) -> Reader:
    """The reader of an annotation; of the items' type for an option that may be given many times."""
    if many and typing.get_origin(annotation) in (list, dict):
        annotation = typing.get_args(annotation)[-1]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    for extra in getattr(annotation, "__metadata__", ()):
        if isinstance(extra, Reader):
            return extra
    if typing.get_origin(annotation) is Literal:
        return one_of(*typing.get_args(annotation))
    return SIMPLE[annotation]
