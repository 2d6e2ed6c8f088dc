"""Entries of Forward messages of which some are no events: those are left out and told, and the others are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tailrace.model.chunk import Body, Decoded, Metadata
from tailrace.wire.msgpack import MsgpackError, read_event
from tailrace.wire.packed import borders, grouped, unpack_value, with_text_keys


class Entries(NamedTuple):
    """Events, and how many entries were none, with the first reason."""

    events: Decoded
    refused: int
    why: str


def read_packed(packed: bytes) -> Entries:
    """All events of entries that `count_packed` does not take as they are."""
    places, error = borders(packed)
    found = read_entries([unpack_value(packed[start:end]) for start, end in places])
    if not error:
        return found
    return found._replace(refused=found.refused + 1, why=found.why or error)


def read_entries(values: Sequence[Any]) -> Entries:
    """The events among values that stand for entries."""
    times: list[int] = []
    metadata: list[Metadata] = []
    bodies: list[Body] = []
    refused, why = 0, ""
    for value in values:
        try:
            time, meta, body = read_event(value, 0)
        except MsgpackError:
            refused += 1
            why = why or "an entry is no event"
            continue
        times.append(time)
        metadata.append(meta)
        bodies.append(body)
    return Entries(grouped(times, metadata, with_text_keys(bodies)), refused, why)
