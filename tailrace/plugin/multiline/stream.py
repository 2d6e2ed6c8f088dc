"""The state of one source of lines: what belongs to the message that may go on, for each parser and each group.

Each line is offered to the parser that took the last one, then to the others in their order. What none of them takes ends all
messages and stands alone. Messages whose lines come mixed (stdout and stderr of a container) are kept apart by `key_group`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tailrace.model import Body, Metadata
from tailrace.model.regex import RegexTimeout, budget
from tailrace.plugin.base import Parsed
from tailrace.plugin.multiline.choice import NO_CHOICE, Choice
from tailrace.plugin.multiline.rules import MultilineParser, Rule

NOT_TAKEN, TAKEN, COMPLETE = range(3)
BATCH_SECONDS = 2.0
LINE_SECONDS = 0.2
MOST_GROUPS = 64
"""Groups of one stream; when another one comes, the oldest is given out."""
TRUNCATED = "multiline_truncated"
"""The key in the metadata of an event that was cut at the limit."""


class Joined:
    """Events that are complete, as parallel lists; `metadata` is None if all is empty.

    `origins` holds for each event what came with its first line (`feed_lines`), or a list of what
    came with its bodies (`feed_bodies`).
    """

    __slots__ = ("bodies", "metadata", "origins", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.bodies: list[Body] = []
        self.metadata: list[Metadata] | None = None
        self.origins: list[Any] = []

    def add(self, time: int, body: Body, metadata: Metadata | None, origin: Any) -> None:
        if metadata and self.metadata is None:
            self.metadata = [{} for _ in self.bodies]
        self.times.append(time)
        self.bodies.append(body)
        self.origins.append(origin)
        if self.metadata is not None:
            self.metadata.append(metadata or {})

    def forget_from(self, count: int) -> None:
        """Take back what came behind the first `count` events."""
        del self.times[count:], self.bodies[count:], self.origins[count:]
        if self.metadata is not None:
            del self.metadata[count:]


class Group:
    """One message that may go on. `rule` is the last that matched; it stays when the message is given out."""

    __slots__ = (
        "body",
        "is_open",
        "metadata",
        "origin",
        "pieces",
        "rule",
        "size",
        "time",
        "touched_ns",
        "truncated",
    )

    def __init__(self) -> None:
        self.rule: Rule | None = None
        self.is_open = False
        self.pieces: list[str] = []
        self.size = 0
        self.body: Body | None = None
        self.metadata: Metadata | None = None
        self.time = 0
        self.origin: Any = None
        self.truncated = False
        self.touched_ns = 0

    def begin(self, body: Body | None, time: int, origin: Any) -> None:
        self.is_open = True
        self.body, self.time, self.origin = body, time, origin
        self.pieces, self.size, self.metadata, self.truncated = [], 0, None, False

    def end_line(self) -> None:
        """What is there ends in a line feed, before more comes."""
        if self.size and not self.pieces[-1].endswith("\n"):
            self.pieces.append("\n")
            self.size += 1

    def append(self, content: str, size: int) -> None:
        if size:
            self.pieces.append(content)
            self.size += size

    def add_metadata(self, metadata: Metadata | None) -> None:
        if metadata:
            self.metadata = {**self.metadata, **metadata} if self.metadata else dict(metadata)


class Unit:
    """One parser in one stream, with its messages by group."""

    __slots__ = (
        "_parsed",
        "_parsed_of",
        "group",
        "groups",
        "is_plain",
        "key",
        "kind",
        "parser",
        "start",
    )

    def __init__(self, parser: MultilineParser, key_content: str) -> None:
        self.parser = parser
        self.kind = parser.kind
        self.key = key_content or parser.key_content
        self.start = Choice([rule for rule in parser.rules if rule.is_start])
        self.is_plain = parser.kind == "regex" and parser.parser is None and not parser.key_group
        """Rules that look at texts as they are, in one group."""
        self.group = Group()
        """The only one, unless `key_group` tells more apart."""
        self.groups: dict[str, Group] = {"": self.group}
        self._parsed_of: Sequence[str] | None = None
        self._parsed = Parsed([], [])

    def takes(self, content: Any) -> bool:
        """Whether a text goes on with a message or begins one."""
        if type(content) is not str:
            return False
        rule = self.group.rule
        if rule is not None and rule.choice.of(content) is not None:
            return True
        return self.start.of(content) is not None

    def parsed(self, lines: Sequence[str]) -> Parsed:
        """What the inner parser makes of a batch of lines, all at once."""
        if self._parsed_of is not lines:
            assert self.parser.parser is not None
            self._parsed, self._parsed_of = self.parser.parser.parse(lines), lines
        return self._parsed

    def forget_parsed(self) -> None:
        self._parsed_of, self._parsed = None, Parsed([], [])

    def give_out(self, group: Group, out: Joined) -> None:
        """The message of a group as it is; nothing if it holds none, or an empty line alone."""
        if not group.is_open:
            return
        group.is_open = False
        key = self.key
        if not key:
            group.end_line()
        body = group.body
        if body is None:
            if not group.size:
                return
            body = {key or "log": "".join(group.pieces)}
        elif group.size and key in body:
            body[key] = "".join(group.pieces)
        group.body, group.pieces = None, []
        metadata = group.metadata
        if group.truncated:
            metadata = {**(metadata or {}), TRUNCATED: True}
        out.add(group.time, body, metadata, group.origin)


class Stream:
    """Joins the lines, or the bodies, of one source.

    `key_content` takes the place of the parsers' own. `limit` is how many bytes an event's text may have, 0: no limit;
    `on_truncated` is called for each that was cut, `on_slow` once when a rule takes too long for a line.
    """

    def __init__(
        self,
        parsers: Sequence[MultilineParser],
        *,
        key_content: str = "",
        limit: int = 0,
        on_truncated: Callable[[], None] = lambda: None,
        on_slow: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._units = [Unit(parser, key_content) for parser in parsers]
        self._order = self._units
        only = self._units[0]
        self._plain = (
            only
            if len(parsers) == 1 and only.kind == "regex" and only.parser.parser is None
            else None
        )
        """The one parser whose rules look at the lines as they are, which is the usual case."""
        self._given = 0
        self._limit = limit
        self._on_truncated = on_truncated
        self._on_slow = on_slow
        self._now_ns = 0
        self._at = 0

    # Taking

    def feed_lines(
        self, lines: Sequence[str], origins: Sequence[Any], now_ns: int, out: Joined
    ) -> None:
        """Take lines, without line ends; what is complete goes to `out`. An event's origin is that of its first line."""
        self._now_ns = now_ns
        if self._plain is not None and self._fits(lines):
            try:
                with budget(BATCH_SECONDS):
                    self._take_plain(self._plain, lines, origins, out)
                return
            except RegexTimeout:
                out.forget_from(self._given)
        self._run(
            len(lines),
            lambda at: self._take_line(lines, at, origins[at], out),
            lambda at: self._lone_line(lines[at], origins[at], out),
            lambda at: self._pass_whole(lines, at, origins, out),
        )
        for unit in self._units:
            unit.forget_parsed()

    def feed_bodies(
        self,
        bodies: Sequence[Body],
        times: Sequence[int],
        metadata: Sequence[Metadata] | None,
        origin: Any,
        now_ns: int,
        out: Joined,
    ) -> None:
        """Take bodies, which are changed; an event's origin is a list of those of its bodies, each once."""
        self._now_ns = now_ns

        def take(at: int) -> None:
            self._take_body(bodies[at], times[at], metadata[at] if metadata else None, origin, out)

        def leave(at: int) -> None:
            self._lone_body(bodies[at], times[at], metadata[at] if metadata else None, origin, out)

        self._run(len(bodies), take, leave)

    def _run(
        self,
        count: int,
        take: Callable[[int], None],
        leave: Callable[[int], None],
        pass_on: Callable[[int], int] = lambda at: at,
    ) -> None:
        """Take all; what a rule takes too long for is left alone. `pass_on` takes some at once; where it stopped."""
        self._at = 0
        try:
            with budget(BATCH_SECONDS):
                while (at := pass_on(self._at)) < count:
                    self._at = at
                    take(at)
                    self._at = at + 1
            return
        except RegexTimeout:
            self._on_slow(", ".join(unit.parser.name for unit in self._units))
        leave(self._at)
        for at in range(self._at + 1, count):
            try:
                with budget(LINE_SECONDS):
                    take(at)
            except RegexTimeout:
                leave(at)

    def _fits(self, lines: Sequence[str]) -> bool:
        """Whether no message can come to its limit with these lines."""
        if not self._limit:
            return True
        held = self._units[0].group.size if self._units[0].group.is_open else 0
        return held + 4 * sum(map(len, lines)) + len(lines) <= self._limit

    def _take_plain(
        self, unit: Unit, lines: Sequence[str], origins: Sequence[Any], out: Joined
    ) -> None:
        """As `_take_line` for each, at a third of its cost: a message is joined once it is complete (bench: multiline_file).

        The group is changed at the end only, so that all can be done again if a rule takes too long.
        """
        self._given = len(out.bodies)
        group, start, key = unit.group, unit.start.match, unit.key or "log"
        end, now_ns = "" if unit.key else "\n", self._now_ns
        rule: Any = group.rule
        choice = NO_CHOICE if rule is None else rule.choice
        go_on, stays = choice.match, choice.stays
        is_open, first, begun = group.is_open, 0, -1
        for at, line in enumerate(lines):
            found = go_on(line)
            if found is not None:
                if is_open and stays[found.lastindex]:
                    continue
                rule = choice.rules[found.lastindex]
                has_text = True
                if not is_open:
                    is_open, first, begun = True, at, at
            else:
                found = start(line)
                if is_open:
                    self._join(unit, lines[first:at], begun, origins, out)
                if found is None:
                    is_open = False
                    if line:
                        out.add(now_ns, {key: line + end}, None, origins[at])
                    continue
                rule = unit.start.rules[found.lastindex]
                has_text = bool(line)
                is_open, first, begun = True, at + (not line), at
            if rule.choice is not choice:
                choice = rule.choice
                go_on, stays = choice.match, choice.stays
            if rule.may_end and has_text:
                self._join(unit, lines[first : at + 1], begun, origins, out)
                is_open = False
        self._keep(group, rule, is_open, lines[first:], origins[begun] if begun >= 0 else None)

    def _join(
        self, unit: Unit, lines: Sequence[str], begun: int, origins: Sequence[Any], out: Joined
    ) -> None:
        """Give out a message of these lines, behind what the group holds if it did not begin with them."""
        if begun >= 0:
            if lines:
                text = "\n".join(lines) + ("\n" if not unit.key or not lines[-1] else "")
                out.add(self._now_ns, {unit.key or "log": text}, None, origins[begun])
            return
        group = unit.group
        text = gone_on("".join(group.pieces), lines)
        if text and not unit.key and text[-1] != "\n":
            text += "\n"
        if text:
            out.add(group.time, {unit.key or "log": text}, None, group.origin)

    def _keep(
        self, group: Group, rule: Rule | None, is_open: bool, lines: Sequence[str], origin: Any
    ) -> None:
        """Hold the message that may go on; it began with these lines if there is an origin."""
        group.rule = rule
        if not is_open:
            group.is_open, group.pieces, group.size = False, [], 0
            return
        if origin is not None:
            group.begin(None, self._now_ns, origin)
        if lines or origin is not None:
            group.touched_ns = self._now_ns
        text = gone_on("".join(group.pieces), lines)
        group.pieces, group.size = [text] if text else [], size_of(text)

    def _pass_whole(
        self, lines: Sequence[str], first: int, origins: Sequence[Any], out: Joined
    ) -> int:
        """Give out lines that are messages by themselves, as most of containers are; the place of the first that isn't."""
        unit = self._order[0]
        parser = unit.parser
        if parser.parser is None or unit.kind == "regex":
            return first
        times, bodies = unit.parsed(lines)
        key, pattern_key, group_key = unit.key, parser.key_pattern or unit.key, parser.key_group
        ends, wanted, negate = unit.kind == "endswith", parser.match_string, parser.negate
        groups, default, now_ns = unit.groups, unit.group, self._now_ns
        for at in range(first, len(lines)):
            body = bodies[at]
            if body is None:
                return at
            pattern = body.get(pattern_key)
            if type(pattern) is not str or type(body.get(key)) is not str or not pattern:
                return at
            if (pattern.endswith(wanted) if ends else pattern == wanted) is negate:
                return at
            name = body.get(group_key) if group_key else None
            group = groups.get(name) if type(name) is str else default
            if group is not None and group.is_open:
                return at
            out.add(times[at] or now_ns, body, None, origins[at])
        return len(lines)

    def _take_line(self, lines: Sequence[str], at: int, origin: Any, out: Joined) -> None:
        line = lines[at]
        for unit in self._order:
            group = unit.group
            if unit.parser.parser is None:
                state = self._package(unit, group, None, line, line, self._now_ns, origin, out)
            else:
                parsed = unit.parsed(lines)
                body = parsed.bodies[at]
                fields = None if body is None else self._fields(unit, body, out)
                if body is None or fields is None:
                    continue
                group, content, pattern = fields
                time = parsed.times[at] or self._now_ns
                state = self._package(unit, group, body, content, pattern, time, origin, out)
            if state:
                if state == COMPLETE:
                    unit.give_out(group, out)
                self._prefer(unit)
                return
        self._lone_line(line, origin, out)

    def _take_body(
        self, body: Body, time: int, metadata: Metadata | None, origin: Any, out: Joined
    ) -> None:
        for unit in self._order:
            if unit.is_plain and not unit.takes(body.get(unit.key)):
                continue  # the usual case, said quickly
            record, found = self._inner(unit, body, time)
            fields = None if record is None else self._fields(unit, record, out)
            if record is None or fields is None:
                continue
            group, content, pattern = fields
            state = self._package(unit, group, record, content, pattern, found, [origin], out)
            if state:
                group.add_metadata(metadata)
                if group.origin[-1] is not origin:
                    group.origin.append(origin)
                if state == COMPLETE:
                    unit.give_out(group, out)
                self._prefer(unit)
                return
        self._lone_body(body, time, metadata, origin, out)

    def _inner(self, unit: Unit, body: Body, time: int) -> tuple[Body | None, int]:
        """What the inner parser makes of a body's content, or the body itself."""
        parser = unit.parser.parser
        if parser is None or unit.key not in body:
            return body, time
        content = body[unit.key]
        if type(content) is not str:
            return None, time
        parsed = parser.parse([content])
        return parsed.bodies[0], parsed.times[0] or time

    def _prefer(self, unit: Unit) -> None:
        """The next line is offered to this parser first."""
        if self._order[0] is not unit:
            self._order = [unit, *(each for each in self._units if each is not unit)]

    def _fields(self, unit: Unit, body: Body, out: Joined) -> tuple[Group, str, str] | None:
        """The group of a body, the text to be joined, and the text that tells; None if it has none."""
        content = body.get(unit.key) if unit.key else None
        if type(content) is not str:
            return None
        parser, group, pattern = unit.parser, unit.group, content
        if parser.key_pattern:
            found = body.get(parser.key_pattern)
            pattern = found if type(found) is str else content
        if parser.key_group:
            name = body.get(parser.key_group)
            if type(name) is str:
                group = unit.groups.get(name) or self._new_group(unit, name, out)
        return group, content, pattern

    def _new_group(self, unit: Unit, name: str, out: Joined) -> Group:
        groups = unit.groups
        if len(groups) > MOST_GROUPS:
            oldest = next(key for key in groups if key)
            unit.give_out(groups.pop(oldest), out)
        group = groups[name] = Group()
        return group

    # Joining

    def _package(
        self,
        unit: Unit,
        group: Group,
        body: Body | None,
        content: str,
        pattern: str,
        time: int,
        origin: Any,
        out: Joined,
    ) -> int:
        """Put a text to its message: `NOT_TAKEN`, `TAKEN`, or `COMPLETE` if the message is to be given out now."""
        if unit.kind == "regex":
            return self._by_rules(unit, group, body, content, time, origin, out)
        parser = unit.parser
        if unit.kind == "endswith":
            done = pattern.endswith(parser.match_string)
        else:
            done = pattern == parser.match_string
        size = size_of(content)
        if group.is_open and self._limit and group.size + size > self._limit:
            # What a runtime split has no length of its own: it is given out in parts.
            self._cut(group)
            unit.give_out(group, out)
        if not group.is_open:
            group.begin(body, time, origin)
        if not unit.key:
            group.end_line()
        group.append(content, size)
        group.touched_ns = self._now_ns
        return COMPLETE if done is not parser.negate else TAKEN

    def _by_rules(
        self,
        unit: Unit,
        group: Group,
        body: Body | None,
        content: str,
        time: int,
        origin: Any,
        out: Joined,
    ) -> int:
        rule = group.rule
        found: Rule | None = None if rule is None else rule.choice.of(content)
        if found is None:
            found = unit.start.of(content)
            if found is None:
                return NOT_TAKEN
            unit.give_out(group, out)
            group.begin(body, time, origin)
        elif group.is_open:
            group.end_line()
            content = content or "\n"
        else:
            group.begin(body, time, origin)
            content = content or "\n"
        group.rule = found
        group.touched_ns = self._now_ns
        size = size_of(content)
        if self._limit and group.size + size > self._limit:
            content = cut(content, self._limit - group.size)
            group.append(content, size_of(content))
            self._cut(group)
            group.rule = None
            return COMPLETE
        group.append(content, size)
        return COMPLETE if found.may_end and group.size else TAKEN

    def _cut(self, group: Group) -> None:
        group.truncated = True
        self._on_truncated()

    def _lone_line(self, line: str, origin: Any, out: Joined) -> None:
        """A line that no parser takes ends all messages. An empty one alone gives no event."""
        self.flush(out)
        unit = self._units[0]
        if not self._limit or 4 * len(line) <= self._limit:
            if line:
                text = line if unit.key else line + "\n"
                out.add(self._now_ns, {unit.key or "log": text}, None, origin)
            return
        group = Group()
        group.begin(None, self._now_ns, origin)
        size = size_of(line)
        if self._limit and size > self._limit:
            line = cut(line, self._limit)
            self._cut(group)
        group.append(line, size)
        unit.give_out(group, out)

    def _lone_body(
        self, body: Body, time: int, metadata: Metadata | None, origin: Any, out: Joined
    ) -> None:
        self.flush(out)
        out.add(time, body, metadata, [origin])

    # Giving out

    def flush(self, out: Joined) -> None:
        """Everything that is held, as it is."""
        for unit in self._units:
            for group in unit.groups.values():
                if group.is_open:
                    unit.give_out(group, out)

    def flush_due(self, before_ns: int, out: Joined) -> None:
        """What had its last line at or before a moment (nanoseconds since the epoch)."""
        for unit in self._units:
            for group in unit.groups.values():
                if group.is_open and group.touched_ns <= before_ns:
                    unit.give_out(group, out)

    def held(self) -> list[Group]:
        """The messages that may go on."""
        return [group for unit in self._units for group in unit.groups.values() if group.is_open]


def gone_on(text: str, lines: Sequence[str]) -> str:
    """A text with more lines behind it; an empty line is a line feed."""
    if not lines:
        return text
    more = "\n".join(lines)
    if not lines[-1]:
        more += "\n"
    return f"{text}\n{more}" if text and text[-1] != "\n" else text + more


def size_of(text: str) -> int:
    """Bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def cut(text: str, size: int) -> str:
    """At most `size` bytes of a text, whole characters."""
    data = text.encode("utf-8", "surrogateescape")
    while 0 < size < len(data) and data[size] & 0xC0 == 0x80:
        size -= 1
    return data[:size].decode("utf-8", "surrogateescape")
