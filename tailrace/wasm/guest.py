"""One running module, and batches of records through one function of it.

A call that fails (trap, exit, time) ends the instance; the next record gets a new one. A module whose memory is full,
as happens to one that never frees, gets a new one and that record once more.
"""

from __future__ import annotations

import ctypes
import struct
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tailrace.config.errors import ConfigError, did_you_mean
from tailrace.wasm.driver import (
    BAD_POINTER,
    DONE,
    DRAIN,
    HEADER_BYTES,
    NO_MEMORY,
    OVERWRITTEN,
    PAGE,
    TIMES,
    UNCHANGED,
    Allocator,
    driver_text,
)
from tailrace.wasm.engine import Limits
from tailrace.wasm.faults import Fault, fault_of
from tailrace.wasm.program import Program, compiled
from tailrace.wasm.sandbox import MainFailed, check_folders, initialize, wasi_config
from tailrace.wasm.watchdog import Watchdog

HEADER = struct.Struct("<15i")
PARAMETERS = 6
DRIVER_PAGES = 16
INPUT_BYTES = 256 << 10
SLACK = 32
MOST_TIMEOUTS = 3
"""After so many records in a row that took too long, the module rests."""
REST_FACTOR = 20
"""A rest is so many times as long as what those records took."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch.

    `lengths[i]` says what came of record i: the length of its text, 0 dropped, or a negative word of `driver`.
    `texts` is the results one behind the other, each with the separator behind it; `failed` the records whose
    call did not return, with the reason.
    """

    lengths: array[int]
    texts: list[bytes] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)

    def text(self) -> bytes:
        return self.texts[0] if len(self.texts) == 1 else b"".join(self.texts)


class Guest:
    """A function of a program, called for batches. It starts with the first one, or by `start`."""

    def __init__(
        self,
        program: Program,
        function: str,
        paths: Sequence[str],
        limits: Limits,
        is_msgpack: bool = False,
    ) -> None:
        import wasmtime

        self.program = program
        self.paths = list(paths)
        self.limits = limits
        engine = program.engine
        allocator = allocator_of(program)
        self.gap = limits.memory if allocator == "grow" and program.sees_memory_size else 0
        text = driver_text(
            parameters_of(program, function),
            allocator,
            is_msgpack,
            -(-self.gap // PAGE),
            DRIVER_PAGES,
        )
        self.function = function
        self.allocator = allocator
        self.driver = compiled(engine, text, "driver")
        self.watchdog = Watchdog(engine, limits.seconds)
        self.linker = wasmtime.Linker(engine)
        if program.uses_wasi:
            self.linker.define_wasi()
            check_folders(self.paths)
        self.linker.define_unknown_imports_as_traps(program.module)
        self.prepared = self.linker.instantiate_pre(program.module)
        self.instances = 0
        """How many instances there have been."""
        self.main_failed = ""
        """Why the module's `main` is left out."""
        self.store: Any = None
        self._run: Any = None
        self._memory: Any = None
        self._guest_memory: Any = None
        self._base = 0
        self._size = 0
        self._progress: ctypes.c_uint32 | None = None
        self._rest_until = 0.0

    # Life

    def start(self) -> None:
        """Make an instance and let it initialize itself; `Fault` if that fails.

        Compat: Fluent Bit never calls `main`, so a module whose `main` fails is taken without it.
        """
        try:
            self._start()
        except MainFailed as error:
            self.main_failed = str(error)
            self._start()

    def _start(self) -> None:
        import wasmtime

        self.stop()
        store = wasmtime.Store(self.program.engine)
        if self.program.uses_wasi:
            store.set_wasi(wasi_config(self.paths))
        store.set_limits(memory_size=self.limits.memory + self.gap)
        store.set_epoch_deadline(1)
        self.watchdog.begin()
        try:
            instance = self.prepared.instantiate(store)
            exports = instance.exports(store)
            initialize(exports, store, with_main=not self.main_failed)
            self._bind(store, exports)
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            raise fault_of(error) from error
        finally:
            self.watchdog.end()
        self.instances += 1

    def _bind(self, store: Any, exports: Any) -> None:
        import wasmtime

        linker = wasmtime.Linker(self.program.engine)
        memory = exports["memory"]
        linker.define(store, "guest", "memory", memory)
        linker.define(store, "guest", "function", exports[self.function])
        for name in ALLOCATOR_FUNCTIONS[self.allocator]:
            linker.define(store, "guest", name, exports[name])
        most = self.limits.memory + self.gap
        store.set_limits(memory_size=max(most, (DRIVER_PAGES + 1) * PAGE))
        driver = linker.instantiate(store, self.driver).exports(store)
        self.store, self._run, self._memory = store, driver["run"], driver["memory"]
        self._guest_memory = memory
        store.set_limits(memory_size=most)
        self._locate()

    def _locate(self) -> None:
        """Where the driver's memory lies; after each growth anew."""
        self._base = ctypes.addressof(self._memory.data_ptr(self.store).contents)
        self._size = self._memory.data_len(self.store)
        self._progress = ctypes.c_uint32.from_address(self._base)

    def stop(self) -> None:
        """Let the instance go."""
        self.store = self._run = self._memory = self._guest_memory = self._progress = None

    def close(self) -> None:
        """Let the instance and the watchdog go."""
        self.stop()
        self.watchdog.close()

    # Batches

    def run(
        self, tag: bytes, times: Sequence[int], records: Sequence[bytes], separator: bytes = b""
    ) -> Outcome:
        """Call the function for each record."""
        outcome = Outcome(array("i", bytes(4 * len(records))))
        if self._rest_until and time.monotonic() < self._rest_until:
            outcome.failed = dict.fromkeys(range(len(records)), RESTS)
            return outcome
        at, timeouts, retried = 0, 0, -1
        while at < len(records):
            end = self._batch_end(records, at)
            stopped = self._run_some(tag, times, records, at, end, separator, outcome)
            if stopped is None:
                at, timeouts = end, 0
                continue
            place, fault = stopped
            full = self._is_full
            self.stop()
            if (full or fault.why == FULL) and retried != place:
                at = retried = place
                continue
            timeouts = timeouts + 1 if fault.ran_out and place == at else int(fault.ran_out)
            outcome.failed[place] = fault.why
            at = place + 1
            if timeouts >= MOST_TIMEOUTS:
                rest = self.limits.seconds * MOST_TIMEOUTS * REST_FACTOR
                self._rest_until = time.monotonic() + rest
                outcome.failed.update(dict.fromkeys(range(at, len(records)), RESTS))
                break
        return outcome

    def _batch_end(self, records: Sequence[bytes], start: int) -> int:
        """Up to which record a batch of a fair size goes; at least one."""
        if not start and sum(map(len, records)) <= INPUT_BYTES:
            return len(records)
        total, end = 0, start
        for record in records[start:]:
            total += len(record)
            if total > INPUT_BYTES and end > start:
                break
            end += 1
        return end

    @property
    def _is_full(self) -> bool:
        """Whether the module has taken so much memory that it may have wanted more."""
        if self._guest_memory is None or self.store is None:
            return False
        taken: int = self._guest_memory.data_len(self.store) - self.gap
        return taken > self.limits.memory // 2

    def _run_some(
        self,
        tag: bytes,
        times: Sequence[int],
        records: Sequence[bytes],
        start: int,
        end: int,
        separator: bytes,
        outcome: Outcome,
    ) -> tuple[int, Fault] | None:
        """Records from `start` up to `end`; None when all are done, else where it stopped and why."""
        import wasmtime

        try:
            if self.store is None:
                self.start()
        except Fault as fault:
            return start, Fault(f"it does not start: {fault.why}", fault.ran_out)
        count = end - start
        part = records if count == len(records) else records[start:end]
        whole = count == len(times)
        results, out = self._fill(tag, times if whole else times[start:end], part, separator)
        while True:
            self.store.set_epoch_deadline(1)
            self.watchdog.begin(self._progress)
            try:
                word = self._run(self.store)
                stopped = None
            except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
                word, stopped = DONE, fault_of(error)
            finally:
                self.watchdog.end()
            done, out_end = self._read(0), self._read(48)
            if out_end > out:
                outcome.texts.append(ctypes.string_at(self._base + out, out_end - out))
            if word == DRAIN:
                if out_end == out:
                    self._grow()
                self._write(48, out)
                continue
            if word == NO_MEMORY:
                stopped = Fault(FULL)
            elif word == OVERWRITTEN:
                stopped = Fault(
                    "its allocator took the room of the arguments; export malloc and free"
                )
            ctypes.memmove(
                outcome.lengths.buffer_info()[0] + 4 * start, self._base + results, 4 * done
            )
            return None if stopped is None else (start + done, stopped)

    def _fill(
        self, tag: bytes, times: Sequence[int], records: Sequence[bytes], separator: bytes
    ) -> tuple[int, int]:
        """Write a batch into the driver's memory; where the lengths of the results and the results will stand."""
        count = len(records)
        head = separator.ljust(16, b"\0") + tag + b"\0" * (8 - len(tag) % 8)
        times_at = HEADER_BYTES + len(head)
        lengths_at = times_at + 8 * count
        results_at = lengths_at + 4 * count
        records_at = results_at + 4 * count
        body = b"\0".join(records)
        out = records_at + len(body) + 16
        out += -out % 16
        if out + len(body) + (64 << 10) > self._size:
            self._grow(out + 2 * len(body) + (256 << 10))
        header = HEADER.pack(
            0, count, HEADER_BYTES + 16, len(tag), times_at, lengths_at, 0, results_at,
            out, self._size - SLACK, HEADER_BYTES, len(separator), out, records_at,
            len(tag) + 8 - len(tag) % 8,
        )  # fmt: skip
        ctypes.memmove(self._base, header, len(header))
        rest = b"".join(
            (
                head,
                array("q", times).tobytes(),
                array("i", map(len, records)).tobytes(),
                bytes(4 * count),
            )
        )
        ctypes.memmove(self._base + HEADER_BYTES, rest, len(rest))
        ctypes.memmove(self._base + records_at, body, len(body) + 1)  # with the zero byte behind
        return results_at, out

    def _grow(self, least: int = 0) -> None:
        """A larger memory for the driver: double, or at least so many bytes."""
        wanted = max(least, self._size * 2)
        self.store.set_limits(memory_size=max(self.limits.memory + self.gap, wanted + PAGE))
        self._memory.grow(self.store, -(-(wanted - self._size) // PAGE))
        self.store.set_limits(memory_size=self.limits.memory + self.gap)
        self._locate()
        self._write(36, self._size - SLACK)

    def _read(self, at: int) -> int:
        return ctypes.c_int32.from_address(self._base + at).value

    def _write(self, at: int, value: int) -> None:
        ctypes.c_int32.from_address(self._base + at).value = value


RESTS = "it is not called for a while, since it ran longer than time_limit again and again"
FULL = "it wanted more memory than its limit (memory_limit)"
ALLOCATOR_FUNCTIONS: dict[Allocator, tuple[str, ...]] = {
    "malloc": ("malloc", "free"),
    "__new": ("__new", "__pin", "__unpin"),
    "grow": (),
}


def allocator_of(program: Program) -> Allocator:
    """How room for the arguments is had in a module."""
    types = program.functions
    if types.get("malloc") == (("i32",), ("i32",)) and types.get("free") == (("i32",), ()):
        return "malloc"
    if (
        types.get("__new") == (("i32", "i32"), ("i32",))
        and types.get("__pin") == (("i32",), ("i32",))
        and types.get("__unpin") == (("i32",), ())
    ):
        return "__new"
    return "grow"


def parameters_of(program: Program, function: str) -> tuple[str, ...]:
    """Types of the arguments that the function takes; `ConfigError` if it can't be called."""
    if not program.has_memory:
        raise ConfigError(
            f"wasm_path: {program.path!r} exports no memory named 'memory'.",
            "Export it (linkers do by default).",
        )
    found = program.functions.get(function)
    if found is None:
        own = [name for name in program.functions if not name.startswith("_")]
        raise ConfigError(
            f"function_name: {program.path!r} has no function {function!r}.",
            did_you_mean(function, own)
            or (f"It exports: {', '.join(sorted(own))}." if own else "It exports no function."),
        )
    parameters, results = found
    fits = all(
        kind == "i32" or (kind == "i64" and place in TIMES) for place, kind in enumerate(parameters)
    )
    if len(parameters) > PARAMETERS or not fits or results != ("i32",):
        shown = f"({', '.join(parameters)}) -> {', '.join(results) or 'nothing'}"
        raise ConfigError(
            f"function_name: {function!r} is {shown}.",
            "It must take up to six 32-bit integers (tag, its length, seconds, nanoseconds, record, its length) and give one.",
        )
    return parameters


__all__ = ["BAD_POINTER", "UNCHANGED", "Guest", "Limits", "Outcome"]
