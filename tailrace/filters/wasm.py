"""Change or drop records by a function of a WebAssembly module.

Example:
    Name          wasm
    Match         *
    WASM_Path     filter.wasm
    Function_Name filter

The function is `char *f(char *tag, int tag_len, uint32_t seconds, uint32_t nanoseconds, char *record, int record_len)`. It gets
the record as JSON text (or MessagePack) and returns the new record; an empty text or a null pointer drops it. Modules
come from C, Rust, Go, Zig, AssemblyScript and others; see the page about WebAssembly. One instance serves all records and keeps
its state; it is made anew after a call that failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import compress
from pathlib import Path
from random import randrange
from typing import Any

from tailrace.config import CommaList, ConfigError, Seconds, Size, option
from tailrace.config.types import one_of
from tailrace.model import Body, Chunk
from tailrace.plugin import Filter, FilterOptions, filter_plugin
from tailrace.wasm.driver import BAD_POINTER, NOT_A_MAP, UNCHANGED
from tailrace.wasm.engine import Limits, make_engine, stack_warning
from tailrace.wasm.faults import Fault
from tailrace.wasm.guest import Guest, Outcome
from tailrace.wasm.program import open_program
from tailrace.wire.json import Encoder, decode_stream, loads
from tailrace.wire.msgpack import decode_bodies, encode_bodies


class WasmOptions(FilterOptions):
    wasm_path: str
    """The module: a `.wasm` file, or one compiled ahead of time by `tailrace wamrc`."""

    function_name: str
    """The function of the module to call for each record."""

    event_format: str = option("json", reader=one_of("json", "msgpack"))
    """How the function gets the record and gives it back: json or msgpack."""

    accessible_paths: CommaList = option(lambda: ["."])
    """Folders that the module may read and write, with commas between; default: the working directory."""

    wasm_heap_size: Size = option(8192)
    """Room for what the module is given. The module's own allocator is used and grows up to `memory_limit`; a larger size raises that limit."""

    wasm_stack_size: Size = option(8192)
    """Size of the module's stack; at least 512K, at most 2M are given."""

    memory_limit: Size = option(64_000_000)
    """The most memory that the module may have in all."""

    time_limit: Seconds = option(1.0)
    """How long the function may work on one record; 0: without limit."""

    on_error: str = option("keep", reader=one_of("keep", "drop"))
    """What becomes of a record on which the function failed (trap, exit, time): keep it as it was, or drop it."""


@filter_plugin("wasm")
class Wasm(Filter[WasmOptions]):
    def __init__(self, options: WasmOptions) -> None:
        super().__init__(options)
        limits = Limits(
            memory=max(options.memory_limit, options.wasm_heap_size),
            stack=options.wasm_stack_size,
            seconds=options.time_limit,
        )
        if warning := stack_warning(options.wasm_stack_size):
            self.context.log.warn(warning)
        program = open_program(
            options.wasm_path, Path(self.context.config_dir), make_engine(limits.stack)
        )
        self.is_msgpack = options.event_format == "msgpack"
        self.guest = Guest(
            program, options.function_name, options.accessible_paths, limits, self.is_msgpack
        )
        self.encoder = Encoder(self.context.service("json.escape_unicode"))
        self.errors = self.context.metrics.counter(
            "tailrace_filter_errors_total",
            "Events that a filter failed on and passed on",
        )

    async def start(self) -> None:
        try:
            self.guest.start()
        except Fault as fault:
            raise ConfigError(
                f"wasm module {self.options.wasm_path!r} does not start: {fault.why}."
            ) from fault
        if self.guest.main_failed:
            self.context.log.warn(
                f"main of {self.options.wasm_path!r} is left out, since it failed: {self.guest.main_failed}"
            )

    async def stop(self) -> None:
        self.guest.close()

    def process(self, chunk: Chunk) -> Chunk:
        if not chunk.count:
            return chunk
        tag = chunk.tag.encode("utf-8", "surrogateescape")
        if self.is_msgpack:
            outcome = self.guest.run(tag, chunk.times, encode_bodies(chunk.bodies))
            read = read_maps
        else:
            mark = randrange(1 << 30, 1 << 31)
            outcome = self.guest.run(tag, chunk.times, self.records(chunk), b",%d," % mark)
            read = lambda outcome: read_objects(outcome, mark)  # noqa: E731
        if outcome.failed:
            self.note_failures(outcome, chunk)
        lengths = outcome.lengths
        if not outcome.failed and not outcome.texts and min(lengths) >= UNCHANGED:
            return chunk.select(lengths) if 0 in lengths else chunk
        return self.take(chunk, outcome, read(outcome))

    def records(self, chunk: Chunk) -> list[bytes]:
        if chunk.lines is not None:
            return self.encoder.text_lines(chunk.key, chunk.lines)
        return self.encoder.lines(chunk.bodies)

    def take(self, chunk: Chunk, outcome: Outcome, found: Sequence[Body | None]) -> Chunk:
        """Put what the function gave in place of the records; `found` are its results in their order."""
        lengths = outcome.lengths
        if not outcome.failed and min(lengths) >= 0 and None not in found:
            return replace(chunk, found, lengths)
        fresh, old = iter(found), chunk.bodies
        kept: Collection[int] = outcome.failed if self.options.on_error == "keep" else ()
        bodies: list[Body | None] = []
        add = bodies.append
        for index, length in enumerate(lengths):
            if length > 0:
                add(next(fresh))
            elif length == UNCHANGED or index in kept:
                add(old[index])
            else:
                add(None)
        wrong = [index for index, length in enumerate(lengths) if length and bodies[index] is None]
        if wrong:
            self.note_no_record(outcome, wrong)
        chosen = [body is not None for body in bodies]
        return replace(chunk, list(compress(bodies, chosen)), chosen)

    # What to say

    def note_failures(self, outcome: Outcome, chunk: Chunk) -> None:
        dropped = self.options.on_error == "drop"
        what = "dropped" if dropped else "left as they were"
        for why, count in Counter(outcome.failed.values()).items():
            self.context.log.error(
                f"function '{self.options.function_name}' failed on {count} of {chunk.count} records, which are {what}: {why}"
            )
        if dropped:
            self.context.drop(len(outcome.failed), "wasm function failed")
        else:
            self.errors.inc(len(outcome.failed))

    def note_no_record(self, outcome: Outcome, wrong: list[int]) -> None:
        kinds = Counter(outcome.lengths[index] for index in wrong)
        reasons = []
        if kinds[BAD_POINTER]:
            reasons.append("a pointer outside of its memory")
        if kinds[NOT_A_MAP]:
            reasons.append("MessagePack that is no map")
        if any(kind > 0 for kind in kinds):
            reasons.append(
                "invalid MessagePack" if self.is_msgpack else "text that is no JSON object"
            )
        self.context.log.error(
            f"function '{self.options.function_name}' returned {' and '.join(reasons)} for {len(wrong)} records, which are dropped"
        )
        self.context.drop(len(wrong), "wasm function returned no record")


def replace(chunk: Chunk, bodies: Sequence[Any], mask: Sequence[Any]) -> Chunk:
    """The chunk with these bodies in place of the events whose mask is true; the others go."""
    before = chunk.count
    chunk.open()
    if len(bodies) < before:
        chunk.times = list(compress(chunk.times, mask))
        if chunk.metadata is not None:
            chunk.metadata = list(compress(chunk.metadata, mask))
        if chunk.groups is not None:
            chunk.groups = list(compress(chunk.groups, mask))
    chunk.bodies = list(bodies)
    chunk.nbytes = chunk.nbytes * chunk.count // before
    return chunk


def read_objects(outcome: Outcome, mark: int) -> Sequence[Body | None]:
    """The results as bodies, those that are no JSON object as None. All in one call of the JSON reader where that works."""
    text = outcome.text()
    if not text:
        return []
    tail = len(str(mark)) + 2
    try:
        values: list[Any] = loads(b"".join((b"[", memoryview(text)[:-tail], b"]")))
    except ValueError:
        return read_one_by_one(outcome, tail)
    bodies = values[::2]
    marks = values[1::2]
    if marks != [mark] * (len(bodies) - 1) or set(map(type, bodies)) != {dict}:
        return read_one_by_one(outcome, tail)
    return bodies


def read_one_by_one(outcome: Outcome, separator: int) -> list[Body | None]:
    return [first_object(text) for text in pieces(outcome, separator)]


def first_object(text: bytes) -> Body | None:
    """The object that a text begins with. Compat: what stands behind it is passed over (conformance: wasm/wasm_odd_json)."""
    values, _, _ = decode_stream(text)
    return values[0] if values and type(values[0]) is dict else None


def pieces(outcome: Outcome, separator: int) -> list[bytes]:
    """Each result alone."""
    text, at, found = outcome.text(), 0, []
    for length in outcome.lengths:
        if length > 0:
            found.append(text[at : at + length])
            at += length + separator
    return found


def read_maps(outcome: Outcome) -> Sequence[Body | None]:
    """The results as bodies, those that are no map with text keys as None."""
    return decode_bodies(pieces(outcome, 0))
