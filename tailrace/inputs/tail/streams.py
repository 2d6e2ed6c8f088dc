"""`multiline.parser`: lines are joined by multiline parsers, each file being a stream of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tailrace.inputs.tail.joining import Events, Keys
from tailrace.plugin.multiline import Joined, MultilineParser, Stream


class StreamRules(NamedTuple):
    """What is the same for all files. Times are nanoseconds; `limit` is bytes, 0 is none."""

    parsers: Sequence[MultilineParser]
    keys: Keys
    flush_ns: int
    limit: int
    on_truncated: Callable[[], None]
    on_slow: Callable[[str], None]


class StreamJoiner:
    """The messages of one file that may go on."""

    __slots__ = ("_path", "_rules", "_stream", "due_ns", "held_from")

    def __init__(self, rules: StreamRules, path: str) -> None:
        self._rules = rules
        self._path = path
        self._stream = Stream(
            rules.parsers,
            limit=rules.limit,
            on_truncated=rules.on_truncated,
            on_slow=rules.on_slow,
        )
        self.held_from: int | None = None
        self.due_ns = 0

    def feed(self, lines: Sequence[str], starts: Sequence[int], now_ns: int) -> Events:
        joined = Joined()
        if self._rules.keys.offset_key:
            self._stream.feed_lines(lines, starts, now_ns, joined)
            return self._events(joined)
        # Only where what is held begins has to be known: lines are counted from the end, below 0.
        self._stream.feed_lines(lines, range(-len(lines), 0), now_ns, joined)
        for group in self._stream.held():
            if group.origin < 0:
                group.origin = starts[group.origin]
        return self._events(joined)

    def flush_due(self, now_ns: int) -> Events:
        joined = Joined()
        self._stream.flush_due(now_ns - self._rules.flush_ns, joined)
        return self._events(joined)

    def flush(self, now_ns: int) -> Events:
        joined = Joined()
        self._stream.flush(joined)
        return self._events(joined)

    def _events(self, joined: Joined) -> Events:
        held = self._stream.held()
        self.held_from = min((group.origin for group in held), default=None)
        if held:
            self.due_ns = min(group.touched_ns for group in held) + self._rules.flush_ns
        keys = self._rules.keys
        if keys.extra:
            for body, start in zip(joined.bodies, joined.origins, strict=True):
                keys.add(body, self._path, start)
        return Events(joined.times, joined.bodies, joined.metadata)
