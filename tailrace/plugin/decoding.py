"""Decoders of parsed fields: json, escaped, escaped_utf8, mysql_quoted.

`decode_field` adds the keys of a decoded map to the body; `decode_field_as` puts what was decoded in the text's place.
Rules of one field are tried in order: after `do_next` the next one follows in any case, after `try_next` if this one failed, else none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tailrace.config.types import split_words
from tailrace.model import Body

Decoder = Callable[[str], Any]
"""What a text holds, or None if this decoder fails."""

SIMPLE = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
    "/": "/",
}
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
UTF8_ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?|u([0-9a-fA-F]{1,3})|x([0-9a-fA-F]{1,2})|([0-7]{1,3})|U([0-9a-fA-F]{8})|(.))",
    re.DOTALL,
)
MYSQL = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "0": "\0",
    "Z": "\x1a",
    "\\": "\\",
    "'": "'",
    '"': '"',
}


def decode_json(text: str) -> Any:
    """A map; anything else fails."""
    from tailrace.wire.json import decode_line

    return decode_line(text.strip().encode("utf-8", "surrogateescape"))


def decode_escaped(text: str) -> Any:
    if "\\" not in text:
        return text
    return ESCAPE.sub(lambda found: SIMPLE.get(found.group(1), found.group(1)), text)


def decode_escaped_utf8(text: str) -> Any:
    if "\\" not in text:
        return text
    return UTF8_ESCAPE.sub(_utf8_replacement, text)


def _utf8_replacement(found: re.Match[str]) -> str:
    unit, low, short, byte, octal, wide, letter = found.groups()
    if short is not None:
        return "\ufffd"
    if unit is not None:
        code = int(unit, 16)
        if 0xD800 <= code <= 0xDBFF and low is not None:
            return chr(0x10000 + ((code - 0xD800) << 10) + (int(low, 16) - 0xDC00))
        text = "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)
        return text + (UTF8_ESCAPE.sub(_utf8_replacement, "\\u" + low) if low is not None else "")
    if byte is not None:
        return chr(int(byte, 16))
    if octal is not None:
        return chr(int(octal, 8))
    if wide is not None:
        code = int(wide, 16)
        return chr(code) if code < 0xD800 or 0xDFFF < code < 0x110000 else "\ufffd"
    return SIMPLE.get(letter, found.group())


def decode_mysql_quoted(text: str) -> Any:
    """A text in single or double quotes as MySQL prints it; any other text stays."""
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        return text
    return ESCAPE.sub(lambda found: MYSQL.get(found.group(1), found.group()), text[1:-1])


DECODERS: dict[str, Decoder] = {
    "json": decode_json,
    "escaped": decode_escaped,
    "escaped_utf8": decode_escaped_utf8,
    "mysql_quoted": decode_mysql_quoted,
}
ACTIONS = ("", "try_next", "do_next")


@dataclass(slots=True)
class Rule:
    """One decoder of one field."""

    field: str
    decode: Decoder
    replaces: bool
    action: str


class Decoding:
    """All decoders of one parser, by field."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._by_field: dict[str, list[Rule]] = {}
        for rule in rules:
            self._by_field.setdefault(rule.field, []).append(rule)

    def apply(self, bodies: Sequence[Body | None]) -> None:
        """Decode the fields of every body, in place."""
        for field, rules in self._by_field.items():
            for body in bodies:
                if body is not None and type(body.get(field)) is str:
                    decode_field(body, field, rules)


def decode_field(body: Body, field: str, rules: list[Rule]) -> None:
    text: Any = body[field]
    extra: Body = {}
    for rule in rules:
        value = rule.decode(text) if type(text) is str else None
        if type(value) is dict and not rule.replaces:
            extra.update(value)
        elif rule.replaces and value is not None:
            text = value
        else:
            # Compat: decode_field takes maps alone; a text that a decoder gives is not put anywhere.
            value = None
        if value is not None and rule.action != "do_next":
            break
        if not rule.action:
            break
    body[field] = text
    for key, item in extra.items():
        if key != field:
            body.pop(key, None)
            body[key] = item


def make_decoding(
    fields: Sequence[str], fields_as: Sequence[str], warnings: list[str]
) -> Decoding | None:
    """The decoders of a parser, or None if there are none; unknown ones are warned of and left out."""
    read = [read_rule(text, True, warnings) for text in fields_as]
    read += [read_rule(text, False, warnings) for text in fields]
    rules = [rule for rule in read if rule is not None]
    return Decoding(rules) if rules else None


def read_rule(text: str, replaces: bool, warnings: list[str]) -> Rule | None:
    words = split_words(text)
    name = "decode_field_as" if replaces else "decode_field"
    if len(words) not in (2, 3):
        warnings.append(
            f"{name}: '{text}' is passed over."
            " Write decoder, field and perhaps try_next or do_next."
        )
        return None
    decoder, field, action = (
        words[0].lower(),
        words[1],
        (words[2].lower() if len(words) == 3 else ""),
    )
    if decoder not in DECODERS:
        # Compat: it goes on without (conformance: parsers/decode_field_unknown).
        warnings.append(
            f"{name}: there is no decoder '{words[0]}': '{field}' stays as it is."
            f" There are: {', '.join(DECODERS)}."
        )
        return None
    if action not in ACTIONS:
        # Compat: the original goes on without.
        warnings.append(f"{name}: '{words[2]}' is no action. Write try_next or do_next.")
        action = ""
    return Rule(field, DECODERS[decoder], replaces, action)
