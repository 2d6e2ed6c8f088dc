"""How a piece of a file becomes a chunk: raw lines, parsed lines, or joined ones.

One `Shape` is made per input, so that what its options ask for is decided once. The usual case, raw lines under one
key, is a chunk that stays undecoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any, NamedTuple

from tailrace.inputs.tail.files import File, Piece
from tailrace.inputs.tail.joining import Events, Keys
from tailrace.model import Body, Chunk
from tailrace.plugin import Parser

Shape = Callable[[File, Piece, int], Chunk | None]
"""A chunk of a piece's whole lines at a time (nanoseconds since the epoch), or None if it gives no event."""
MOST_FROM_END = 64
TRUNCATED = "line_truncated"
"""The key in the metadata of a line that was cut."""


class Lines(NamedTuple):
    """Lines as they are (`raw`), without a CR at their end (`texts`), and their offsets if asked for."""

    raw: list[str]
    texts: list[str]
    starts: list[int]


def without_cr(lines: list[str]) -> list[str]:
    # Compat: a line of only CR LF is a CR (conformance: inputs/tail_crlf).
    return [line[:-1] if line[-1:] == "\r" and len(line) > 1 else line for line in lines]


def read_lines(file: File, piece: Piece, with_starts: bool, skip_empty: bool) -> Lines:
    """The lines of a piece."""
    data, begin, end = piece.data, piece.begin, piece.end
    encoding = file.encoding
    raw = encoding.lines(data, begin, end)
    starts = encoding.starts(data, begin, end, piece.offset) if with_starts else []
    if skip_empty:
        filled = [line not in ("", "\r") for line in raw]
        raw, starts = list(compress(raw, filled)), list(compress(starts, filled))
    texts = without_cr(raw) if data.find(b"\r", begin, end) >= 0 else raw
    return Lines(raw, texts, starts)


class Starts(Sequence[int]):
    """The offsets of a piece's lines, found when they are asked for: the last few, from the end, for next to nothing."""

    def __init__(self, file: File, piece: Piece, raw: list[str]) -> None:
        self._file = file
        self._piece = piece
        self._raw = raw
        self._made: list[int] | None = None

    def __len__(self) -> int:
        return len(self._raw)

    def __iter__(self) -> Iterator[int]:
        return iter(self._all())

    def __getitem__(self, at: Any) -> Any:
        if self._made is None and isinstance(at, int) and -MOST_FROM_END <= at < 0:
            piece, lines = self._piece, self._raw[at:]
            size = sum([len(line.encode("utf-8", "surrogateescape")) + 1 for line in lines])
            return piece.offset + piece.end - piece.begin - size
        return self._all()[at]

    def _all(self) -> list[int]:
        if self._made is None:
            piece = self._piece
            self._made = self._file.encoding.starts(
                piece.data, piece.begin, piece.end, piece.offset
            )
        return self._made


def lines_to_join(file: File, piece: Piece, skip_empty: bool) -> tuple[list[str], Sequence[int]]:
    """The lines of a piece without a CR at their end, and where they start."""
    if skip_empty or not file.encoding.is_plain:
        lines = read_lines(file, piece, True, skip_empty)
        return lines.texts, lines.starts
    lines = read_lines(file, piece, False, False)
    return lines.texts, Starts(file, piece, lines.raw)


def plain_block(file: File, piece: Piece) -> bytes | None:
    """The lines of a piece as they stand in the file, if nothing has to be done about them: UTF-8 without CR."""
    if not file.encoding.is_plain or piece.data.find(b"\r", piece.begin, piece.end) >= 0:
        return None
    return piece.data[piece.begin : piece.end - 1]


def raw_lines(keys: Keys, skip_empty: bool) -> Shape:
    """Each line under one key, undecoded unless path or offset are asked for."""
    if keys.extra:
        return raw_bodies(keys, skip_empty)
    key = keys.key

    def shape(file: File, piece: Piece, now_ns: int) -> Chunk | None:
        block = None if skip_empty else plain_block(file, piece)
        if block is not None:
            # Three times as fast as `block.count`, which compares byte by byte.
            count = len(block) - len(block.replace(b"\n", b"")) + 1
            return Chunk.of_block(file.tag, [now_ns] * count, key, block)
        lines = read_lines(file, piece, False, skip_empty).texts
        if not lines:
            return None
        nbytes = piece.end - piece.begin
        return Chunk.of_lines(file.tag, [now_ns] * len(lines), key, lines, nbytes)

    return shape


def raw_bodies(keys: Keys, skip_empty: bool) -> Shape:
    """Each line with its path or offset before it."""
    key, path_key, offset_key = keys.key, keys.path_key, keys.offset_key

    def shape(file: File, piece: Piece, now_ns: int) -> Chunk | None:
        lines = read_lines(file, piece, bool(offset_key), skip_empty)
        if not lines.texts:
            return None
        path = file.shown
        if not offset_key:
            bodies: list[Body] = [{path_key: path, key: line} for line in lines.texts]
        elif not path_key:
            both = zip(lines.texts, lines.starts, strict=True)
            bodies = [{offset_key: start, key: line} for line, start in both]
        else:
            both = zip(lines.texts, lines.starts, strict=True)
            bodies = [{path_key: path, offset_key: start, key: line} for line, start in both]
        return chunk_of(file, piece, [now_ns] * len(bodies), bodies)

    return shape


def parsed_lines(parser: Parser[Any], keys: Keys, skip_empty: bool) -> Shape:
    """What a parser makes of each line; one that does not parse stays raw."""
    with_starts = bool(keys.offset_key)
    in_blocks = parser.takes_blocks and not keys.extra and not skip_empty

    def shape(file: File, piece: Piece, now_ns: int) -> Chunk | None:
        block = plain_block(file, piece) if in_blocks else None
        if block is not None:
            return shape_block(file, piece, block, now_ns)
        lines = read_lines(file, piece, with_starts, skip_empty)
        if not lines.texts:
            return None
        parsed = parser.parse(lines.texts)
        times = [time or now_ns for time in parsed.times]
        bodies = parsed.bodies
        if keys.extra:
            return chunk_of(file, piece, times, decorated(bodies, lines, file.shown, keys))
        if None in bodies:
            # Compat: a line that does not parse keeps its CR (conformance: inputs/tail_crlf_parser).
            key = keys.key
            both = zip(bodies, lines.raw, strict=True)
            bodies = [{key: line} if body is None else body for body, line in both]
        return chunk_of(file, piece, times, bodies)  # type: ignore[arg-type]  # no None is left

    def shape_block(file: File, piece: Piece, block: bytes, now_ns: int) -> Chunk:
        parsed = parser.parse_block(block)
        times, bodies = parsed.times, parsed.bodies
        if not all(times):
            times = [time or now_ns for time in times]
        if not all(bodies):
            key = keys.key
            both = zip(bodies, file.encoding.text(block).split("\n"), strict=True)
            bodies = [{key: line} if body is None else body for body, line in both]
        return chunk_of(file, piece, times, bodies)  # type: ignore[arg-type]  # no None is left

    return shape


def decorated(bodies: list[Body | None], lines: Lines, path: str, keys: Keys) -> list[Body]:
    """Parsed bodies with path and offset after their fields, unparsed lines with them before."""
    starts = lines.starts or [0] * len(bodies)
    made: list[Body] = []
    for body, line, start in zip(bodies, lines.raw, starts, strict=True):
        if body is None:
            body = keys.raw(path, start, line)
        else:
            keys.add(body, path, start)
        made.append(body)
    return made


def joined_lines(skip_empty: bool) -> Shape:
    """What the file's joiner makes of its lines."""

    def shape(file: File, piece: Piece, now_ns: int) -> Chunk | None:
        assert file.joiner is not None
        lines, starts = lines_to_join(file, piece, skip_empty)
        events = file.joiner.feed(lines, starts, now_ns)
        return chunk_of_events(file, events, piece.end - piece.begin)

    return shape


def cut_line(file: File, piece: Piece, keys: Keys, now_ns: int) -> tuple[Chunk, bool]:
    """The start of a line that is too long, unparsed, marked; and whether anything of it is missing."""
    text = file.encoding.text(piece.data[piece.begin : piece.end])
    whole = file.encoding.first_end(piece.data, piece.end) == piece.end + file.encoding.width
    body = keys.raw(file.shown, piece.offset, text)
    chunk = chunk_of(file, piece, [now_ns], [body])
    if not whole:
        chunk.metadata = [{TRUNCATED: True}]
    return chunk, not whole


def chunk_of(file: File, piece: Piece, times: list[int], bodies: list[Body]) -> Chunk:
    return Chunk(file.tag, times, bodies, None, piece.end - piece.begin)


def chunk_of_events(file: File, events: Events, nbytes: int) -> Chunk | None:
    if not events.bodies:
        return None
    return Chunk(file.tag, events.times, events.bodies, events.metadata, nbytes)
