"""How chunks of each kind lie in files: logs as events, metrics as Fluent Bit packs them."""

from __future__ import annotations

from tailrace.model import LOGS, METRICS, Chunk
from tailrace.wire import chunkfile
from tailrace.wire.chunkfile import ChunkFile, ChunkFileError
from tailrace.wire.msgpack import encode_events

STORABLE = LOGS | METRICS
"""The signals that chunk files can hold."""


def pack(chunk: Chunk, routes: tuple[str, ...] = ()) -> ChunkFile:
    """The file of a chunk whose kind is one of `STORABLE`."""
    if chunk.kind is METRICS:
        from tailrace.wire import cmetrics

        return ChunkFile(chunk.tag, cmetrics.encode(chunk.payload), chunkfile.METRICS, routes)
    events = chunk.packed
    if events is None:
        events = encode_events(chunk.times, chunk.metadata, chunk.bodies, chunk.groups)
    return ChunkFile(chunk.tag, events, chunkfile.LOGS, routes)


def unpack(file: ChunkFile) -> list[Chunk]:
    """The chunks of a file that holds no logs; `ChunkFileError` if it can't be read."""
    if file.kind != chunkfile.METRICS:
        raise ChunkFileError(f"chunks of kind {file.kind} can't be read yet")
    from tailrace.model.metrics import metrics_chunk
    from tailrace.wire import cmetrics

    try:
        sets = cmetrics.decode(file.events)
    except cmetrics.MetricsError as error:
        raise ChunkFileError(str(error)) from error
    share = len(file.events) // max(1, len(sets))
    return [metrics_chunk(file.tag, each, share) for each in sets]
