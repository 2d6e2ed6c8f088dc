"""What can be done to one key of a map."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from tailrace.config import ConfigError
from tailrace.model import Body
from tailrace.model.regex import Regex, RegexError, compile_regex
from tailrace.wire.json import encode

ACTIONS = ("insert", "upsert", "delete", "rename", "hash", "extract", "convert")
NEEDS_VALUE = ("insert", "upsert", "rename")

Step = Callable[[Body], None]


def make_step(action: str, key: str, value: str, pattern: str, converted_type: str) -> Step:
    """The change of one map, made once."""
    match action:
        case "insert":
            return lambda body: body.setdefault(key, value) and None
        case "upsert":
            return upserter(key, value)
        case "delete":
            return lambda body: body.pop(key, None) and None
        case "rename":
            return renamer(key, value)
        case "hash":
            return hasher(key)
        case "extract":
            return extractor(key, pattern)
    return converter(key, CONVERSIONS[converted_type])


def upserter(key: str, value: str) -> Step:
    def upsert(body: Body) -> None:
        body.pop(key, None)
        body[key] = value

    return upsert


def renamer(key: str, name: str) -> Step:
    def rename(body: Body) -> None:
        if key in body:
            items = [
                (name if each == key else each, value)
                for each, value in body.items()
                if each != name or each == key
            ]
            body.clear()
            body.update(items)

    return rename


def hasher(key: str) -> Step:
    """Maps and lists are hashed as JSON, since what is to be hashed must not stay readable; empty texts stay. Null is hashed as `null`."""

    def replace(body: Body) -> None:
        if key not in body:
            return
        data = as_bytes(body[key])
        if data:
            body[key] = hashlib.sha256(data).hexdigest()

    return replace


def as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if value is None or isinstance(value, (dict, list)):
        return encode(value)
    return as_text(value).encode("utf-8", "surrogateescape")


def extractor(key: str, pattern: str) -> Step:
    try:
        regex: Regex = compile_regex(pattern)
    except RegexError as error:
        raise ConfigError(f"pattern: {error}") from error
    if not regex.names:
        raise ConfigError(
            f"pattern: {pattern!r} has no named group.", "Name what to extract, as: (?<host>[^/]+)."
        )
    names, search = regex.names, regex.search

    def extract(body: Body) -> None:
        text = body.get(key)
        found = search(text) if isinstance(text, str) else None
        if found is None:
            return
        for name in names:
            body.pop(name, None)
            body[name] = found.group(name) or ""

    return extract


def converter(key: str, convert: Callable[[Any], Any]) -> Step:
    """Compat: what was converted moves to the end (conformance: filters/content_modifier_convert)."""

    def replace(body: Body) -> None:
        if key not in body:
            return
        try:
            value = convert(body[key])
        except (ValueError, OverflowError):
            return
        del body[key]
        body[key] = value

    return replace


INTEGER = re.compile(r"\s*[+-]?\d+\Z")


def as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.17g}" if float(f"{value:g}") != value else f"{value:g}"
    if isinstance(value, int):
        return str(value)
    if value is None:
        return "null"
    raise ValueError(f"{value!r} has no text")


def as_int(value: Any) -> int:
    """Halves go away from zero. Text must be a whole number, and all must fit into 64 bits with a sign."""
    if isinstance(value, str):
        if not INTEGER.match(value):
            raise ValueError(f"{value!r} is no whole number")
        number = int(value)
    elif isinstance(value, float) and abs(value) < 1 << 63:
        number = int(value + 0.5) if value >= 0 else int(value - 0.5)
    elif isinstance(value, (bool, int)):
        number = int(value)
    elif value is None:
        number = 0
    else:
        raise ValueError(f"{value!r} is no number of 64 bits")
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{value!r} takes more than 64 bits")
    return number


def as_double(value: Any) -> float:
    if isinstance(value, (str, bool, int, float)):
        return float(value)
    if value is None:
        return 0.0
    raise ValueError(f"{value!r} is no number")


def as_boolean(value: Any) -> bool:
    """Of texts only `true` is true; null is false."""
    if isinstance(value, str):
        return value.lower() == "true"
    if value is None:
        return False
    if isinstance(value, (int, float)):
        return value != 0
    raise ValueError(f"{value!r} has no truth")


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "string": as_text,
    "int": as_int,
    "double": as_double,
    "boolean": as_boolean,
}
