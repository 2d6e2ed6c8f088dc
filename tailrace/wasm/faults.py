"""What went wrong in a module, in a sentence without a backtrace."""

from __future__ import annotations

from typing import Any

TRAPS = {
    "STACK_OVERFLOW": "it used more stack than wasm_stack_size allows",
    "MEMORY_OUT_OF_BOUNDS": "it reached outside of its memory",
    "HEAP_MISALIGNED": "it reached memory that is not aligned",
    "TABLE_OUT_OF_BOUNDS": "it reached outside of a table",
    "INDIRECT_CALL_TO_NULL": "it called a function that is not there",
    "BAD_SIGNATURE": "it called a function of another type",
    "INTEGER_OVERFLOW": "a number did not fit",
    "INTEGER_DIVISION_BY_ZERO": "it divided by zero",
    "BAD_CONVERSION_TO_INTEGER": "it made an integer of what is none",
    "UNREACHABLE": "it trapped (abort, panic or failed assertion)",
    "INTERRUPT": "it ran longer than time_limit",
}


class Fault(Exception):
    """A call into a module that did not return. `ran_out` says that time was the reason."""

    def __init__(self, why: str, ran_out: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.ran_out = ran_out


def fault_of(error: Exception) -> Fault:
    """What an exception of the engine means."""
    code: Any = getattr(error, "trap_code", None)
    if code is not None:
        return Fault(TRAPS.get(code.name, last_line(str(error))), code.name == "INTERRUPT")
    exit_code = getattr(error, "code", None)
    if isinstance(exit_code, int):
        return Fault(f"it called exit({exit_code})")
    return Fault(last_line(str(error)))


def last_line(text: str) -> str:
    """The innermost cause in a message of the engine."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return "it failed"
    return lines[-1].removeprefix("0: ").removeprefix("1: ")
