"""A chunk of logs as lines of JSON with the date in front: what most outputs send."""

from __future__ import annotations

from collections.abc import Callable

from tailrace.model import Chunk
from tailrace.model.time import date_encoder
from tailrace.wire.json import Encoder

Records = Callable[[Chunk], list[bytes]]


def record_encoder(date_key: str, date_format: str, escape_unicode: bool = True) -> Records:
    """A function from a chunk to one JSON object per event.

    `date_key` `false` (or empty) leaves the time out. An unknown `date_format` counts as double, as in Fluent Bit. Chunks of
    undecoded lines are printed without being decoded.
    """
    encoder = Encoder(escape_unicode)
    if date_key.lower() in ("", "false", "off", "no"):
        return lambda chunk: plain(encoder, chunk)
    encode_time = encoder_of(date_format)

    def dated(chunk: Chunk) -> list[bytes]:
        if chunk.lines is not None:
            return encoder.dated_text_lines(
                chunk.key, chunk.lines, chunk.times, date_key, encode_time
            )
        bodies = chunk.bodies
        return encoder.dated_lines(bodies, chunk.times, date_key, encode_time)

    return dated


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


def join(records: list[bytes], layout: str) -> bytes:
    """Several records as one text: `json` an array, `json_lines` one a line, `json_stream` one after another."""
    if layout == "json_lines":
        return b"\n".join(records) + b"\n" if records else b""
    if layout == "json_stream":
        return b"".join(records)
    return b"[" + b",".join(records) + b"]"
