"""How chunks of each kind lie in files: logs as events, metrics and traces as Fluent Bit packs them, profiles as OTLP."""

from __future__ import annotations

from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk
from tailrace.wire import chunkfile
from tailrace.wire.chunkfile import ChunkFile, ChunkFileError
from tailrace.wire.msgpack import packed_events
from tailrace.wire.payloads import unpack_payload

STORABLE = LOGS | METRICS | TRACES | PROFILES
"""The signals that chunk files can hold."""
READABLE = (chunkfile.LOGS, chunkfile.METRICS, chunkfile.TRACES, chunkfile.PROFILES)
"""The kinds of files whose content can be read."""


KINDS = {
    chunkfile.LOGS: LOGS,
    chunkfile.METRICS: METRICS,
    chunkfile.TRACES: TRACES,
    chunkfile.PROFILES: PROFILES,
}
FILE_KINDS = {signal: kind for kind, signal in KINDS.items()}


def pack(chunk: Chunk, routes: tuple[str, ...] = ()) -> ChunkFile:
    """The file of a chunk whose kind is one of `STORABLE`."""
    if chunk.kind is METRICS:
        from tailrace.wire import cmetrics

        return ChunkFile(chunk.tag, cmetrics.encode(chunk.payload), chunkfile.METRICS, routes)
    if chunk.kind is TRACES:
        from tailrace.wire import ctraces

        return ChunkFile(
            chunk.tag, ctraces.encode(chunk.payload, with_flags=True), chunkfile.TRACES, routes
        )
    if chunk.kind is PROFILES:
        return ChunkFile(chunk.tag, chunk.payload.data, chunkfile.PROFILES, routes)
    events = chunk.packed
    if events is None:
        events = packed_events(chunk)
    return ChunkFile(chunk.tag, events, chunkfile.LOGS, routes)


def unpack(file: ChunkFile) -> list[Chunk]:
    """The chunks of a file that holds no logs; `ChunkFileError` if it can't be read."""
    kind = KINDS.get(file.kind)
    if kind is None or kind is LOGS:
        raise ChunkFileError(f"chunks of kind {file.kind} can't be read yet")
    try:
        if kind is PROFILES:
            return [unpack_profiles(file)]
        return unpack_payload(kind, file.tag, file.events)
    except ValueError as error:
        raise ChunkFileError(str(error)) from error


def unpack_profiles(file: ChunkFile) -> Chunk:
    """Profiles, which Fluent Bit packs in a way of its own that can't be read: a `ValueError`."""
    from tailrace.model.profiles import profiles_chunk
    from tailrace.wire.otlp.errors import MissingLibrary
    from tailrace.wire.otlp.profiles import count_profiles

    try:
        return profiles_chunk(file.tag, file.events, count_profiles(file.events))
    except MissingLibrary as error:
        raise ChunkFileError(str(error)) from error
