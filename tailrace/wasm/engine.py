"""The compiler and its settings."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import Any

LEAST_STACK, MOST_STACK = (
    512 << 10,
    2 << 20,
)  # more ends the process: it is the size of the engine's own stacks


@dataclass(frozen=True, slots=True)
class Limits:
    """What a module may use: bytes of memory, bytes of stack, seconds for one call (0: no limit)."""

    memory: int = 64_000_000
    stack: int = 0
    seconds: float = 1.0


def stack_size(wanted: int) -> int:
    """A stack that is at least usable and never more than the thread really has.

    Without a limit the C library gives its threads 2 MiB.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    most = 1 << 20 if soft == resource.RLIM_INFINITY else min(MOST_STACK, soft // 2)
    return min(max(wanted, LEAST_STACK), most)


def make_config() -> Any:
    """Settings that a module's code depends on; `compiler.cross_compile` gives the same."""
    import wasmtime

    config = wasmtime.Config()
    config.epoch_interruption = True
    config.wasm_multi_memory = True
    return config


def make_engine(stack: int = 0) -> Any:
    """An engine whose calls can be interrupted; `stack` is the size in bytes that was asked for."""
    import wasmtime

    config = make_config()
    config.max_wasm_stack = stack_size(stack)
    return wasmtime.Engine(config)


def stack_warning(wanted: int) -> str:
    """What to tell a user who asked for more stack than can be given; empty if it can."""
    given = stack_size(wanted)
    if wanted <= given:
        return ""
    return f"wasm_stack_size {wanted} is more than can be had: {given} bytes are given"
