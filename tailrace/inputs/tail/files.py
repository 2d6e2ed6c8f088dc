"""One followed file: who it is, how far it was read, and its next lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tailrace.inputs.tail.encodings import Encoding
from tailrace.inputs.tail.marker import MARKER_BYTES
from tailrace.inputs.tail.source import Rewritten, Source, Spot
from tailrace.plugin.low_water import LowWater

if TYPE_CHECKING:
    from tailrace.inputs.tail.joining import Joiner
    from tailrace.inputs.tail.positions import Position

Identity = tuple[int, int]
"""Device and inode."""


class Limits(NamedTuple):
    """How much is read at once (`block`), how long a line may be with its LF (`longest`), in bytes."""

    block: int
    longest: int
    skip_long: bool


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class GoOn:
    """A place in a compressed file to go on at; `before` are the last bytes that were passed on the way."""

    offset: int
    fits: Callable[[bytes], bool]
    before: bytes = b""


class Piece(NamedTuple):
    """What was taken of a file: `data[begin:end]`, which starts at `offset`.

    `kind` is LINES for whole lines, CUT for the start of a line that is too long and LONG for one that is to be
    skipped, NOTHING for what gives no event.
    `spot` is where reading may go on once this is settled: its end, but the start of a long line until its end was seen.
    """

    kind: int
    data: bytes
    begin: int
    end: int
    offset: int
    spot: Spot


LINES, CUT, LONG, NOTHING = range(4)


class File:
    """A file that is open and followed, by its identity; `path` is where it was last seen.

    `shown` is the path it was found under, which stays for the path key and the tag. `skipping` says that the
    rest of a long line is being passed over.
    """

    __slots__ = (
        "active_at",
        "advised",
        "behind",
        "closed",
        "closing",
        "encoding",
        "fd",
        "flush_now",
        "go_on",
        "held",
        "identity",
        "is_link",
        "joiner",
        "leaving",
        "low",
        "mtime_ns",
        "path",
        "position",
        "quiet_rounds",
        "ready",
        "shown",
        "size",
        "skipping",
        "source",
        "spot",
        "static",
        "tag",
        "told",
        "waiting",
        "watch",
    )

    def __init__(
        self,
        path: str,
        shown: str,
        tag: str,
        fd: int,
        identity: Identity,
        source: Source,
        encoding: Encoding,
    ) -> None:
        self.path = path
        self.shown = shown
        self.tag = tag
        self.fd = fd
        self.identity = identity
        self.source = source
        self.encoding = encoding
        self.low: LowWater[Spot] | None = None
        self.position: Position | None = None
        self.joiner: Joiner | None = None
        self.held: Spot = (0, b"")
        """Where what the joiner holds began."""
        self.spot = source.here
        """Where reading may go on once everything that was taken is settled."""
        self.advised = source.position
        """Up to where the kernel was told to forget what was read."""
        self.go_on: GoOn | None = None
        self.skipping = False
        self.waiting = False
        """It may be a copy of a followed file, and is not read until that is known."""
        self.behind = False
        """When it was last read, more of it was there."""
        self.static = True
        """Its end has not been reached yet."""
        self.is_link = False
        self.ready = False
        """It stands in the queue of files to be read."""
        self.flush_now = False
        """What its joiner holds has waited long enough."""
        self.leaving = False
        """It was renamed or deleted; it is let go of when it has been quiet for a while."""
        self.active_at = 0.0
        """When something was last read or happened to its name, monotonic seconds."""
        self.closing = False
        """It is let go of once its rest was read."""
        self.closed = False
        self.told: frozenset[str] = frozenset()
        self.watch = -1
        self.size = self.mtime_ns = -1
        """As it was when it was last looked at."""
        self.quiet_rounds = 0

    @property
    def is_pending(self) -> bool:
        """Whether something that was emitted is not settled."""
        return self.low is not None and self.low.pending

    @property
    def is_holding(self) -> bool:
        """Whether its joiner holds lines back."""
        return self.joiner is not None and self.joiner.held_from is not None

    def take(self, limits: Limits) -> Piece | None:
        """The next piece; None if there is no whole line yet. Raises what `Source.peek` raises."""
        if self.go_on is not None:
            return self._pass_known(self.go_on, limits.block)
        data, begin = self.source.peek(limits.block)
        self.behind = len(data) - begin >= limits.block
        if len(data) - begin < self.encoding.width:
            return None
        if self.skipping:
            return self._skip(data, begin)
        if data[begin] == 0 and (zeros := self._zeros(data, begin)):
            return self._taken(NOTHING, data, begin, begin + zeros)
        if (
            not self.source.position
            and self.encoding.bom
            and data.startswith(self.encoding.bom, begin)
        ):
            return self._taken(NOTHING, data, begin, begin + len(self.encoding.bom))
        return self._lines(data, begin, limits)

    def _zeros(self, data: bytes, begin: int) -> int:
        """NUL bytes at the head of a block: the hole that truncating leaves when a program writes on."""
        count = len(data) - begin - len(data[begin:].lstrip(b"\0"))
        return count - count % self.encoding.width

    def _lines(self, data: bytes, begin: int, limits: Limits) -> Piece | None:
        end = self._end_of_short_lines(data, begin, limits.longest)
        if end == begin and len(data) - begin == limits.block <= limits.longest:
            data, begin = self.source.peek(limits.longest + self.encoding.width)
            end = self._end_of_short_lines(data, begin, limits.longest)
        if end > begin:
            return self._taken(LINES, data, begin, end)
        if len(data) - begin <= limits.longest:
            return None
        self.skipping = True
        end = self.encoding.cut(data, begin, begin + limits.longest)
        return self._taken(LONG if limits.skip_long else CUT, data, begin, end, self.source.here)

    def _end_of_short_lines(self, data: bytes, begin: int, longest: int) -> int:
        """The end of the whole lines from `begin` on, up to the first that is too long."""
        last_end, end = self.encoding.last_end, begin
        while len(data) - end >= longest:
            found = last_end(data, end, end + longest)
            if found == end:
                return end
            end = found
        return last_end(data, end, len(data))

    def _skip(self, data: bytes, begin: int) -> Piece:
        """Pass over the rest of a long line; reading may go on after it only when its end was seen."""
        end = self.encoding.first_end(data, begin)
        self.skipping = end == begin
        if not self.skipping:
            return self._taken(NOTHING, data, begin, end)
        end = len(data) - (len(data) - begin) % self.encoding.width
        return self._taken(NOTHING, data, begin, end, self.spot)

    def _taken(
        self, kind: int, data: bytes, begin: int, end: int, spot: Spot | None = None
    ) -> Piece:
        offset = self.source.position
        self.source.consume(data, begin, end)
        return Piece(kind, data, begin, end, offset, spot or self.source.here)

    def go_on_at(self, offset: int, fits: Callable[[bytes], bool]) -> None:
        """Begin at an offset that can be reached only by reading up to it; at the head if `fits` denies it."""
        self.go_on = GoOn(offset, fits)
        self.spot = offset, b""

    def _pass_known(self, go_on: GoOn, block: int) -> Piece:
        data, begin = self.source.peek(min(block, go_on.offset - self.source.position))
        go_on.before = (go_on.before + data[begin:])[-MARKER_BYTES:]
        piece = self._taken(NOTHING, data, begin, len(data), self.spot)
        if self.source.position == go_on.offset:
            self.go_on = None
        if len(data) == begin or (self.go_on is None and not go_on.fits(go_on.before)):
            raise Rewritten
        return piece

    def take_rest(self) -> Piece | None:
        """The last line of a file that nobody will write to any more, though it has no end."""
        data, begin = self.source.peek(1 << 20)
        if len(data) == begin or self.skipping:
            return None
        piece = self._taken(LINES, data, begin, len(data))
        whole = data[begin:] + self.encoding.newline
        return piece._replace(data=whole, begin=0, end=len(whole))

    def spot_after(self, piece: Piece) -> Spot:
        """Where reading may go on once what was emitted so far is settled: before what the joiner still holds."""
        joiner = self.joiner
        self.spot = piece.spot
        if joiner is None or joiner.held_from is None:
            return piece.spot
        if joiner.held_from >= piece.offset:
            at = piece.begin + joiner.held_from - piece.offset
            self.held = joiner.held_from, piece.data[max(0, at - MARKER_BYTES) : at]
        return self.held

    def restart(self) -> None:
        """Read from the head again: the file was truncated or written anew."""
        self.source.restart()
        self.spot = self.source.here
        self.advised = 0
        self.skipping = False
        self.go_on = None
