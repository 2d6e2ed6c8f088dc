"""What comes in over a plain socket as events: JSON values, or text between separators, as the inputs tcp and udp take it.

Recorded from Fluent Bit: a JSON array becomes `{"msg": [...]}`, other values are no events; text becomes `{"log": text}`, and so
does a text that the parser refuses.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

from tailrace.config import ConfigError, Options, option
from tailrace.config.types import Reader, one_of, text
from tailrace.model import Body, Chunk
from tailrace.plugin import Context
from tailrace.wire.json import decode_lines, decode_stream

KIBI = 1024
DEFAULT_RECORD_BYTES = 32 * KIBI
SIZE = re.compile(r"\s*(\d+)\s*([kmg]?)", re.IGNORECASE)
FACTORS = {"": KIBI, "k": KIBI, "m": KIBI**2, "g": KIBI**3}


def read_kibibytes(value: Any) -> int:
    """Bytes, from a number that counts KiB unless it says otherwise: `64`, `64k` and `0` (the default), `1M`."""
    found = SIZE.match(text(value))
    if not found:
        raise ConfigError(f"{value!r} is no size.", "Give a number of KiB, as: 64.")
    return int(found.group(1)) * FACTORS[found.group(2).lower()]


KIBIBYTES = Reader("KiB", read_kibibytes)


class PayloadOptions(Options):
    """How records are told apart and read."""

    format: str = option("json", reader=one_of("json", "none"))
    """json: values one after another; none: text up to a separator, under the key `log`."""

    separator: str = option("")
    r"""What ends a record with `format none`; escapes as `\n` and `\x1e` count; default: `\n`."""

    parser: str = option("")
    """Read each line with this parser; takes `format none` with it."""

    chunk_size: int = option(0, reader=KIBIBYTES)
    """Lower bound of `buffer_size`, in KiB; default 32."""

    buffer_size: int = option(0, reader=KIBIBYTES)
    """Longest record in KiB; a client that sends a longer one is cut off (udp: the datagram is dropped). Default: `chunk_size`."""

    source_address_key: str = option("")
    """Add the sender's address under this key, as `tcp://10.0.0.1:5000`."""

    workers: int = option(1)
    """Accepted for compatibility: one loop serves all clients. More cores are used with the service's `processes`."""


class Piece(NamedTuple):
    """Records of one sender: bodies (JSON) or lines (text)."""

    sender: str
    records: list[Any]


class Taken(NamedTuple):
    """What was made of some bytes: records, the bytes that are no whole record yet, and what had to be given up."""

    records: list[Any]
    rest: bytes
    refused: int = 0
    why: str = ""


class Payload:
    """Bytes to records, and records to chunks. `limit` is the longest record in bytes."""

    separator = b"\n"
    """What usually ends a record."""

    def __init__(self, options: PayloadOptions, context: Context) -> None:
        self.options = options
        self.context = context
        self.limit = max(options.chunk_size, options.buffer_size) or DEFAULT_RECORD_BYTES

    @abstractmethod
    def take(self, data: bytes) -> Taken:
        """The whole records in the data."""

    @abstractmethod
    def take_all(self, data: bytes) -> Taken:
        """The records of data behind which nothing comes, as a datagram; leaves no rest."""

    def take_each(self, datagrams: Sequence[bytes]) -> list[Taken]:
        """As `take_all`, for many datagrams."""
        return [self.take_all(data) for data in datagrams]

    @abstractmethod
    def chunk(self, tag: str, pieces: Sequence[Piece]) -> Chunk | None:
        """One chunk of the pieces' records."""

    def has_long_record(self, data: bytes) -> bool:
        """Whether somewhere in the data no separator comes for longer than the limit."""
        start, limit, separator = 0, self.limit, self.separator
        while start + limit < len(data):
            end = data.rfind(separator, start, start + limit + len(separator))
            if end < 0:
                return True
            start = end + len(separator)
        return False

    def add_senders(self, bodies: list[Body], pieces: Sequence[Piece]) -> None:
        """Put each sender's address into its bodies, if an option names a key for it."""
        key = self.options.source_address_key
        if not key:
            return
        start = 0
        for piece in pieces:
            end = start + len(piece.records)
            for body in bodies[start:end]:
                body[key] = piece.sender
            start = end


def make_payload(options: PayloadOptions, context: Context) -> Payload:
    """The reader that the options ask for; `ConfigError` if they will not do."""
    if options.parser or options.format == "none":
        return Lines(options, context)
    return JsonValues(options, context)


class JsonValues(Payload):
    """JSON values one after another, blanks or nothing between them.

    What is no JSON is passed over up to the next line.
    """

    def take(self, data: bytes) -> Taken:
        bodies: list[Body] = []
        refused, why = 0, ""
        while data:
            values, consumed, error = decode_stream(data)
            if odd := self.collect(values, bodies):
                refused, why = refused + odd, "a JSON value that is no object"
            data = data[consumed:]
            if error is None:
                break
            refused, why = refused + 1, f"no JSON: {error}"
            end = data.find(b"\n") + 1
            data = data[end:] if end else b""
        return Taken(bodies, data, refused, why)

    def take_all(self, data: bytes) -> Taken:
        taken = self.take(data + b"\n")
        if not taken.rest.strip():
            return taken._replace(rest=b"")
        return taken._replace(rest=b"", refused=taken.refused + 1, why="JSON that is cut off")

    def take_each(self, datagrams: Sequence[bytes]) -> list[Taken]:
        """Most datagrams hold one object: all are read in one call."""
        return [
            self.take_all(data) if body is None else Taken([body], b"")
            for data, body in zip(datagrams, decode_lines(datagrams), strict=True)
        ]

    def collect(self, values: list[Any], bodies: list[Body]) -> int:
        """Add the values as bodies; how many are none."""
        if set(map(type, values)) <= {dict}:
            bodies += values
            return 0
        odd = 0
        for value in values:
            if type(value) is dict:
                bodies.append(value)
            elif type(value) is list:
                bodies.append({"msg": value})
            else:
                odd += 1
        return odd

    def chunk(self, tag: str, pieces: Sequence[Piece]) -> Chunk | None:
        bodies = records_of(pieces)
        self.add_senders(bodies, pieces)
        now = self.context.clock.time_ns()
        return Chunk(tag, [now] * len(bodies), bodies) if bodies else None


class Lines(Payload):
    """Text up to a separator. Empty lines are passed over."""

    def __init__(self, options: PayloadOptions, context: Context) -> None:
        super().__init__(options, context)
        self.text_separator = unescape(options.separator or "\\n")
        self.separator = self.text_separator.encode("utf-8", "surrogateescape")
        self.parser = context.parser(options.parser) if options.parser else None

    def take(self, data: bytes) -> Taken:
        end = data.rfind(self.separator)
        if end < 0:
            return Taken([], data)
        return Taken(self.split(data[:end]), data[end + len(self.separator) :])

    def take_all(self, data: bytes) -> Taken:
        return Taken(self.split(data), b"")

    def split(self, data: bytes) -> list[str]:
        lines = data.decode("utf-8", "surrogateescape").split(self.text_separator)
        return [line for line in lines if line] if "" in lines else lines

    def chunk(self, tag: str, pieces: Sequence[Piece]) -> Chunk | None:
        lines = records_of(pieces)
        if not lines:
            return None
        now = self.context.clock.time_ns()
        times = [now] * len(lines)
        if self.parser is None and not self.options.source_address_key:
            return Chunk.of_lines(tag, times, "log", lines, 0)
        bodies: list[Body] = [{"log": line} for line in lines]
        if self.parser is not None:
            parsed = self.parser.parse(lines)
            times = [now if time is None else time for time in parsed.times]
            bodies = [
                unparsed if body is None else body
                for body, unparsed in zip(parsed.bodies, bodies, strict=True)
            ]
        self.add_senders(bodies, pieces)
        return Chunk(tag, times, bodies)


def records_of(pieces: Sequence[Piece]) -> list[Any]:
    if len(pieces) == 1:
        return pieces[0].records
    return [record for piece in pieces for record in piece.records]


ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}


def unescape(written: str) -> str:
    r"""Text with `\n`, `\t`, `\x1e` and the like as what they stand for."""

    def stand_for(found: re.Match[str]) -> str:
        code = found.group(1)
        if len(code) == 3:
            number = int(code[1:], 16)
            return chr(number if number < 0x80 else 0xDC00 + number)  # a byte, as PEP 383 has it
        return ESCAPED.get(code, code)

    return ESCAPE.sub(stand_for, written)


def address_of(scheme: str, name: Any) -> str:
    """A peer's address as it stands in records: `tcp://127.0.0.1:5000`."""
    if not isinstance(name, tuple) or len(name) < 2:
        return ""
    return f"{scheme}://{name[0]}:{name[1]}"
