"""The stream processor: SQL tasks over what comes through the filters, without a detour over an output.

A task reads the events of an input, of another task's stream, or of tags; what it makes enters the pipeline as a
stream of its own (through the filters), or goes to standard output if the task makes no stream.
"""

from __future__ import annotations

import sys
import time as clock
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tailrace.config.types import BOOLEANS
from tailrace.engine.context import RepeatingTimer
from tailrace.model import LOGS, Body, Chunk
from tailrace.model.sql import MISSING, Item, Query, SQLError, number_in, parse
from tailrace.model.tag import matcher
from tailrace.plugin.log import Log
from tailrace.wire.notation import event_text

MOST_GROUPS = 100_000
MOST_SNAPSHOT_EVENTS = 100_000


class Emit(Protocol):
    """Puts a stream's chunk into the pipeline, under the stream's name."""

    def __call__(
        self, chunk: Chunk, name: str, /, *, routable: bool = True, is_stored: bool = False
    ) -> None: ...


@dataclass(slots=True)
class Sums:
    """What the aggregates of one key need; mergeable, so that windows can hop."""

    count: int = 0
    total: float | int = 0
    smallest: float | int | None = None
    largest: float | int | None = None
    sum_x: float = 0.0
    sum_y: float = 0.0
    sum_xy: float = 0.0
    sum_xx: float = 0.0
    latest: float = 0.0

    def add(self, number: float, seconds: float) -> None:
        self.count += 1
        self.total += number
        self.smallest = number if self.smallest is None else min(self.smallest, number)
        self.largest = number if self.largest is None else max(self.largest, number)
        self.sum_x += seconds
        self.sum_y += number
        self.sum_xy += seconds * number
        self.sum_xx += seconds * seconds
        self.latest = max(self.latest, seconds)

    def merge(self, other: Sums, shift: float) -> None:
        """Add the other's; its seconds count from a moment `shift` seconds after this one's."""
        self.count += other.count
        self.total += other.total
        self.smallest = least(self.smallest, other.smallest, min)
        self.largest = least(self.largest, other.largest, max)
        self.sum_x += other.sum_x + shift * other.count
        self.sum_y += other.sum_y
        self.sum_xy += other.sum_xy + shift * other.sum_y
        self.sum_xx += other.sum_xx + 2 * shift * other.sum_x + shift**2 * other.count
        self.latest = max(self.latest, other.latest + shift)

    def result(self, item: Item) -> Any:
        """The aggregate that an item asks for."""
        match item.function:
            case "SUM":
                return self.total
            case "AVG":
                return self.total / self.count if self.count else 0.0
            case "MIN":
                return self.smallest if self.smallest is not None else 0
            case "MAX":
                return self.largest if self.largest is not None else 0
            case "TIMESERIES_FORECAST":
                return self.forecast(item.seconds)
        return self.count

    def forecast(self, ahead: int) -> float:
        """The value `ahead` seconds after the latest, on the least-squares line. Seconds count from the first event."""
        spread = self.count * self.sum_xx - self.sum_x**2
        if not self.count:
            return 0.0
        if spread == 0:
            return self.sum_y / self.count
        slope = (self.count * self.sum_xy - self.sum_x * self.sum_y) / spread
        return (self.sum_y - slope * self.sum_x) / self.count + slope * (self.latest + ahead)


def least(one: Any, other: Any, choose: Callable[..., Any]) -> Any:
    if one is None or other is None:
        return one if other is None else other
    return choose(one, other)


@dataclass(slots=True)
class Group:
    """One row of the result while it grows."""

    records: int = 0
    keys: list[Any] = field(default_factory=list)
    sums: list[Sums] = field(default_factory=list)


class Table:
    """The groups of one batch or window."""

    def __init__(self, query: Query, text_is_number: bool) -> None:
        self._query = query
        self._convert = text_is_number
        self.groups: dict[tuple[Any, ...], Group] = {}
        self.origin: float | None = None

    def add(self, body: Body, time_ns: int) -> bool:
        """Count an event; False if there are too many groups."""
        key = tuple(group_key(item.value(body)) for item in self._query.group_by)
        if MISSING in key:
            return True
        group = self.groups.get(key)
        if group is None:
            if len(self.groups) >= MOST_GROUPS:
                return False
            items = self._query.items
            group = self.groups[key] = Group(0, [MISSING] * len(items), [Sums() for _ in items])
        group.records += 1
        if self.origin is None:
            self.origin = time_ns / 1e9
        for index, item in enumerate(self._query.items):
            self._add_item(group, index, item, body, time_ns / 1e9 - self.origin)
        return True

    def _add_item(self, group: Group, index: int, item: Item, body: Body, seconds: float) -> None:
        if not item.key:
            group.sums[index].count += 1
            return
        value = item.value(body)
        if value is MISSING:
            return
        if not item.is_aggregate:
            group.keys[index] = value
        elif item.function == "COUNT":
            group.sums[index].count += 1
        elif (number := self._number(value)) is not None:
            group.sums[index].add(number, seconds)

    def _number(self, value: Any) -> float | int | None:
        kind = type(value)
        if kind is int or kind is float:
            return value  # type: ignore[no-any-return]
        return number_in(value) if kind is str and self._convert else None

    def merge(self, other: Table) -> None:
        if self.origin is None:
            self.origin = other.origin
        shift = (other.origin or 0.0) - (self.origin or 0.0)
        for key, theirs in other.groups.items():
            mine = self.groups.get(key)
            if mine is None:
                mine = self.groups[key] = Group(0, list(theirs.keys), [Sums() for _ in theirs.sums])
            mine.records += theirs.records
            for ours, sums in zip(mine.sums, theirs.sums, strict=True):
                ours.merge(sums, shift)

    def rows(self, tag: str, now_ns: int) -> list[Body]:
        """The result, a body a group."""
        return [self._row(group, tag, now_ns) for group in self.groups.values()]

    def _row(self, group: Group, tag: str, now_ns: int) -> Body:
        row: Body = {}
        for item, key, sums in zip(self._query.items, group.keys, group.sums, strict=True):
            if item.is_aggregate:
                row[item.label] = sums.result(item)
            elif item.function:
                row[item.label] = function_value(item.function, tag, now_ns)
            elif key is not MISSING:
                row[item.label] = key
        return row


def group_key(value: Any) -> Any:
    """A value that can be a part of a group's key."""
    return (
        value
        if value is MISSING or isinstance(value, (str, int, float, bool)) or value is None
        else repr(value)
    )


def function_value(name: str, tag: str, time_ns: int) -> Any:
    """NOW, UNIX_TIMESTAMP, RECORD_TAG or RECORD_TIME."""
    if name == "NOW":
        return clock.strftime("%Y-%m-%d %H:%M:%S")
    if name == "UNIX_TIMESTAMP":
        return int(clock.time())
    return tag if name == "RECORD_TAG" else time_ns / 1e9


class Task:
    """One query at work."""

    def __init__(self, name: str, query: Query, text_is_number: bool, log: Log) -> None:
        self.name = name
        self.query = query
        self.log = log
        self.stream = query.name
        self.tag = query.properties.get("tag", query.name)
        self.routable = BOOLEANS.get(query.properties.get("routable", "on").lower(), True)
        """Off: the stream is for other tasks alone, no output takes it."""
        self.is_stored = query.properties.get("storage.type", "").lower() == "filesystem"
        self._convert = text_is_number
        self._slots: deque[Table] = deque([Table(query, text_is_number)])
        self._snapshot: deque[tuple[int, Body]] = deque(
            maxlen=min(query.limit or MOST_SNAPSHOT_EVENTS, MOST_SNAPSHOT_EVENTS)
        )
        self._matches = matcher(query.source, None) if query.source_kind == "tag" else None
        self._tag_seen = ""
        self._warned = False
        self._ticks = 0

    def wants(self, chunk: Chunk, source: str) -> bool:
        """Whether the task reads this chunk."""
        if source == self.stream and self.stream:
            return False
        return self._matches(chunk.tag) if self._matches else source == self.query.source

    def take(self, chunk: Chunk) -> tuple[list[int], list[Body]]:
        """What a chunk gives at once: times and bodies."""
        query = self.query
        times, bodies = chunk.times, chunk.bodies
        if query.where is not None:
            chosen = [
                query.where(body, chunk.tag, time) for body, time in zip(bodies, times, strict=True)
            ]
            times = [time for time, wanted in zip(times, chosen, strict=True) if wanted]
            bodies = [body for body, wanted in zip(bodies, chosen, strict=True) if wanted]
        if query.action == "snapshot":
            self._snapshot.extend(zip(times, bodies, strict=True))
            return [], []
        if query.is_aggregating:
            return self._aggregate(chunk.tag, times, bodies)
        if not query.items:
            return list(times), [dict(body) for body in bodies]
        rows = [
            self._selected(body, chunk.tag, time) for body, time in zip(bodies, times, strict=True)
        ]
        return [time for time, row in zip(times, rows, strict=True) if row], [
            row for row in rows if row
        ]

    def _selected(self, body: Body, tag: str, time_ns: int) -> Body:
        """The chosen keys in the order of the record, then what functions give."""
        row: Body = {}
        for key in body:
            for item in self.query.items:
                if item.key == key and (value := item.value(body)) is not MISSING:
                    row[item.label] = value
        for item in self.query.items:
            if item.function:
                row[item.label] = function_value(item.function, tag, time_ns)
        return row

    def _aggregate(
        self, tag: str, times: list[int], bodies: list[Body]
    ) -> tuple[list[int], list[Body]]:
        self._tag_seen = tag
        table = self._slots[-1] if self.query.window else Table(self.query, self._convert)
        for time, body in zip(times, bodies, strict=True):
            if not table.add(body, time) and not self._warned:
                self._warned = True
                self.log.error(
                    f"task {self.name}: more than {MOST_GROUPS} groups; events of further groups are left out"
                )
        return ([], []) if self.query.window else self._results([table])

    def _results(self, tables: list[Table]) -> tuple[list[int], list[Body]]:
        whole = Table(self.query, self._convert)
        if len(tables) == 1:
            whole = tables[0]
        else:
            for table in tables:
                whole.merge(table)
        now = clock.time_ns()
        rows = whole.rows(self._tag_seen, now)
        return [now] * len(rows), rows

    def tick(self) -> tuple[list[int], list[Body]]:
        """The window has advanced: its result, empty while nothing came."""
        window = self.query.window
        assert window is not None
        self._ticks += 1
        most = -(-window.size // window.advance)
        full = self._ticks >= most
        results = self._results(list(self._slots)) if full else ([], [])
        self._slots.append(Table(self.query, self._convert))
        while len(self._slots) > most:
            self._slots.popleft()
        return results

    def drain_snapshot(self) -> tuple[list[int], list[Body]]:
        """The events of a snapshot; it is empty then."""
        kept = list(self._snapshot)
        self._snapshot.clear()
        return [time for time, _ in kept], [dict(body) for _, body in kept]


class StreamProcessor:
    """All tasks of one pipeline. `watch` is called with every chunk that came through the filters."""

    def __init__(self, tasks: list[Task], emit: Emit) -> None:
        self._tasks = tasks
        self._emit = emit
        self._timers: list[RepeatingTimer] = []
        self._snapshots = {task.stream: task for task in tasks if task.query.action == "snapshot"}

    def start(self) -> None:
        """Start the windows."""
        for task in self._tasks:
            if task.query.window is not None:
                seconds = task.query.window.advance
                self._timers.append(RepeatingTimer(seconds, lambda task=task: self._tick(task)))  # type: ignore[misc]

    def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def watch(self, chunk: Chunk, source: str) -> None:
        if chunk.kind is not LOGS:
            return
        for task in self._tasks:
            if task.wants(chunk, source):
                times, bodies = task.take(chunk)
                if task.query.action == "flush":
                    self._flush(task, bool(bodies))
                elif bodies:
                    self._deliver(task, times, bodies, chunk)

    def _flush(self, task: Task, hit: bool) -> None:
        snapshot = self._snapshots.get(task.stream)
        if hit and snapshot is not None:
            times, bodies = snapshot.drain_snapshot()
            if bodies:
                self._deliver(task, times, bodies)

    def _tick(self, task: Task) -> None:
        times, bodies = task.tick()
        if bodies:
            self._deliver(task, times, bodies)

    def _deliver(
        self, task: Task, times: list[int], bodies: list[Body], origin: Chunk | None = None
    ) -> None:
        """Print or emit results. Those of one chunk go its way: they hold a share of its receipt, and are stored if it is."""
        if not task.stream:
            for number, (time, body) in enumerate(zip(times, bodies, strict=True)):
                # Compat: each record of a plain SELECT is a result of its own (conformance: stream_task_flag).
                shown = number if task.query.is_aggregating else 0
                sys.stdout.write(f"[{shown}] {event_text(time, {}, body)}\n")
            sys.stdout.flush()
            return
        chunk = Chunk(task.tag, times, bodies)
        if origin is not None:
            chunk.receipt, chunk.hops, chunk.stream = origin.receipt, origin.hops, origin.stream
        self._emit(chunk, task.stream, routable=task.routable, is_stored=task.is_stored)


def make_tasks(sections: Any, text_is_number: bool, log: Log) -> list[Task]:
    """Tasks of `[STREAM_TASK]` sections; one that can't be read is logged and left out, the others work."""
    tasks = []
    for section in sections:
        name, text = section.text("name"), section.text("exec").strip()
        if text and not text.endswith(";"):
            text += ";"
        try:
            tasks.append(Task(name, parse(text), text_is_number, log))
        except SQLError as error:
            log.error(f"[sp] {section.place}: task '{name}' is left out: {error}")
    return tasks
