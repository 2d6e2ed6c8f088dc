"""Chunk files in Fluent Bit's own layout, so that either agent drains what the other left.

Layout (chunkio, "data file layout as of 2018/10/26", and fluent-bit `CHUNKS.md`):

    0xC1 0x00 | CRC32 of the content (4, network order) | padding (4) | content length (4) | padding (8)
    content:  metadata length (2) | metadata | MessagePack events
    metadata: 0xF1 0x77 | kind (0 logs, 1 metrics, 2 traces, 3 profiles) | flags | tag | NUL, then direct routes
              with flag 1; older files: the tag alone

The CRC covers metadata length, metadata and events; 0 means none was written. While Fluent Bit has a file open its CRC is not
finished (see `running_crc`), so a killed agent leaves such files; Fluent Bit itself takes them for damaged.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

IDENTITY = b"\xc1\x00"
HEADER_BYTES = 24
CONTENT_AT = 22
METADATA_MARK = b"\xf1\x77"
HAS_ROUTES, HAS_LABELS, HAS_WIDE_IDS = 1, 2, 4
LABEL_IS_ALIAS, LABEL_LENGTH = 0x8000, 0x7FFF
LOGS, METRICS, TRACES, PROFILES = range(4)


class ChunkFileError(ValueError):
    """The bytes are no chunk file, or a damaged one; says what is wrong."""


@dataclass(frozen=True, slots=True)
class ChunkFile:
    """What one file holds. `routes` are the aliases of the outputs it must go to; empty: by its tag."""

    tag: str
    events: bytes
    kind: int = LOGS
    routes: tuple[str, ...] = ()
    is_cut: bool = False
    """The file ends before the length that its header gives."""


def encode(file: ChunkFile, checksum: bool = False) -> bytes:
    """The bytes of a chunk file."""
    flags = HAS_ROUTES | HAS_LABELS if file.routes else 0
    metadata = (
        METADATA_MARK + bytes((file.kind, flags)) + file.tag.encode("utf-8", "surrogateescape")
    )
    if file.routes:
        metadata += b"\0" + write_routes(file.routes)
    if len(metadata) > 0xFFFF:
        raise ChunkFileError(f"a tag of {len(metadata)} bytes does not fit into a chunk file")
    content = struct.pack(">H", len(metadata)) + metadata + file.events
    crc = zlib.crc32(content) if checksum else 0
    return IDENTITY + struct.pack(">I4xI8x", crc, len(file.events)) + content


def decode(data: bytes, checksum: bool = False) -> ChunkFile:
    """What the bytes hold; `checksum`: the CRC must be there and right."""
    if len(data) < HEADER_BYTES:
        raise ChunkFileError(f"only {len(data)} bytes, the header alone has {HEADER_BYTES}")
    if data[:2] != IDENTITY:
        raise ChunkFileError(f"it begins with {data[:2].hex()}, not with {IDENTITY.hex()}")
    crc, length = struct.unpack_from(">I4xI", data, 2)
    (metadata_length,) = struct.unpack_from(">H", data, CONTENT_AT)
    start = HEADER_BYTES + metadata_length
    if start > len(data):
        raise ChunkFileError("it ends within its metadata")
    end = content_end(data, start, length)
    if checksum and (right := zlib.crc32(data[CONTENT_AT:end])) not in (crc, running_crc(crc)):
        raise ChunkFileError(f"its CRC32 is {right:08x}, the header says {crc:08x}")
    kind, tag, routes = read_metadata(data[HEADER_BYTES:start])
    return ChunkFile(tag, data[start:end], kind, routes, is_cut=end > len(data))


def running_crc(crc: int) -> int:
    """What the header of a chunk stands for that Fluent Bit had open when it was killed: little endian, not inverted yet."""
    return int.from_bytes(crc.to_bytes(4, "big"), "little") ^ 0xFFFFFFFF


def content_end(data: bytes, start: int, length: int) -> int:
    """Where the events end. Without a length they fill the file; where nothing but padding follows, there are none."""
    if length:
        return start + length
    return len(data) if data[start : start + 1] not in (b"", b"\0") else start


def read_metadata(metadata: bytes) -> tuple[int, str, tuple[str, ...]]:
    """Kind, tag and direct routes."""
    if not metadata.startswith(METADATA_MARK) or len(metadata) < 4:
        return LOGS, as_text(metadata), ()
    kind, flags = metadata[2], metadata[3]
    if kind > PROFILES:
        raise ChunkFileError(f"its kind is {kind}, which is not known")
    if not flags & HAS_ROUTES:
        return kind, as_text(metadata[4:]), ()
    tag, _, rest = metadata[4:].partition(b"\0")
    return kind, as_text(tag), read_routes(rest, flags)


def read_routes(data: bytes, flags: int) -> tuple[str, ...]:
    """Aliases (or numbered names) of the outputs; without labels none, as numbers mean nothing later."""
    if not flags & HAS_LABELS:
        return ()
    try:
        (count,) = struct.unpack_from(">H", data, 2)
        at = 4 + count * (4 if flags & HAS_WIDE_IDS else 2)
        lengths = [word & LABEL_LENGTH for word in struct.unpack_from(f">{count}H", data, at)]
    except struct.error as error:
        raise ChunkFileError(f"its routes can't be read: {error}") from error
    at += 2 * count
    labels = []
    for length in lengths:
        labels.append(as_text(data[at : at + length]))
        at += length
    if at > len(data):
        raise ChunkFileError("it ends within its routes")
    return tuple(labels)


def write_routes(names: tuple[str, ...]) -> bytes:
    """The routing payload with its length; every name counts as an alias."""
    labels = [name.encode("utf-8", "surrogateescape") for name in names]
    ids = struct.pack(f">{len(labels)}H", *range(len(labels)))
    lengths = struct.pack(f">{len(labels)}H", *(LABEL_IS_ALIAS | len(label) for label in labels))
    payload = struct.pack(">H", len(labels)) + ids + lengths + b"".join(labels)
    return struct.pack(">H", len(payload)) + payload


def as_text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
