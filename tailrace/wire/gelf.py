"""GELF 1.1 (Graylog Extended Log Format; docs.graylog.org, "GELF"), printed as Fluent Bit prints it.

    {"version":"1.1", "short_message":"slow", "host":"web-1", "level":4, "_user":"ann", "timestamp":1700000000.500}

Five keys of a record have a meaning; all others are additional fields with `_` in front. Maps are flattened (`_a_b`), lists become text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any, NamedTuple

from tailrace.model.chunk import Body
from tailrace.wire.json import ENCODER, cleaned

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
NO_KEY_CHARACTER = re.compile(rb"[^A-Za-z0-9_.\-]")
NO_NAME_CHARACTER = re.compile(r"[^A-Za-z0-9_.\-]", re.ASCII)
MOST_DEPTH = 100
MILLISECOND, SECOND = 1_000_000, 1_000_000_000


class GELFError(ValueError):
    """A record that can't be GELF."""


class Keys(NamedTuple):
    """The keys of a record that have a meaning."""

    timestamp: str = "timestamp"
    host: str = "host"
    short_message: str = "short_message"
    full_message: str = "full_message"
    level: str = "level"


def encode(body: Body, time_ns: int, keys: Keys) -> bytes:
    """One record; `GELFError` if it has no short message or its level is neither number nor text."""
    meanings = {
        keys.host: "host",
        keys.short_message: "short_message",
        keys.timestamp: "timestamp",
        keys.level: "level",
        keys.full_message: "full_message",
    }
    parts = [b'{"version":"1.1"']
    found: set[str] = set()
    for key, value in body.items():
        name = meanings.get(key)
        if name is None:
            if key != "id":  # GELF does not allow _id
                parts += fields("_" + key, value)
            continue
        found.add(name)
        if name == "level":
            value = level(value)
        parts += fields(("_" + name) if type(value) is dict else name, value)
    if "short_message" not in found:
        raise GELFError(f"it has no {keys.short_message}, which GELF needs")
    if "timestamp" not in found:
        parts.append(
            b', "timestamp":%d.%03d' % (time_ns // SECOND, time_ns % SECOND // MILLISECOND)
        )
    return b"".join(parts) + b"}"


def level(value: Any) -> Any:
    """A level as a number from 0 to 7, if it is one or names one."""
    if type(value) is str:
        if len(value) == 1 and value in "01234567":
            return int(value)
        word = value.lower()
        return LEVELS.index(word) if word in LEVELS else value
    if type(value) is int and value >= 0:
        return value
    raise GELFError(f"its level is {value!r}, neither a number from 0 nor text")


def fields(name: str, value: Any, depth: int = 0) -> Iterator[bytes]:
    """`, "name":value`, of a map one for each of its leaves; a null that is in no map is left out."""
    if depth > MOST_DEPTH or (value is None and not depth):
        return
    if type(value) is dict:
        for key, item in value.items():
            yield from fields(f"{name}_{key}", item, depth + 1)
        return
    label = NO_KEY_CHARACTER.sub(b"_", name.encode("utf-8", "surrogateescape"))
    yield b', "%b":%b' % (label, scalar(value))


def scalar(value: Any) -> bytes:
    kind = type(value)
    if value is None:
        return b"null"
    if kind is bool:
        return b'"true"' if value else b'"false"'
    if kind is int:
        return b"%d" % value
    if kind is float:
        return b"%f" % value if isfinite(value) else b"null"
    if kind is list:
        return ENCODER.one(", ".join(flat(value)))
    return ENCODER.one(cleaned(value, 0))


def flat(values: list[Any], depth: int = 0) -> list[str]:
    """The items of a list as text."""
    return [item_text(value, depth) for value in values] if depth < MOST_DEPTH else []


def item_text(value: Any, depth: int) -> str:
    kind = type(value)
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return f"{value:f}"
    if kind is list:
        return ", ".join(flat(value, depth + 1))
    if kind is dict:
        return " ".join(pairs("", value, depth + 1))
    return str(cleaned(value, 0))


def pairs(prefix: str, value: Body, depth: int) -> Iterator[str]:
    """`key=value` of a map in a list; keys of maps below it are joined by `_`."""
    if depth > MOST_DEPTH:
        return
    for key, item in value.items():
        name = f"{prefix}_{key}" if prefix else str(key)
        if type(item) is dict:
            yield from pairs(name, item, depth + 1)
        else:
            yield f"{NO_NAME_CHARACTER.sub('_', name)}={item_text(item, depth)}"
