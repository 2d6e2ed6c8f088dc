"""A WASI program that runs to its end: `main`, with its standard output given away as it comes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tailrace.config.errors import ConfigError
from tailrace.wasm.engine import Limits
from tailrace.wasm.faults import fault_of
from tailrace.wasm.program import Program
from tailrace.wasm.sandbox import check_folders, wasi_config
from tailrace.wasm.watchdog import Watchdog


class Command:
    """One run of a program at a time; it blocks, so call `run` in a thread, and `interrupt` from another."""

    def __init__(self, program: Program, paths: Sequence[str], limits: Limits) -> None:
        import wasmtime

        if "_start" not in program.functions:
            raise ConfigError(
                f"wasi_path: {program.path!r} has no main function (_start).",
                "Compile it as a program, not as a library.",
            )
        check_folders(paths)
        self.program, self.paths, self.limits = program, list(paths), limits
        self.watchdog = Watchdog(program.engine, limits.seconds, by_cpu=False)
        self.linker = wasmtime.Linker(program.engine)
        self.linker.define_wasi()
        self.linker.define_unknown_imports_as_traps(program.module)

    def run(self, output: int) -> int:
        """Run it to its end and print to the descriptor `output`, which is closed then. Its exit code; `Fault` if it trapped."""
        import wasmtime

        store: Any = wasmtime.Store(self.program.engine)
        try:
            config = wasi_config(self.paths, stdout=f"/dev/fd/{output}")
        finally:
            os.close(output)
        store.set_wasi(config)
        store.set_limits(memory_size=self.limits.memory)
        store.set_epoch_deadline(1)
        self.watchdog.begin()
        try:
            instance = self.linker.instantiate(store, self.program.module)
            begin: Any = instance.exports(store)["_start"]
            begin(store)
        except wasmtime.ExitTrap as error:
            return error.code
        except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
            raise fault_of(error) from error
        finally:
            self.watchdog.end()
            store.close()  # closes what it printed to
        return 0

    def interrupt(self) -> None:
        """End what runs now."""
        self.watchdog.interrupt()

    def close(self) -> None:
        self.watchdog.close()
