"""JSON as the pipeline needs it: whole batches in one call, and a right answer where the fast way has none.

Encoding follows Fluent Bit: no blanks, characters beyond ASCII as `\\uXXXX`, a byte that is no UTF-8 as the character
U+E000 + byte. Decoding: integers beyond unsigned 64 bit become floats; of a repeated key the last value counts.
Text with invalid UTF-8 is a `str` with surrogate escapes (PEP 383).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Sequence
from json.encoder import encode_basestring_ascii
from random import randrange
from typing import Any

import orjson

from tailrace.model.chunk import Body

MOST_DEPTH = 200
EncodeTime = Callable[[int], bytes]
"""Nanoseconds to the bytes of a JSON value."""

dumps = orjson.dumps
loads = orjson.loads


class JSONError(ValueError):
    """Text that is no JSON; `position` is the byte where it stops being so."""

    def __init__(self, what: str, position: int) -> None:
        super().__init__(f"{what} (byte {position})")
        self.position = position


# Decoding


def decode_lines(lines: Sequence[bytes]) -> list[Body | None]:
    """The object in each line; None where a line is not exactly one object.

    One call for the whole batch. A bad line could swallow its neighbours and still give the right count, so a random
    number stands between any two lines and is looked for afterwards; when one is missing the lines are read one by one.
    """
    if not lines:
        return []
    mark = randrange(1 << 30, 1 << 31)
    separator = b",%d," % mark
    try:
        values = loads(b"[" + separator.join(lines) + b"]")
    except (orjson.JSONDecodeError, RecursionError):
        return [decode_line(line) for line in lines]
    if len(values) != 2 * len(lines) - 1 or values[1::2] != [mark] * (len(lines) - 1):
        return [decode_line(line) for line in lines]
    bodies: list[Body | None] = values[::2]
    if set(map(type, bodies)) != {dict}:
        return [body if type(body) is dict else None for body in bodies]
    return bodies


def decode_texts(lines: Sequence[str]) -> list[Body | None]:
    """As `decode_lines`, for lines that are text already."""
    if not lines:
        return []
    mark = randrange(1 << 30, 1 << 31)
    try:
        values = loads("[" + f",{mark},".join(lines) + "]")
    except (orjson.JSONDecodeError, RecursionError):
        return [decode_line(line.encode("utf-8", "surrogateescape")) for line in lines]
    if len(values) != 2 * len(lines) - 1 or values[1::2] != [mark] * (len(lines) - 1):
        return [decode_line(line.encode("utf-8", "surrogateescape")) for line in lines]
    bodies: list[Body | None] = values[::2]
    if set(map(type, bodies)) != {dict}:
        return [body if type(body) is dict else None for body in bodies]
    return bodies


def decode_line(line: bytes) -> Body | None:
    """The object that a line holds, or None."""
    try:
        value = loads(line)
    except orjson.JSONDecodeError:
        value = decode_odd(line)
    return value if type(value) is dict else None


def decode_odd(data: bytes) -> Any:
    """What orjson refuses but is to be taken: invalid UTF-8, lone surrogates; None if it is no JSON at all."""
    text = without_halves(data.decode("utf-8", "surrogateescape").strip())
    try:
        value, end = DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if end == len(text) else None


ESCAPES = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def without_halves(text: str) -> str:
    """JSON with the escape of U+FFFD for each half of a surrogate pair: no encoder takes such a half. No place shifts."""
    if "\\ud" not in text and "\\uD" not in text:
        return text
    return ESCAPES.sub(lambda found: "\\ufffd" if found.group(1) else found.group(), text)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _last_wins(pairs: list[tuple[str, Any]]) -> Body:
    body: Body = {}
    for key, value in pairs:
        body.pop(key, None)
        body[key] = value
    return body


def _parse_int(text: str) -> int | float:
    if len(text) > 400:
        raise ValueError("a number of more than 400 digits")
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 64 else float(text)


DECODER = json.JSONDecoder(
    object_pairs_hook=_last_wins,
    parse_constant=_refuse_constant,
    parse_int=_parse_int,
    strict=False,
)
BLANK = re.compile(r"[\s,]*")
CUT_ESCAPE = re.compile(r"u[0-9a-fA-F]{0,4}")
CUT_NUMBER = re.compile(r"(?<=\d)(?:\.|[eE][+-]?)")


def decode_stream(data: bytes) -> tuple[list[Any], int, JSONError | None]:
    """Values that stand one after another, blanks or nothing between them.

    Gives the values, how many bytes are done with, and what is wrong at that place if it isn't only incomplete. What
    remains is to be given again with more behind it; whoever calls bounds its length.
    """
    end = data.rfind(b"\n") + 1
    if end:
        lines = [line for line in data[:end].split(b"\n") if line and not line.isspace()]
        values = _decode_whole_lines(lines)
        if values is not None:
            rest, consumed, error = _decode_one_by_one(data, end)
            return values + rest, consumed, error
    return _decode_one_by_one(data, 0)


def _decode_whole_lines(lines: list[bytes]) -> list[Any] | None:
    """One value a line, or None if any line is not exactly one value."""
    if not lines:
        return []
    mark = randrange(1 << 30, 1 << 31)
    try:
        values = loads(b"[" + (b",%d," % mark).join(lines) + b"]")
    except (orjson.JSONDecodeError, RecursionError):
        return None
    if len(values) != 2 * len(lines) - 1 or values[1::2] != [mark] * (len(lines) - 1):
        return None
    found: list[Any] = values[::2]
    return found


def _decode_one_by_one(data: bytes, start: int) -> tuple[list[Any], int, JSONError | None]:
    """As `decode_stream`, from the byte `start` on."""
    text = without_halves(data[start:].decode("utf-8", "surrogateescape"))
    values: list[Any] = []
    at = BLANK.match(text).end()  # type: ignore[union-attr]  # it matches anything
    while at < len(text):
        try:
            value, end = DECODER.raw_decode(text, at)
        except RecursionError:
            done = start + byte_length(text, at)
            return values, done, JSONError("nested too deeply", done)
        except ValueError as error:
            done = start + byte_length(text, at)
            if is_incomplete(text, at, error):
                return values, done, None
            where = start + byte_length(text, getattr(error, "pos", at))
            return values, done, JSONError(getattr(error, "msg", str(error)), where)
        if end == len(text) and not isinstance(value, (dict, list, str)):
            return values, start + byte_length(text, at), None  # a number may go on
        values.append(value)
        at = BLANK.match(text, end).end()  # type: ignore[union-attr]
    return values, len(data), None


def byte_length(text: str, end: int) -> int:
    return len(text[:end].encode("utf-8", "surrogateescape"))


def is_incomplete(text: str, at: int, error: ValueError) -> bool:
    """Whether more text could mend it: the reader came to the end, or into a text that has no end yet."""
    position = getattr(error, "pos", at)
    message = getattr(error, "msg", "")
    if message.startswith("Unterminated string"):
        return True
    if CUT_ESCAPE.fullmatch(text, position) and message.startswith("Invalid \\uXXXX"):
        return True
    if CUT_NUMBER.fullmatch(text, position):
        return True
    rest = text[position:].strip()
    return not rest or (
        len(rest) < 6
        and (
            "true".startswith(rest)
            or "false".startswith(rest)
            or "null".startswith(rest)
            or rest == "-"
        )
    )


# Encoding


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """Non-ASCII characters as JSON escapes; those that stand for invalid bytes stay as they are (as in Fluent Bit)."""
    assert isinstance(error, UnicodeEncodeError)
    run = error.object[error.start : error.end]
    if any("\ue080" <= letter <= "\ue0ff" for letter in run):
        parts = [
            letter if "\ue080" <= letter <= "\ue0ff" else encode_basestring_ascii(letter)[1:-1]
            for letter in run
        ]
        return "".join(parts).encode(), error.end
    return encode_basestring_ascii(run)[1:-1], error.end


codecs.register_error("tailrace.json", _escape)


class Encoder:
    """How bodies are printed; `escape_unicode` is the service option `json.escape_unicode`."""

    def __init__(self, escape_unicode: bool = True) -> None:
        self.escape_unicode = escape_unicode

    def lines(self, bodies: Sequence[Any]) -> list[bytes]:
        """Each body as one line of JSON."""
        try:
            lines = list(map(dumps, bodies))
        except TypeError:
            lines = [encode_odd(body) for body in bodies]
        return self._escaped(lines)

    def one(self, value: Any) -> bytes:
        return self.lines([value])[0]

    def _escaped(self, lines: list[bytes]) -> list[bytes]:
        if not self.escape_unicode:
            return lines
        text = b"\n".join(lines)
        if text.isascii() and DELETE not in text:
            return lines
        return escaped(text).split(b"\n")

    def dated_lines(
        self, bodies: Sequence[Body], times: Sequence[int], key: str, encode_time: EncodeTime
    ) -> list[bytes]:
        """As `lines`, with the event's time first under `key`. A body's own key of that name wins, the time is left out."""
        lines = self.lines(bodies)
        head = b"{" + self.one(key) + b":"
        return [
            line
            if key in body
            else head + encode_time(time) + b"," + line[1:]
            if len(line) > 2
            else head + encode_time(time) + b"}"
            for line, body, time in zip(lines, bodies, times, strict=True)
        ]

    def text_lines(self, key: str, texts: Sequence[str]) -> list[bytes]:
        """`{"key":"text"}` for each text: all are escaped in one call."""
        head = b"{" + self.one(key) + b":"
        if not texts:
            return []
        try:
            joined = dumps(texts if isinstance(texts, list) else list(texts))
        except TypeError:
            return [head + line + b"}" for line in self.lines(list(texts))]
        if self.escape_unicode:
            joined = escaped(joined)
        if b'\\",' in joined:  # a text that ends in a quote and a comma looks like a border
            return [head + line + b"}" for line in self.lines(list(texts))]
        inner = joined[2:-2]
        return [head + b'"' + part + b'"}' for part in inner.split(b'","')]

    def dated_text_lines(
        self,
        key: str,
        texts: Sequence[str],
        times: Sequence[int],
        date_key: str,
        encode_time: EncodeTime,
    ) -> list[bytes]:
        """As `text_lines`, with the time first under `date_key`."""
        lines = self.text_lines(key, texts)
        if key == date_key:
            return lines
        head = b"{" + self.one(date_key) + b":"
        return [
            head + encode_time(time) + b"," + line[1:]
            for line, time in zip(lines, times, strict=True)
        ]


def encode_odd(body: Any) -> bytes:
    """What orjson refuses: bytes, invalid UTF-8, large integers, keys that are no text."""
    return dumps(cleaned(body, 0))


def cleaned(value: Any, depth: int) -> Any:
    """The value with all that JSON can't hold made into what Fluent Bit prints for it."""
    if depth > MOST_DEPTH:
        return None
    kind = type(value)
    if kind is str:
        return clean_text(value)
    if kind is dict:
        return {clean_text(as_key(key)): cleaned(item, depth + 1) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [cleaned(item, depth + 1) for item in value]
    if kind is bytes:
        return clean_text(value.decode("utf-8", "surrogateescape"))
    if kind is int and not -(1 << 63) <= value < 1 << 64:
        return float(value)
    if value is None or kind in (bool, int, float):
        return value
    return str(value)


def as_key(key: Any) -> str:
    if isinstance(key, str):
        return key
    return key.decode("utf-8", "surrogateescape") if isinstance(key, bytes) else str(key)


BAD_BYTE = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Escaped bytes become U+E000 + byte; other lone surrogates U+FFFD."""
    return BAD_BYTE.sub(_stand_in, text)


def _stand_in(found: re.Match[str]) -> str:
    code = ord(found.group())
    return chr(0xE000 + code - 0xDC00) if 0xDC80 <= code <= 0xDCFF else "\ufffd"


DELETE = b"\x7f"


def escaped(text: bytes) -> bytes:
    """JSON text with what is beyond printable ASCII as escapes."""
    if not text.isascii():
        text = text.decode().encode("ascii", "tailrace.json")
    return text.replace(DELETE, b"\\u007f")


ENCODER = Encoder()


def encode(value: Any) -> bytes:
    """One value as Fluent Bit prints it by default."""
    return ENCODER.one(value)


def encode_lines(bodies: Sequence[Any]) -> list[bytes]:
    """Each body as one line, as Fluent Bit prints it by default."""
    return ENCODER.lines(bodies)


def iter_objects(value: Any) -> Iterator[Body]:
    """The objects in a value: itself, or those in a list."""
    if type(value) is dict:
        yield value
    elif type(value) is list:
        for item in value:
            if type(item) is dict:
                yield item
