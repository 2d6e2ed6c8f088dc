"""A chunk of logs as lines of JSON with the date in front: what most outputs send.

What an event has beside its body stands under `__internal__`, as in Fluent Bit:

    {"date": 1.5, "__internal__": {"group_attributes": {"resource": {}, "scope": {}}, "log_metadata": {}}, "log": "text"}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby, repeat
from typing import Any

from tailrace.model import Chunk
from tailrace.model.time import date_encoder, date_values
from tailrace.wire.json import Encoder
from tailrace.wire.size import groups_shown

OFF = ("", "false", "off", "no")
Records = Callable[[Chunk], list[bytes]]
TextEncoder = Callable[[Chunk], bytes]
LAYOUTS = {
    "json": (b"[", b",", b"]"),
    "json_lines": (b"", b"\n", b"\n"),
    "json_stream": (b"", b"", b""),
}
"""What stands before, between and behind records."""


def record_encoder(date_key: str, date_format: str, escape_unicode: bool = True) -> Records:
    """A function from a chunk to one JSON object per event.

    `date_key` `false` (or empty) leaves the time out. An unknown `date_format` counts as double, as in Fluent Bit. Chunks of
    undecoded lines are printed without being decoded.
    """
    encoder = Encoder(escape_unicode)
    if date_key.lower() in OFF:
        return lambda chunk: plain(encoder, with_internals(chunk))
    encode_time = encoder_of(date_format)

    def dated(chunk: Chunk) -> list[bytes]:
        chunk = with_internals(chunk)
        if chunk.lines is not None:
            return encoder.dated_text_lines(
                chunk.key, chunk.lines, chunk.times, date_key, encode_time
            )
        bodies = chunk.bodies
        return encoder.dated_lines(bodies, chunk.times, date_key, encode_time)

    return dated


def text_encoder(
    date_key: str, date_format: str, layout: str, escape_unicode: bool = True
) -> TextEncoder:
    """As `record_encoder` and `join` of its records, but made in one go where that can be done."""
    encoder = Encoder(escape_unicode)
    records = record_encoder(date_key, date_format, escape_unicode)
    is_dated = date_key.lower() not in OFF
    encode_time, values = encoder_of(date_format), values_of(date_format)
    begin, between, end = LAYOUTS[layout]
    date_name = encoder.one(date_key) + b":"

    def one_go(chunk: Chunk) -> bytes | None:
        if chunk.block is not None:
            if not is_dated or chunk.key == date_key:
                return encoder.block(chunk.key, chunk.block, b"{", between)
            times = chunk.times
            if times.count(times[0]) < len(times):
                return None
            before = b"{" + date_name + encode_time(times[0]) + b","
            return encoder.block(chunk.key, chunk.block, before, between)
        if chunk.lines is not None:
            return None
        if not is_dated:
            text = encoder.text(chunk.bodies)
        elif (runs := runs_of(chunk.times)) and encoder.can_splice(chunk.bodies, date_key):
            text = encoder.spliced_text(
                chunk.bodies, [(end, date_name + encode_time(time) + b",") for end, time in runs]
            )
        else:
            dates = values(chunk.times)
            if dates is None:
                return None
            text = encoder.dated_text(chunk.bodies, date_key, dates)
        return text if between == b"\n" else text.replace(b"\n", between)

    def inner(chunk: Chunk) -> bytes:
        chunk = with_internals(chunk)
        text = one_go(chunk)
        return between.join(records(chunk)) if text is None else text

    def encode(chunk: Chunk) -> bytes:
        if not chunk.count:
            return join([], layout)
        texts = map(inner, chunk.parts) if chunk.parts else [inner(chunk)]
        return b"%b%b%b" % (begin, between.join(texts), end)

    return encode


INTERNAL = "__internal__"


def with_internals(chunk: Chunk) -> Chunk:
    """The chunk; if it has metadata or groups, another one with those in its bodies."""
    metadata, groups = chunk.metadata, chunk.groups
    if metadata is None and groups is None:
        return chunk
    if groups is not None:
        groups = groups_shown(groups)
    bodies = []
    for body, meta, group in zip(
        chunk.bodies, metadata or repeat({}), groups or repeat(None), strict=False
    ):
        attributes = None if group is None else group.body
        if attributes or meta:
            internal = {} if attributes is None else {"group_attributes": attributes}
            bodies.append({INTERNAL: {**internal, "log_metadata": meta}, **body})
        else:
            bodies.append(body)
    return Chunk(chunk.tag, chunk.times, bodies, None, chunk.nbytes)


LEAST_RUN = 8
"""Equal times in a row from which on their date is written once."""


def runs_of(times: Sequence[int]) -> list[tuple[int, int]]:
    """Where each run of equal times ends, and its time; empty if times differ from one event to the next."""
    last = min(len(times), LEAST_RUN) - 1
    if times[0] != times[last]:
        return []
    runs, end = [], 0
    for time, run in groupby(times):
        end += len(list(run))
        runs.append((end, time))
    return runs if len(runs) * LEAST_RUN <= len(times) else []


def plain(encoder: Encoder, chunk: Chunk) -> list[bytes]:
    """The bodies alone."""
    if chunk.lines is not None:
        return encoder.text_lines(chunk.key, chunk.lines)
    return encoder.lines(chunk.bodies)


def encoder_of(date_format: str) -> Callable[[int], bytes]:
    try:
        return date_encoder(date_format.lower() or "double")
    except ValueError:
        return date_encoder("double")


def values_of(date_format: str) -> Callable[[Sequence[int]], list[Any] | None]:
    try:
        return date_values(date_format.lower() or "double")
    except ValueError:
        return date_values("double")


def join(records: list[bytes], layout: str) -> bytes:
    """Several records as one text: `json` an array, `json_lines` one a line, `json_stream` one after another."""
    begin, between, end = LAYOUTS[layout]
    if not records and layout == "json_lines":
        return b""
    return begin + between.join(records) + end
