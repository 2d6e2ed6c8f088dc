"""`docker_mode`: the pieces of a line that Docker's JSON log driver split become one line again.

Each line is a JSON object whose `log` ends in a line feed when the line was complete. The texts are joined in the
last piece's object, before any parser sees it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from tailrace.inputs.tail.joining import Events, Keys
from tailrace.plugin import Parser

DECODER = json.JSONDecoder(strict=False)
BLANKS = re.compile(r"[ \t\r\n]*")
MOST_HELD = 16 << 20
"""Characters of one joined line; what is longer comes in parts."""


class DockerRules(NamedTuple):
    """What is the same for all files. Times are nanoseconds; `ignore_older` 0 is never."""

    first: Parser[Any] | None
    parser: Parser[Any] | None
    keys: Keys
    flush_ns: int
    ignore_older_ns: int


def find_log(line: str) -> tuple[int, int] | None:
    """Where the text of the key `log` stands in a JSON object, without its quotes, still escaped."""
    if not line.startswith("{"):
        return None
    at = 1
    try:
        while True:
            at = after_blanks(line, at)
            if line[at] != '"':
                return None
            key, at = scanstring(line, at + 1, False)
            at = after_blanks(line, at)
            if line[at] != ":":
                return None
            start = after_blanks(line, at + 1)
            _, at = DECODER.raw_decode(line, start)
            if key == "log":
                return (start + 1, at - 1) if line[start] == '"' else None
            at = after_blanks(line, at)
            if line[at] != ",":
                return None
            at += 1
    except (ValueError, IndexError, RecursionError):
        return None


def after_blanks(text: str, at: int) -> int:
    found = BLANKS.match(text, at)
    return found.end() if found else at


def ends_line(escaped: str) -> bool:
    """Whether a text as JSON writes it ends in a line feed."""
    if not escaped.endswith("n"):
        return escaped.endswith(("\\u000a", "\\u000A"))
    backslashes = len(escaped) - 1 - len(escaped[:-1].rstrip("\\"))
    return backslashes % 2 == 1


class DockerJoiner:
    """The line of one file whose end has not come yet."""

    __slots__ = (
        "_complete",
        "_first_seen",
        "_last_line",
        "_path",
        "_pieces",
        "_rules",
        "_size",
        "due_ns",
        "held_from",
    )

    def __init__(self, rules: DockerRules, path: str) -> None:
        self._rules = rules
        self._path = path
        self._pieces: list[str] = []
        self._size = 0
        self._last_line = ""
        self._complete = True
        self._first_seen = False
        self.held_from: int | None = None
        self.due_ns = 0

    def feed(self, lines: Sequence[str], starts: Sequence[int], now_ns: int) -> Events:
        events = Events()
        first = self._rules.first
        matches = first.parse(lines).bodies if first is not None else ()
        for index, line in enumerate(lines):
            if first is not None:
                self._look_for_first(matches[index] is not None, events, now_ns)
            self._take(line, starts[index], events, now_ns)
        return events

    def _look_for_first(self, is_first: bool, events: Events, now_ns: int) -> None:
        """Once a first line was seen, lines belong together up to the next one."""
        self._first_seen = self._first_seen or is_first
        if self._complete and (is_first or not self._first_seen):
            self._end(events, now_ns)

    def _take(self, line: str, start: int, events: Events, now_ns: int) -> None:
        place = find_log(line)
        if place is None:
            self._end(events, now_ns)
            self._pack(line, start, events, now_ns)
            return
        text = line[place[0] : place[1]]
        if not self._pieces:
            self.held_from = start
        self._pieces.append(text)
        self._size += len(text)
        self._last_line = line
        self._complete = ends_line(text)
        self.due_ns = now_ns + self._rules.flush_ns
        if (self._complete and self._rules.first is None) or self._size > MOST_HELD:
            self._end(events, now_ns)

    def _end(self, events: Events, now_ns: int) -> None:
        if not self._pieces:
            return
        line = self._last_line
        if len(self._pieces) > 1:
            begin, end = find_log(line) or (0, 0)
            line = line[:begin] + "".join(self._pieces) + line[end:]
        start = self.held_from or 0
        self._pieces, self._size, self._last_line, self.held_from = [], 0, "", None
        self._complete = True
        self._pack(line, start, events, now_ns)

    def _pack(self, line: str, start: int, events: Events, now_ns: int) -> None:
        keys, parser = self._rules.keys, self._rules.parser
        if parser is not None:
            times, bodies = parser.parse([line])
            if bodies[0] is not None:
                time = times[0] or now_ns
                oldest = self._rules.ignore_older_ns
                if not oldest or time >= now_ns - oldest:
                    keys.add(bodies[0], self._path, start)
                    events.add(time, bodies[0])
                return
        events.add(now_ns, keys.raw(self._path, start, line))

    def flush(self, now_ns: int) -> Events:
        events = Events()
        self._end(events, now_ns)
        return events

    flush_due = flush
