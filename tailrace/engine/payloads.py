"""How chunks of each kind lie in files: logs as events, metrics and traces as Fluent Bit packs them."""

from __future__ import annotations

from tailrace.model import LOGS, METRICS, TRACES, Chunk
from tailrace.wire import chunkfile
from tailrace.wire.chunkfile import ChunkFile, ChunkFileError
from tailrace.wire.msgpack import encode_events

STORABLE = LOGS | METRICS | TRACES
"""The signals that chunk files can hold."""
READABLE = (chunkfile.LOGS, chunkfile.METRICS, chunkfile.TRACES)
"""The kinds of files whose content can be read."""


def pack(chunk: Chunk, routes: tuple[str, ...] = ()) -> ChunkFile:
    """The file of a chunk whose kind is one of `STORABLE`."""
    if chunk.kind is METRICS:
        from tailrace.wire import cmetrics

        return ChunkFile(chunk.tag, cmetrics.encode(chunk.payload), chunkfile.METRICS, routes)
    if chunk.kind is TRACES:
        from tailrace.wire import ctraces

        return ChunkFile(chunk.tag, ctraces.encode(chunk.payload), chunkfile.TRACES, routes)
    events = chunk.packed
    if events is None:
        events = encode_events(chunk.times, chunk.metadata, chunk.bodies, chunk.groups)
    return ChunkFile(chunk.tag, events, chunkfile.LOGS, routes)


def unpack(file: ChunkFile) -> list[Chunk]:
    """The chunks of a file that holds no logs; `ChunkFileError` if it can't be read."""
    if file.kind == chunkfile.METRICS:
        return _unpack_metrics(file)
    if file.kind == chunkfile.TRACES:
        return _unpack_traces(file)
    raise ChunkFileError(f"chunks of kind {file.kind} can't be read yet")


def _unpack_metrics(file: ChunkFile) -> list[Chunk]:
    from tailrace.model.metrics import metrics_chunk
    from tailrace.wire import cmetrics

    try:
        sets = cmetrics.decode(file.events)
    except cmetrics.MetricsError as error:
        raise ChunkFileError(str(error)) from error
    share = len(file.events) // max(1, len(sets))
    return [metrics_chunk(file.tag, each, share) for each in sets]


def _unpack_traces(file: ChunkFile) -> list[Chunk]:
    from tailrace.model.traces import traces_chunk
    from tailrace.wire import ctraces

    try:
        sets = ctraces.decode(file.events)
    except ctraces.TracesError as error:
        raise ChunkFileError(str(error)) from error
    share = len(file.events) // max(1, len(sets))
    return [traces_chunk(file.tag, each, share) for each in sets]
