"""The line formats of the output `file`: a chunk in, bytes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tailrace.model import Body, Chunk
from tailrace.wire.json import Encoder
from tailrace.wire.msgpack import encode_events
from tailrace.wire.notation import value_text
from tailrace.wire.records import plain

FORMATS = ("out_file", "plain", "csv", "ltsv", "template", "msgpack")
SECOND = 1_000_000_000
Format = Callable[[Chunk, bool], bytes]
"""The bytes of a chunk; the second argument says whether the file is new."""

DELIMITERS = {"\\t": "\t", "tab": "\t", "space": " ", "comma": ","}


def make_format(options: Any, escape_unicode: bool) -> Format:
    """The format that the options ask for."""
    encoder = Encoder(escape_unicode)
    match options.format:
        case "plain":
            return plain_format(encoder)
        case "csv":
            return csv_format(
                DELIMITERS.get(options.delimiter.lower(), ","), options.csv_column_names
            )
        case "ltsv":
            delimiter = DELIMITERS.get(options.delimiter.lower(), "\t")
            return ltsv_format(delimiter, DELIMITERS.get(options.label_delimiter.lower(), ":"))
        case "template":
            return template_format(options.template)
        case "msgpack":
            return msgpack_format
    return out_file_format(encoder)


def plain_format(encoder: Encoder) -> Format:
    """Bodies, a line each."""

    def encode(chunk: Chunk, is_new: bool) -> bytes:
        text = (
            encoder.block(chunk.key, chunk.block, b"{", b"\n") if chunk.block is not None else None
        )
        if text is not None:
            return text + b"\n"
        if chunk.lines is None:
            return encoder.text(chunk.bodies) + b"\n" if chunk.count else b""
        return b"".join([line + b"\n" for line in plain(encoder, chunk)])

    return encode


def out_file_format(encoder: Encoder) -> Format:
    """`tag: [seconds.nanoseconds, {json}]`."""

    def encode(chunk: Chunk, is_new: bool) -> bytes:
        head = chunk.tag.encode("utf-8", "surrogateescape") + b": ["
        if chunk.block is not None and chunk.times.count(chunk.times[0]) == chunk.count:
            time = chunk.times[0]
            before = b"%b%d.%09d, {" % (head, time // SECOND, time % SECOND)
            text = encoder.block(chunk.key, chunk.block, before, b"]\n")
            if text is not None:
                return text + b"]\n"
        return b"".join(
            [
                b"%b%d.%09d, %b]\n" % (head, time // SECOND, time % SECOND, line)
                for time, line in zip(chunk.times, plain(encoder, chunk), strict=True)
            ]
        )

    return encode


def msgpack_format(chunk: Chunk, is_new: bool) -> bytes:
    if chunk.packed is not None:
        return chunk.packed
    return encode_events(chunk.times, chunk.metadata, chunk.bodies, chunk.groups)


def quoted(value: Any) -> str:
    """Compat: strings stand in quotes without escapes (conformance: outputs/file_csv_values)."""
    return f'"{value}"' if type(value) is str else value_text(value)


def csv_format(delimiter: str, with_header: bool) -> Format:
    """Time, then the values. An empty record writes nothing."""

    def encode(chunk: Chunk, is_new: bool) -> bytes:
        lines = []
        bodies = chunk.bodies
        if with_header and is_new and bodies:
            lines.append(delimiter.join(["timestamp", *(f'"{key}"' for key in bodies[0])]))
        for time, body in zip(chunk.times, bodies, strict=True):
            if body:
                stamp = f"{time // SECOND}.{time % SECOND:09d}"
                lines.append(delimiter.join([stamp, *map(quoted, body.values())]))
        return as_bytes(lines)

    return encode


def ltsv_format(delimiter: str, label_delimiter: str) -> Format:
    def encode(chunk: Chunk, is_new: bool) -> bytes:
        lines = []
        for time, body in zip(chunk.times, chunk.bodies, strict=True):
            if not body:
                continue
            pairs = [f'"time"{label_delimiter}{seconds_text(time)}']
            pairs += [f'"{key}"{label_delimiter}{quoted(value)}' for key, value in body.items()]
            lines.append(delimiter.join(pairs))
        return as_bytes(lines)

    return encode


def seconds_text(time_ns: int) -> str:
    """Seconds with six digits, rounded."""
    return f"{time_ns / SECOND:.6f}"


PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def template_format(template: str) -> Format:
    """`{time}` is the event's, also where the record has such a key, `{key}` a value; what is no key of the record stays as it is."""

    def line(time: int, body: Body) -> str:
        def replacement(found: re.Match[str]) -> str:
            key = found.group(1)
            if key == "time":
                return seconds_text(time)
            if key in body:
                value = body[key]
                return value if type(value) is str else value_text(value)
            return found.group()

        return PLACEHOLDER.sub(replacement, template)

    return lambda chunk, is_new: as_bytes(
        [line(time, body) for time, body in zip(chunk.times, chunk.bodies, strict=True)]
    )


def as_bytes(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape") if lines else b""
