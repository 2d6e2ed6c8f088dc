"""Change, drop or split events with a function in Lua (LuaJIT).

Example:
    Name lua
    Code function slow(tag, time, record) record.slow = record.took > 1 return 2, time, record end
    Call slow

    {"took": 1.0, "path": "/"}  ->  {"took": 1.0, "path": "/", "slow": false}

The function gets the tag, the time and the record, and returns a code, a time and a record:

| code | what happens |
| --- | --- |
| -1 | the record is dropped |
| 0 | the record stays as it was |
| 1 | the returned time and record take its place |
| 2 | the returned record takes its place, the time stays |

A list of tables in place of the record makes several records. A function of five parameters, `(tag, time, group,
metadata, record)`, returns `code, time, metadata, record`; the group is what the records of OpenTelemetry have in common, a table with
`resource` and `scope`, and is there to be read.

Integers beyond 2^53, floats without a fraction, null, bytes, empty lists and maps and the order of keys are what they were
unless the script changes them. An error leaves the one record as it was.
"""

from __future__ import annotations

from typing import Any

from tailrace.config import Seconds, WordList, option
from tailrace.filters.lua.script import Script
from tailrace.model import Body, Chunk, Metadata, repeated
from tailrace.plugin import Filter, FilterOptions, filter_plugin
from tailrace.wire.msgpack import MsgpackError, pack

SECOND = 1_000_000_000
DROPPED = True


class LuaOptions(FilterOptions):
    script: str = option("")
    """File with the script, from the working folder or the configuration's."""

    code: str = option("")
    """The script itself, in place of `script`."""

    call: str = option("")
    """Name of the function to call for each record."""

    type_int_key: WordList = option([])
    """Keys, at any depth, whose numbers become integers, cut towards zero."""

    type_array_key: WordList = option([])
    """Keys, at any depth, whose tables become lists, also when empty."""

    protected_mode: bool = option(True)
    """Off: an error in the script ends the agent (in good order, with exit code 1)."""

    time_as_table: bool = option(False)
    """Give and take the time as a table with `sec` and `nsec` rather than as a number of seconds."""

    enable_flb_null: bool = option(False)
    """Give null as the value `flb_null` rather than as nil, so that a script can see and set it."""

    compat: bool = option(False)
    """Convert values as Fluent Bit does: null goes, 1.0 becomes 1, integers lose digits, and keys beside a list are lost."""

    time_limit: Seconds = option(0.0)
    """End a call that takes longer (CPU time), as an error of its record; 0: no limit. A limit turns LuaJIT's compiler off."""


@filter_plugin("lua")
class Lua(Filter[LuaOptions]):
    def __init__(self, options: LuaOptions) -> None:
        super().__init__(options)
        self.script = Script(options, self.context)
        self.errors = self.context.metrics.counter(
            "tailrace_filter_errors_total",
            "Events that a filter failed on and passed on",
        )

    def process(self, chunk: Chunk) -> Chunk:
        if not chunk.count:
            return chunk
        bodies = chunk.bodies
        changes = self.changes(chunk)
        is_simple = True
        for body, change in zip(bodies, changes, strict=True):
            if change.__class__ is dict:
                body.update(change)
            elif change is not None:
                is_simple = False
        if not is_simple:
            failures = rebuild(chunk, changes, self.options.enable_flb_null)
            if failures:
                self.report(failures)
        return chunk

    def changes(self, chunk: Chunk) -> list[Any]:
        """What the script made of each record; `batch/head.lua` says how that is written."""
        bodies, metadata, times = chunk.bodies, chunk.metadata, chunk.times
        groups = chunk.groups
        try:
            return self.script.run(bodies, metadata, times, chunk.tag, groups)
        except MsgpackError:
            good = [index for index, body in enumerate(bodies) if is_packable(body)]
        changes: list[Any] = ["the record is nested too deeply for a script"] * len(bodies)
        if good:
            results = self.script.run(
                [bodies[index] for index in good],
                None if metadata is None else [metadata[index] for index in good],
                [times[index] for index in good],
                chunk.tag,
                None if groups is None else [groups[index] for index in good],
            )
            for index, result in zip(good, results, strict=True):
                changes[index] = result
        return changes

    def report(self, failures: list[str]) -> None:
        """Count and log the records on which the script failed; they went on as they were."""
        self.errors.inc(len(failures))
        more = f" (and {len(failures) - 1} more records of this batch)" if len(failures) > 1 else ""
        self.context.log.error(
            f"{self.options.call}: {failures[0]}; the record stays as it was{more}"
        )
        if not self.options.protected_mode:
            self.context.stop_agent(1)


def is_packable(body: Body) -> bool:
    try:
        pack(body)
    except MsgpackError:
        return False
    return True


def rebuild(chunk: Chunk, changes: list[Any], takes_null: bool) -> list[str]:
    """Carry out all changes but those of fields alone, which are done; gives the messages of failures.

    Without `takes_null` a null is nil to the script, so that setting it to nil changes nothing.
    """
    times: list[int] = []
    bodies: list[Body] = []
    metadata: list[Metadata] = []
    failures: list[str] = []
    counts = [1] * len(changes)
    old_metadata = chunk.metadata or [{} for _ in range(chunk.count)]  # each its own map
    for index, (change, time, body, meta) in enumerate(
        zip(changes, chunk.times, chunk.bodies, old_metadata, strict=True)
    ):
        if change is DROPPED:
            counts[index] = 0
            continue
        if change.__class__ is not list:
            if change.__class__ is str:
                failures.append(change)
        elif len(change) == 4:
            fields, removed, new_time, new_meta = change
            body.update(fields)
            for key in removed:
                if takes_null or body.get(key) is not None:
                    body.pop(key, None)
            time = time if new_time is None else time_ns(new_time)
            meta = meta if new_meta is None else new_meta
        else:
            records, metas, new_time = change
            time = time if new_time is None else time_ns(new_time)
            bodies += records
            counts[index] = len(records)
            times += [time] * len(records)
            if metas is None:
                metadata += [dict(meta) for _ in records]
            else:
                one_for_all = len(metas) != len(records)
                metadata += [dict(metas[0]) for _ in records] if one_for_all else metas
            continue
        bodies.append(body)
        times.append(time)
        metadata.append(meta)
    if chunk.groups is not None:
        chunk.groups = repeated(chunk.groups, counts)
    before = chunk.count
    chunk.times, chunk.bodies = times, bodies
    chunk.metadata = metadata if any(metadata) else None
    if len(bodies) < before:
        chunk.nbytes = chunk.nbytes * len(bodies) // before
    return failures


def time_ns(time: list[int]) -> int:
    seconds, nanoseconds = time
    return seconds * SECOND + nanoseconds
