"""JSON as the pipeline needs it: whole batches in one call, and a right answer where the fast way has none.

Encoding follows Fluent Bit: no blanks, characters beyond ASCII as `\\uXXXX`, a byte that is no UTF-8 as the character
U+E000 + byte. Decoding: integers beyond unsigned 64 bit become floats; of a repeated key the last value counts.
Text with invalid UTF-8 is a `str` with surrogate escapes (PEP 383).
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Sequence
from itertools import repeat
from json.encoder import encode_basestring_ascii
from operator import contains
from os import urandom
from typing import Any, NamedTuple

import orjson

from tailrace.model.chunk import Body
from tailrace.model.extension import Extension

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
    mark stands between any two lines and is looked for afterwards; when one is missing the lines are read one by one.
    """
    if not lines:
        return []
    mark = new_mark()
    bodies = objects_of(b"[" + mark.text.join(lines) + b"]", mark, len(lines))
    return bodies if bodies is not None else decode_some(lines)


def decode_texts(lines: Sequence[str]) -> list[Body | None]:
    """As `decode_lines`, for lines that are text already."""
    if not lines:
        return []
    mark = new_mark()
    bodies = objects_of("[" + mark.text.decode().join(lines) + "]", mark, len(lines))
    if bodies is not None:
        return bodies
    return decode_some([line.encode("utf-8", "surrogateescape") for line in lines])


def decode_block(block: bytes) -> list[Body | None]:
    """As `decode_lines`, for lines with an LF between two."""
    mark = new_mark()
    text = block.replace(b"\n", mark.text)
    count = (len(text) - len(block)) // (len(mark.text) - 1) + 1
    bodies = objects_of(b"[" + text + b"]", mark, count)
    return bodies if bodies is not None else decode_some(block.split(b"\n"))


class Mark(NamedTuple):
    """What stands between two values: two random numbers between commas, small since Python makes no objects for those."""

    text: bytes
    first: int
    second: int

    def separates(self, values: list[Any], count: int) -> bool:
        """Whether these are `count` values with a mark between any two."""
        return (
            len(values) == 3 * count - 2
            and values[1::3].count(self.first) == count - 1
            and values[2::3].count(self.second) == count - 1
        )


def new_mark() -> Mark:
    first, second = urandom(2)
    return Mark(b",%d,%d," % (first, second), first, second)


def objects_of(text: bytes | str, mark: Mark, count: int) -> list[Body | None] | None:
    """The objects in an array of `count` values with marks between them; None if it isn't that."""
    try:
        values = loads(text)
    except (orjson.JSONDecodeError, RecursionError):
        return None
    if not mark.separates(values, count):
        return None
    bodies: list[Body | None] = values[::3]
    if set(map(type, bodies)) != {dict}:
        return [body if type(body) is dict else None for body in bodies]
    return bodies


def decode_some(lines: Sequence[bytes]) -> list[Body | None]:
    """As `decode_lines` where not all are objects: those that look like one together, else each for itself."""
    likely = [line for line in lines if line[:1] == b"{" and line[-1:] == b"}"]
    if 1 < len(likely) < len(lines):
        found = iter(decode_lines(likely))
        return [
            next(found) if line[:1] == b"{" and line[-1:] == b"}" else decode_line(line)
            for line in lines
        ]
    return list(map(decode_line, lines))


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
BLANK = re.compile(r"[\s,\0]*")
SLIP = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*"?|(?<![{\[,]),(?=\s*[}\]])|(?<![\w.+\-])-?0+(?=\d)', re.DOTALL
)
"""What Fluent Bit reads although it is no JSON: a comma before a closing bracket, a number with zeros before it."""
CUT_ESCAPE = re.compile(r"u[0-9a-fA-F]{0,4}")
CUT_NUMBER = re.compile(r"(?<=\d)(?:\.|[eE][+-]?)")


def decode_stream(data: bytes) -> tuple[list[Any], int, JSONError | None]:
    """Values that stand one after another, blanks or nothing between them.

    Gives the values, how many bytes are done with, and what is wrong at that place if it isn't only incomplete. What
    remains is to be given again with more behind it; whoever calls bounds its length. As in Fluent Bit, a comma before a
    closing bracket, zeros before a number and NUL between values do no harm.
    """
    end = data.rfind(b"\n") + 1
    if end:
        values = _decode_whole_lines(data[: end - 1])
        if values is not None:
            if end == len(data):
                return values, end, None
            rest, consumed, error = _decode_one_by_one(data, end)
            return values + rest, consumed, error
    return _decode_one_by_one(data, 0)


def _decode_whole_lines(block: bytes) -> list[Any] | None:
    """One value a line, or None if any line is not exactly one value. Blank lines are passed over."""
    mark = new_mark()
    marked = block.replace(b"\n", mark.text)
    try:
        values = loads(b"[" + marked + b"]")
    except (orjson.JSONDecodeError, RecursionError):
        lines = block.split(b"\n")
        full = [line for line in lines if line and not line.isspace()]
        if not full:
            return []
        return _decode_whole_lines(b"\n".join(full)) if len(full) < len(lines) else None
    if not mark.separates(values, (len(marked) - len(block)) // (len(mark.text) - 1) + 1):
        return None
    found: list[Any] = values[::3]
    return found


def without_slips(text: str) -> str:
    """Text with blanks for what `SLIP` finds. No place shifts."""
    return SLIP.sub(_blank, text)


def _blank(found: re.Match[str]) -> str:
    slip = found.group()
    if slip[0] == '"':
        return slip
    return ("-" if slip[0] == "-" else "").rjust(len(slip))


def _decode_one_by_one(data: bytes, start: int) -> tuple[list[Any], int, JSONError | None]:
    """As `decode_stream`, from the byte `start` on."""
    text = without_halves(data[start:].decode("utf-8", "surrogateescape"))
    values: list[Any] = []
    may_have_slips = True
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
            if may_have_slips:
                text, may_have_slips = text[:at] + without_slips(text[at:]), False
                continue
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
            lines = list(map(encode_odd, bodies))
        text = b"\n".join(lines)
        escaped_text = self.escape(text)
        return lines if escaped_text is text else escaped_text.split(b"\n")

    def one(self, value: Any) -> bytes:
        return self.text([value])

    def text(self, bodies: Sequence[Any]) -> bytes:
        """All bodies as JSON, an LF between two."""
        try:
            text = b"\n".join(map(dumps, bodies))
        except TypeError:
            text = b"\n".join(map(encode_odd, bodies))
        return self.escape(text)

    def escape(self, text: bytes) -> bytes:
        """JSON text with DEL as an escape and, unless that is off, all that is beyond ASCII too."""
        if (
            text.rfind(SMALL) >= 0  # half the cost of `in` for so common a letter
            or text.rfind(TINY) >= 0
            or may_hold_large(text)
        ):
            text = with_floats_of_c(text)
        return escaped(text) if self.escape_unicode else text.replace(DELETE, b"\\u007f")

    def dated_text(self, bodies: Sequence[Body], key: str, dates: Sequence[Any]) -> bytes:
        """As `text`, with each date, a value that JSON knows, first under `key`; a body's own key of that name wins.

        Dates are spliced into the bytes, which takes a fifth more than `text`, where a new map for each event takes twice as long.
        """
        if not self.can_splice(bodies, key):
            return self._dated_one_by_one(bodies, key, dates)
        head = b"{" + self.one(key) + b":"
        try:
            rests = [line[1:] for line in map(dumps, bodies)]
            # NUL stands between the heads of all events; JSON holds none.
            heads = dumps(dates)[1:-1].replace(b",", b",\0\n" + head) + b","
        except TypeError:
            return self._dated_one_by_one(bodies, key, dates)
        parts = [b""] * (2 * len(rests))
        parts[1::2] = rests
        try:
            parts[::2] = (head + heads).split(b"\0")
        except ValueError:  # a date with a comma in it
            return self._dated_one_by_one(bodies, key, dates)
        return self.escape(b"".join(parts))

    def _dated_one_by_one(self, bodies: Sequence[Body], key: str, dates: Sequence[Any]) -> bytes:
        dated = [
            body if key in body else {key: date, **body}
            for body, date in zip(bodies, dates, strict=True)
        ]
        return self.text(dated)

    def can_splice(self, bodies: Sequence[Body], key: str) -> bool:
        """Whether bytes behind each opening brace are right: no body is empty or has the key itself."""
        return all(bodies) and not any(map(contains, bodies, repeat(key)))

    def spliced_text(self, bodies: Sequence[Body], runs: Sequence[tuple[int, bytes]]) -> bytes:
        """As `text`, with the same bytes behind the opening brace of all bodies of a run; a run is its end and its bytes.

        Cheaper than `dated_text` (bench: tcp_tcp).
        """
        try:
            lines = [line[1:] for line in map(dumps, bodies)]
        except TypeError:
            lines = [encode_odd(body)[1:] for body in bodies]
        parts, start = [], 0
        for end, inserted in runs:
            parts.append(b"{" + inserted + (b"\n{" + inserted).join(lines[start:end]))
            start = end
        return self.escape(b"\n".join(parts))

    def block(self, key: str, block: bytes, before: bytes, between: bytes) -> bytes | None:
        """Lines with an LF between two as `{"key":"line"}`, printed in one go; None if that can't be done.

        `before` stands instead of each opening brace, `between` between two records.
        """
        in_ascii = self.escape_unicode and not block.isascii()
        border = next((each for each in RARE if each not in block), None) if in_ascii else BORDER
        if border is None or border in block or (in_ascii and holds_bad_bytes(block)):
            return None
        try:
            joined = block.replace(b"\n", border).decode()
        except UnicodeDecodeError:
            return None
        text = encode_basestring_ascii(joined).encode() if in_ascii else dumps(joined)
        head = before + self.one(key) + b":"
        return head + text.replace(border, b'"}' + between + head + b'"') + b"}"

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
        joined = self.escape(joined)
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


SMALL = b"e-"
TINY = b"0.0000"
LARGE = b"e+1"
PLUS = b"+"
FEW = 500
"""So many pluses are looked at one by one."""
END_OF_NUMBER = (b",", b"}", b"]")
TINY_NUMBER = re.compile(rb"(?<!\d)0\.0000\d+[,\]}]")
LARGE_NUMBER = re.compile(rb"e\+1[678][,\]}]")
NUMBER_OR_TEXT = re.compile(
    rb'"(?:[^"\\]|\\.)*"|(-?(?:\d(?:\.\d+)?e(?:-\d|\+1[678])|(?<!\d)0\.0000\d+))(?=[,\]}])'
)


def with_floats_of_c(text: bytes) -> bytes:
    """JSON text with floats as Fluent Bit prints them: 1e-07, 1e-05 and 10000000000000000.0, where orjson has 1e-7, 0.00001 and 1e+16."""
    if holds_small(text) or holds(text, TINY, TINY_NUMBER) or holds(text, LARGE, LARGE_NUMBER):
        return NUMBER_OR_TEXT.sub(_float_of_c, text)
    return text


def may_hold_large(text: bytes) -> bool:
    """Whether an exponent from 10 on may be in it. A plus is seldom, and one letter is looked for much faster than two."""
    at = text.find(PLUS)
    for _ in range(FEW):
        if at < 0 or text[at - 1 : at] == b"e":
            return at >= 0
        at = text.find(PLUS, at + 1)
    return at >= 0 and text.rfind(LARGE, at - 1) >= 0


def holds_small(text: bytes) -> bool:
    """Whether an exponent of one digit may be in it."""
    at = text.find(SMALL)
    while at >= 0:
        if text[at + 3 : at + 4] in END_OF_NUMBER and text[at + 2 : at + 3].isdigit():
            return True
        at = text.find(SMALL, at + 2)
    return False


def holds(text: bytes, needle: bytes, pattern: re.Pattern[bytes]) -> bool:
    """Whether the pattern, which begins as the needle, matches anywhere: much faster than a search for it."""
    at = text.find(needle)
    while at >= 0:
        if pattern.match(text, at):
            return True
        at = text.find(needle, at + len(needle))
    return False


def _float_of_c(found: re.Match[bytes]) -> bytes:
    if not found[1]:
        return found[0]
    number = float(found[1])
    whole = -float(1 << 63) <= number < 1 << 63 and number.is_integer()
    return b"%.1f" % number if whole else repr(number).encode()


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
    if kind is bytes or kind is Extension:
        data = value.data if kind is Extension else value
        return clean_text(data.decode("utf-8", "surrogateescape"))
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
BORDER = DELETE
"""Stands between lines that are printed in one go: a character that JSON does not escape and lines hardly hold."""
RARE = (b"`", b"~", b"^", b"|", b"@", b"#", b"$", b"&")
"""The same where all but printable ASCII is escaped."""


def escaped(text: bytes) -> bytes:
    """JSON text with what is beyond printable ASCII as escapes."""
    if not text.isascii():
        text = ascii_only(text)
    return text.replace(DELETE, b"\\u007f") if DELETE in text else text


PAIR_OF_BACKSLASHES = b"\\\\"
NUL = b"\0"
LATIN_1 = (b"\xc2", b"\xc3")
BEYOND_16_BIT = (b"\xf0", b"\xf1", b"\xf2", b"\xf3", b"\xf4")
"""First bytes of UTF-8 characters whose escapes differ from Python's. One byte is looked for much faster than two."""


def ascii_only(text: bytes) -> bytes:
    """JSON text with what is beyond ASCII as escapes.

    Python's own escapes are made in C: 40 times faster than a call for each run (bench: non-ASCII corpus). They differ from
    JSON's below U+0100 and beyond U+FFFF. Escaped backslashes stand aside meanwhile as NUL, which JSON text never holds.
    """
    if holds_bad_bytes(text):
        return text.decode().encode("ascii", "tailrace.json")
    found = text
    has_backslashes = b"\\" in text and PAIR_OF_BACKSLASHES in text
    if has_backslashes:
        found = found.replace(PAIR_OF_BACKSLASHES, NUL)
    found = found.decode().encode("ascii", "backslashreplace")
    if any(first in text for first in LATIN_1):
        found = b"\\u00".join(found.split(b"\\x"))
    if any(first in text for first in BEYOND_16_BIT):
        head, *parts = found.split(b"\\U00")
        found = head + b"".join([_surrogates[part[:6]] + part[6:] for part in parts])
    return found.replace(NUL, PAIR_OF_BACKSLASHES) if has_backslashes else found


def holds_bad_bytes(text: bytes) -> bool:
    """Whether characters from U+E080 to U+E0FF, which stand for invalid bytes and stay, are in it."""
    return b"\xee" in text and (b"\xee\x82" in text or b"\xee\x83" in text)


class _Surrogates(dict[bytes, bytes]):
    """Two escapes by six digits; as many as there are characters at most."""

    def __missing__(self, digits: bytes) -> bytes:
        code = int(digits, 16) - 0x10000
        text = b"\\u%04x\\u%04x" % (0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
        if len(self) < MOST_REMEMBERED:
            self[digits] = text
        return text


MOST_REMEMBERED = 4096
_surrogates = _Surrogates()


ENCODER = Encoder()


def encode(value: Any) -> bytes:
    """One value as Fluent Bit prints it by default."""
    return ENCODER.one(value)


def encode_lines(bodies: Sequence[Any]) -> list[bytes]:
    """Each body as one line, as Fluent Bit prints it by default."""
    return ENCODER.lines(bodies)
