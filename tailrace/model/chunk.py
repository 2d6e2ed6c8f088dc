"""The one type that flows: a batch of events under one tag.

A chunk is a struct of arrays, decoded only when somebody looks. It may hold

- **bodies**: `list[dict]`, the decoded form and from then on the truth;
- **lines**: raw lines under one key, as tail reads them without a parser; as a **block** they are still the bytes of
  the file, which some outputs print without ever splitting them;
- **packed**: MessagePack events, as forward receives them.

Beside them stand **groups**: what several events share, as the OpenTelemetry resource and scope of logs; one object for all events
of a group.

`len()`, routing, counting and some outputs never decode. A filter owns its chunk and may change it in
place; after the last filter it is shared by all its outputs and nobody may change it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from enum import Flag, auto
from itertools import compress, groupby
from typing import Any, Final, NamedTuple

Body = dict[str, Any]
"""The map of an event: text keys; values are None, bool, int, float, str, bytes, list or dict."""

Metadata = dict[str, Any]
"""What is known of an event beside its body, as Fluent Bit's event metadata."""


class Group(NamedTuple):
    """What events share, as Fluent Bit's groups of events hold it.

    For logs of OpenTelemetry the metadata is `{"schema": "otlp", "resource_id": int, "scope_id": int}`, the body
    `{"resource": {"attributes": {...}, ...}, "scope": {...}}`. Never changed: who wants another puts a new one in its place.
    """

    metadata: Metadata
    body: Body


Groups = list[Group | None]
"""One for each event, the same object for those of one group; None for an event outside of groups."""


def group_runs(groups: Sequence[Group | None]) -> Iterator[tuple[Group | None, int, int]]:
    """Each group with the range of its events that stand together."""
    start = 0
    for _, run in groupby(groups, id):
        end = start + sum(1 for _ in run)
        yield groups[start], start, end
        start = end


def shared(groups: Iterable[Group | None]) -> Groups:
    """The groups, where equal ones in a row are one object."""
    found: Groups = []
    for group in groups:
        found.append(found[-1] if found and found[-1] == group else group)
    return found


def repeated(groups: Groups, counts: Sequence[int]) -> Groups:
    """The groups where in place of each event there are as many as `counts` says."""
    return [group for group, count in zip(groups, counts, strict=True) for _ in range(count)]


class Decoded(NamedTuple):
    """The events of a chunk; `metadata` None: all empty, `groups` None: no event is in one."""

    times: list[int]
    metadata: list[Metadata] | None
    bodies: list[Body]
    groups: Groups | None = None


Decode = Callable[[bytes, int], Decoded]
"""Packed events and how many they are, marks of groups not counted."""
Encode = Callable[
    [Sequence[int], Sequence[Metadata] | None, Sequence[Body], Sequence[Group | None] | None], bytes
]


LEAST_PART_BYTES = 8 << 10
"""Packed chunks of this size on average are opened one by one once they are merged, smaller ones at once."""
HEAD_BYTES = 2
"""So many bytes tell the forms of packed events apart."""


class Signal(Flag):
    """What a chunk holds, and what a plugin takes."""

    LOGS = auto()
    METRICS = auto()
    TRACES = auto()
    PROFILES = auto()


LOGS: Final = Signal.LOGS
METRICS: Final = Signal.METRICS
TRACES: Final = Signal.TRACES
PROFILES: Final = Signal.PROFILES
STUB_BYTES: Final = 256
MERGEABLE: Final = LOGS | TRACES
"""What `merge` makes one chunk of."""


MOST_SEALED, SMALL = 4, 4096
"""A chunk with groups is sealed if it takes no more than so many times its raw size, and so many bytes."""


class Chunk:
    """Events under one tag.

    `times` are nanoseconds since the epoch, as many as there are bodies. `metadata` is None when all is
    empty, `groups` when no event is in one. `nbytes` is what the chunk costs against memory limits: its raw size, never found by
    encoding.
    """

    __slots__ = (
        "_bodies",
        "_bring",
        "_decode",
        "_groups",
        "_lines",
        "_metadata",
        "_payload",
        "_times",
        "_unpack",
        "block",
        "count",
        "hops",
        "key",
        "kind",
        "measured",
        "nbytes",
        "packed",
        "padding",
        "parts",
        "passed_by",
        "receipt",
        "routed",
        "stream",
        "tag",
        "trace",
    )

    def __init__(
        self,
        tag: str,
        times: list[int],
        bodies: list[Body],
        metadata: list[Metadata] | None = None,
        nbytes: int = 0,
        groups: Groups | None = None,
    ) -> None:
        self.tag = tag
        self.kind = LOGS
        self._times = times
        self._bodies: list[Body] | None = bodies
        self._decode: Callable[[], Decoded] | None = None
        self._unpack: Decode | None = None
        """What opens `packed`."""
        self._metadata = metadata
        self._groups = groups
        self.count = len(bodies)
        self.nbytes = nbytes or 64 * len(bodies)
        self.key = ""
        self.block: bytes | None = None
        self.parts: Sequence[Chunk] | None = None
        """The chunks whose blocks make up its block: each by itself is small enough for the processor's cache."""
        self._lines: Sequence[str] | None = None
        self.packed: bytes | None = None
        self._payload: Any = None
        self._bring: Callable[[], Any] | None = None
        self.receipt: Any = None
        self.trace: Any = None
        """Who is told of its way through the pipeline, if somebody looks."""
        self.measured = 0
        """Size as MessagePack when the pipeline last measured it; 0: not yet."""
        self.padding = 0
        """Bytes by which Fluent Bit would write each event longer than need be (for the counts of bytes alone)."""
        self.hops = 0
        """How often filters have put these events into the pipeline anew."""
        self.passed_by: tuple[Any, ...] = ()
        """Filters that have done with these events and let them pass if they come again."""
        self.routed: tuple[str, ...] = ()
        """Names of the outputs that conditional routes chose for these events; empty: their tag decides."""
        self.stream: Any = None
        """What of a source the events are of (a file), for filters that join events; any value that can be a key.

        In the pipeline a pair of the source's name and that.
        """

    @classmethod
    def of_lines(
        cls, tag: str, times: list[int], key: str, lines: Sequence[str], nbytes: int
    ) -> Chunk:
        """Raw text lines, each to be the value of `key` in a body of its own."""
        chunk = cls(tag, times, [], None, nbytes)
        chunk.key, chunk._lines, chunk.count, chunk._bodies = key, lines, len(lines), None
        return chunk

    @classmethod
    def of_block(cls, tag: str, times: list[int], key: str, block: bytes) -> Chunk:
        """Raw lines as they stand in a file, an LF between two; UTF-8, other bytes become surrogate escapes."""
        chunk = cls(tag, times, [], None, len(block) + 1)
        chunk.key, chunk.block, chunk.count, chunk._bodies = key, block, len(times), None
        return chunk

    @classmethod
    def of_packed(cls, tag: str, packed: bytes, count: int, decode: Decode) -> Chunk:
        """MessagePack events as they came, with the marks of groups; `decode` opens them when somebody looks.

        `count` is that of the events without the marks.
        """
        chunk = cls(tag, [], [], None, len(packed))
        chunk.packed, chunk.count, chunk._bodies = packed, count, None
        chunk._decode, chunk._unpack = lambda: decode(packed, count), decode
        return chunk

    def defer(self, count: int, decode: Callable[[], Decoded]) -> None:
        """Make this a chunk of `count` events whose content `decode` brings when somebody looks."""
        self._bodies, self._decode, self.count = None, decode, count

    @property
    def is_deferred(self) -> bool:
        """Its content is brought from elsewhere when somebody looks; until then it takes no memory."""
        return self._bring is not None or (self._decode is not None and self.packed is None)

    def seal(self, encode: Encode, decode: Decode) -> None:
        """Hold decoded logs as MessagePack, which takes a fraction of their memory, until somebody looks again.

        Not if each of several chunks would so get a large group of its own that they share.
        """
        if self._bodies is None or self.kind is not LOGS or not self._bodies:
            return
        packed = encode(self._times, self._metadata, self._bodies, self._groups)
        if self._groups is not None and len(packed) > MOST_SEALED * self.nbytes + SMALL:
            return
        count, self.packed = self.count, packed
        self._bodies, self._times, self._metadata, self._groups = None, [], None, None
        self._decode, self._unpack = lambda: decode(packed, count), decode

    def unopened(self) -> Chunk:
        """This chunk; if its content must be brought first, another of the same events, so that this one takes no memory."""
        if self._bring is not None:
            return Chunk.of_stub(self.tag, self.kind, self.count, self._bring)
        if self._decode is None or self.packed is not None:
            return self
        twin = Chunk(self.tag, [], [], None, self.nbytes)
        twin.kind = self.kind
        twin.defer(self.count, self._decode)
        return twin

    @classmethod
    def of_payload(cls, tag: str, kind: Signal, payload: Any, count: int, nbytes: int) -> Chunk:
        """Metrics, traces or profiles: `payload` is their own model, `count` its items."""
        chunk = cls(tag, [], [], None, nbytes)
        chunk.kind, chunk._payload, chunk.count = kind, payload, count
        return chunk

    @classmethod
    def of_stub(cls, tag: str, kind: Signal, count: int, bring: Callable[[], Any]) -> Chunk:
        """Metrics, traces or profiles that take no memory until `bring` gives the payload, when somebody looks."""
        chunk = cls(tag, [], [], None, STUB_BYTES)
        chunk.kind, chunk._bring, chunk.count = kind, bring, count
        return chunk

    @property
    def payload(self) -> Any:
        """What a chunk of metrics, traces or profiles carries instead of bodies: their own model."""
        if self._bring is not None:
            self._payload, self._bring = self._bring(), None
        return self._payload

    @payload.setter
    def payload(self, payload: Any) -> None:
        self._payload, self._bring = payload, None

    def __len__(self) -> int:
        return self.count

    @property
    def decoded(self) -> bool:
        return self._bodies is not None and self._bring is None

    @property
    def is_raw(self) -> bool:
        """Whether it holds raw lines, split or not."""
        return self.block is not None or self._lines is not None

    @property
    def lines(self) -> Sequence[str] | None:
        """The raw lines, while the chunk is not decoded; a block is split at the first look."""
        if self._lines is None and self.block is not None:
            self._lines = self.block.decode("utf-8", "surrogateescape").split("\n")
        return self._lines

    @property
    def times(self) -> list[int]:
        """Nanoseconds since the epoch, one for each event."""
        if self._decode is not None:
            self._open()
        return self._times

    @times.setter
    def times(self, times: list[int]) -> None:
        if self._decode is not None:
            self._open()
        self._times = times
        self.parts = None

    @property
    def metadata(self) -> list[Metadata] | None:
        """One map for each event; None when all are empty."""
        if self._decode is not None:
            self._open()
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: list[Metadata] | None) -> None:
        if self._decode is not None:
            self._open()
        self._metadata = metadata

    @property
    def groups(self) -> Groups | None:
        """The group of each event; None when no event is in one."""
        if self._decode is not None:
            self._open()
        return self._groups

    @groups.setter
    def groups(self, groups: Groups | None) -> None:
        self.open()
        self._groups = groups if groups is not None and any(groups) else None

    @property
    def bodies(self) -> list[Body]:
        """The bodies, decoded in one go at the first look; raw forms are gone after it."""
        if self._bodies is None:
            self._open()
        return self._bodies  # type: ignore[return-value]  # _open has set it

    @bodies.setter
    def bodies(self, bodies: list[Body]) -> None:
        if self._decode is not None:
            self._open()  # times, metadata and groups stay
        self._bodies = bodies
        self.block = self.parts = self._lines = self.packed = self._decode = None
        self.count = len(bodies)

    def _open(self) -> None:
        lines = self.lines
        if lines is not None:
            key = self.key
            self.bodies = [{key: line} for line in lines]
        elif self._decode is not None:
            decoded, self._decode = self._decode(), None
            self._times, self._metadata, self.bodies, self._groups = decoded
        else:
            self._bodies = []

    def open(self) -> None:
        """Decode now, so that `times` and `metadata` of a packed chunk can be read."""
        if self._bodies is None:
            self._open()
        elif self._bring is not None:
            self.payload = self._bring()

    def metadata_list(self) -> list[Metadata]:
        """One metadata map per event, made (and kept) if all were empty."""
        self.open()
        if self.metadata is None:
            self.metadata = [{} for _ in range(self.count)]
        return self.metadata

    def select(self, mask: Iterable[Any]) -> Chunk:
        """Keep the events whose mask is true; the others are gone. Changes and returns this chunk."""
        self.open()
        chosen = list(mask)
        before = self.count
        bodies = list(compress(self.bodies, chosen))
        if len(bodies) == before:
            return self
        self.times = list(compress(self.times, chosen))
        if self.metadata is not None:
            self.metadata = list(compress(self.metadata, chosen))
        if self._groups is not None:
            self.groups = list(compress(self._groups, chosen))
        self.bodies = bodies
        self.nbytes = self.nbytes * len(bodies) // before if before else 0
        return self

    def split(self, keys: Iterable[Any]) -> dict[Any, Chunk]:
        """The events by key, in order of first appearance; parts share no lists with this chunk."""
        self.open()
        places: dict[Any, list[int]] = {}
        for index, key in enumerate(keys):
            places.setdefault(key, []).append(index)
        if len(places) == 1 and len(next(iter(places.values()))) == self.count:
            return dict.fromkeys(places, self)
        return {key: self._pick(indexes) for key, indexes in places.items()}

    def _pick(self, indexes: list[int]) -> Chunk:
        times, bodies, metadata, groups = self.times, self.bodies, self.metadata, self._groups
        part = Chunk(
            self.tag,
            [times[index] for index in indexes],
            [bodies[index] for index in indexes],
            None if metadata is None else [metadata[index] for index in indexes],
            max(1, self.nbytes * len(indexes) // max(1, self.count)),
        )
        if groups is not None:
            part.groups = [groups[index] for index in indexes]
        part.kind, part.padding = self.kind, self.padding
        return part.come_as(self)

    def slice(self, start: int, end: int) -> Chunk:
        """The events from `start` up to `end`; shares no lists with this chunk."""
        self.open()
        return self._pick(list(range(start, min(end, self.count))))

    def with_tag(self, tag: str) -> Chunk:
        """This chunk under another tag; changes and returns it."""
        self.tag = tag
        return self

    def copy(self, deep: bool = False) -> Chunk:
        """A chunk that may be changed without touching this one's lists (`deep`: nor its bodies)."""
        self.open()
        bodies = [deep_copy(body) for body in self.bodies] if deep else list(self.bodies)
        metadata = self.metadata
        if metadata is not None:
            metadata = [deep_copy(item) for item in metadata] if deep else list(metadata)
        groups = None if self._groups is None else list(self._groups)
        twin = Chunk(self.tag, list(self.times), bodies, metadata, self.nbytes, groups)
        twin.kind, twin.count = self.kind, self.count
        twin.payload = deepcopy(self.payload) if deep else self.payload
        twin.padding = self.padding
        return twin.come_as(self)

    def come_as(self, other: Chunk) -> Chunk:
        """Say that these events came the way that `other` came: its receipt, source, filters that have done with them. Returns this."""
        self.receipt, self.trace, self.stream = other.receipt, other.trace, other.stream
        self.hops, self.passed_by, self.routed = other.hops, other.passed_by, other.routed
        return self


def deep_copy(value: Any) -> Any:
    """A copy of a body or a value in it: maps and lists anew, leaves shared (they never change)."""
    if type(value) is dict:
        return {key: deep_copy(item) for key, item in value.items()}
    if type(value) is list:
        return [deep_copy(item) for item in value]
    return value


def merge(chunks: Sequence[Chunk]) -> Chunk:
    """One chunk of all the events, in order; all have the same tag and kind.

    Only logs and traces can be merged. Undecoded lines of one key stay lines, blocks a block, and what is packed in one form stays packed. The parts are not changed.
    """
    if len(chunks) == 1:
        return chunks[0]
    first = chunks[0]
    nbytes = sum(chunk.nbytes for chunk in chunks)
    if first.kind is TRACES:
        return _merge_traces(chunks, nbytes)
    blocks = [chunk.block for chunk in chunks if chunk.block is not None and chunk.key == first.key]
    if len(blocks) == len(chunks):
        times = [time for chunk in chunks for time in chunk.times]
        merged = Chunk.of_block(first.tag, times, first.key, b"\n".join(blocks))
        merged.parts = chunks
        return merged
    if all(chunk.lines is not None and chunk.key == first.key for chunk in chunks):
        lines = [line for chunk in chunks for line in chunk.lines or ()]
        times = [time for chunk in chunks for time in chunk.times]
        return Chunk.of_lines(first.tag, times, first.key, lines, nbytes)
    packed = [chunk.packed for chunk in chunks if chunk.packed is not None]
    if len(packed) == len(chunks) and are_alike(chunks):
        whole = b"".join(packed)
        assert first._unpack is not None
        merged = Chunk.of_packed(first.tag, whole, sum(map(len, chunks)), first._unpack)
        if len(whole) >= LEAST_PART_BYTES * len(chunks):
            merged.parts = chunks
        return merged
    for chunk in chunks:
        chunk.open()
    metadata = None
    if any(chunk.metadata is not None for chunk in chunks):
        metadata = [
            item for chunk in chunks for item in chunk.metadata or [{} for _ in range(chunk.count)]
        ]
    groups: Groups | None = None
    if any(chunk.groups is not None for chunk in chunks):
        groups = [item for chunk in chunks for item in chunk.groups or [None] * chunk.count]
    merged = Chunk(
        first.tag,
        [time for chunk in chunks for time in chunk.times],
        [body for chunk in chunks for body in chunk.bodies],
        metadata,
        nbytes,
        groups,
    )
    merged.kind, merged.padding = first.kind, first.padding
    return merged


def are_alike(chunks: Sequence[Chunk]) -> bool:
    """Whether packed chunks begin alike and are opened alike, so that one after another they are one."""
    first = chunks[0]
    head = (first.packed or b"")[:HEAD_BYTES]
    return first._unpack is not None and all(
        chunk._unpack is first._unpack and (chunk.packed or b"").startswith(head)
        for chunk in chunks
    )


def _merge_traces(chunks: Sequence[Chunk], nbytes: int) -> Chunk:
    from tailrace.model.traces import joined_traces  # where there are traces

    joined = joined_traces(chunk.payload for chunk in chunks)
    count = sum(chunk.count for chunk in chunks)
    return Chunk.of_payload(chunks[0].tag, TRACES, joined, count, nbytes)
