"""The older `multiline on`: a line that `parser_firstline` takes starts an event, others go on with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tailrace.inputs.tail.joining import Events, Keys
from tailrace.model import Body
from tailrace.plugin import Parser

MOST_HELD = 16 << 20
"""Characters of lines that go on with one event; what is longer comes in parts."""


class FirstLineRules(NamedTuple):
    """What is the same for all files. Times are nanoseconds; `ignore_older` 0 is never."""

    first: Parser[Any]
    more: Sequence[Parser[Any]]
    keys: Keys
    flush_ns: int
    ignore_older_ns: int


class FirstLineJoiner:
    """The event of one file that may go on."""

    __slots__ = (
        "_body",
        "_last_key",
        "_more",
        "_more_size",
        "_path",
        "_rules",
        "_skipping",
        "_time",
        "due_ns",
        "held_from",
    )

    def __init__(self, rules: FirstLineRules, path: str) -> None:
        self._rules = rules
        self._path = path
        self._body: Body | None = None
        self._last_key = ""
        self._more: list[str] = []
        self._more_size = 0
        self._time = 0
        self._skipping = False
        self.held_from: int | None = None
        self.due_ns = 0

    def feed(self, lines: Sequence[str], starts: Sequence[int], now_ns: int) -> Events:
        # Compat: lines that belong to no event come after the events of the same block
        # (conformance: multiline/tail_firstline_lead).
        events, loose = Events(), Events()
        firsts = self._rules.first.parse(lines)
        for line, start, time, body in zip(lines, starts, firsts.times, firsts.bodies, strict=True):
            if body is not None:
                self._begin(body, time or now_ns, start, now_ns, events)
            elif not self._skipping:
                self._go_on(line, start, now_ns, loose)
                if self._more_size > MOST_HELD:
                    self._end(events)
        for time, body in zip(loose.times, loose.bodies, strict=True):
            events.add(time, body)
        return events

    def _begin(self, body: Body, time: int, start: int, now_ns: int, events: Events) -> None:
        self._end(events)
        oldest = self._rules.ignore_older_ns
        self._skipping = bool(oldest) and time < now_ns - oldest
        if self._skipping:
            return
        self._body = self._rules.keys.lead(self._path, start)
        self._time, self.held_from = time, start
        self._take(body, now_ns)

    def _take(self, body: Body, now_ns: int) -> None:
        """Add the keys of a parsed line; of a key that is there already the new value counts."""
        assert self._body is not None
        self._join_more()
        for key, value in body.items():
            self._body.pop(key, None)
            self._body[key] = value
            self._last_key = key
        self.due_ns = now_ns + self._rules.flush_ns

    def _go_on(self, line: str, start: int, now_ns: int, loose: Events) -> None:
        keys = self._rules.keys
        parsed = self._parsed(line)
        if parsed is not None and self._body is not None:
            self._take(parsed, now_ns)
        elif parsed is not None:
            keys.add(parsed, self._path, start)
            loose.add(now_ns, parsed)
        elif self._body is not None and isinstance(self._body.get(self._last_key), str):
            self._more.append(line)
            self._more_size += len(line)
            self.due_ns = now_ns + self._rules.flush_ns
        else:
            loose.add(now_ns, keys.raw(self._path, start, line))

    def _parsed(self, line: str) -> Body | None:
        for parser in self._rules.more:
            body = parser.parse([line]).bodies[0]
            if body is not None:
                return body
        return None

    def _end(self, events: Events) -> None:
        if self._body is not None:
            self._join_more()
            events.add(self._time, self._body)
        self._body = self.held_from = None

    def _join_more(self) -> None:
        """Add the lines that went on to the last key."""
        if self._body is not None and self._more:
            self._body[self._last_key] = "\n".join([self._body[self._last_key], *self._more])
        self._more, self._more_size = [], 0

    def flush(self, now_ns: int) -> Events:
        events = Events()
        self._end(events)
        return events

    flush_due = flush
