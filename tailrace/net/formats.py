"""The formats in which plain network outputs (http, tcp, udp) send events: msgpack and three layouts of JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tailrace.config import ConfigError
from tailrace.model import Chunk
from tailrace.model.accessor import AccessorError, Template
from tailrace.plugin import Context
from tailrace.plugin.log import Log
from tailrace.wire.msgpack import encode_each, packed_events
from tailrace.wire.records import record_encoder, text_encoder
from tailrace.wire.size import groups_shown

LAYOUTS = ("msgpack", "json", "json_stream", "json_lines")


def known_layout(word: str, layouts: Sequence[str], log: Log) -> str:
    """The format in lower case. Compat: an unknown one is reported and counts as msgpack, as in Fluent Bit."""
    found = word.lower()
    if found in layouts:
        return found
    log.error(f"format: '{word}' is not known, msgpack is sent. Give one of: {', '.join(layouts)}.")
    return "msgpack"


def chunk_encoder(
    layout: str, date_key: str, date_format: str, context: Context
) -> Callable[[Chunk], bytes]:
    """What makes one text (or MessagePack) of all events of a chunk."""
    if layout == "msgpack":
        return packed_events
    return text_encoder(date_key, date_format, layout, context.service("json.escape_unicode"))


def event_encoder(
    layout: str, date_key: str, date_format: str, context: Context
) -> Callable[[Chunk], list[bytes]]:
    """What makes a message of each event: MessagePack, or JSON and a newline."""
    if layout == "msgpack":
        return each_packed
    records = record_encoder(date_key, date_format, context.service("json.escape_unicode"))
    if layout == "json":
        return lambda chunk: [b"[" + record + b"]\n" for record in records(chunk)]
    return lambda chunk: [record + b"\n" for record in records(chunk)]


def each_packed(chunk: Chunk) -> list[bytes]:
    """Each event as MessagePack, in its group."""
    groups = None if chunk.groups is None else groups_shown(chunk.groups)
    return encode_each(chunk.times, chunk.metadata, chunk.bodies, groups)


def raw_lines(name: str, text: str) -> Callable[[Chunk], list[bytes]]:
    """What makes a line of each event by a template such as `$log`; what is missing leaves an empty line."""
    try:
        render = Template(text).render
    except AccessorError as error:
        raise ConfigError(f"{name}: {error}") from error

    def lines(chunk: Chunk) -> list[bytes]:
        tag = chunk.tag
        return [
            render(body, tag).encode("utf-8", "surrogateescape") + b"\n" for body in chunk.bodies
        ]

    return lines
