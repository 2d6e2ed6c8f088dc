"""Records in the notation that Fluent Bit prints on standard output: `[[time, {metadata}], {"key"=>value}]`."""

from __future__ import annotations

from typing import Any

from tailrace.model.extension import Extension

SECOND = 1_000_000_000
MOST_DEPTH = 200


def event_text(time_ns: int, metadata: dict[str, Any], body: dict[str, Any]) -> str:
    """One event."""
    seconds, nanoseconds = divmod(time_ns, SECOND)
    return f"[[{seconds}.{nanoseconds:09d}, {value_text(metadata)}], {value_text(body)}]"


def flat_text(time_ns: int, metadata: dict[str, Any], body: dict[str, Any]) -> str:
    """One event as the filter stdout prints it: `[time, {metadata}, {body}]`."""
    seconds, nanoseconds = divmod(time_ns, SECOND)
    return f"[{seconds}.{nanoseconds:09d}, {value_text(metadata)}, {value_text(body)}]"


def value_text(value: Any, depth: int = 0) -> str:
    """A value: texts stand in quotes as they are, floats with six digits, null is nil, as is what lies too deep."""
    if depth > MOST_DEPTH:
        return "nil"
    kind = type(value)
    if kind is str:
        return f'"{value}"'
    if kind is dict:
        return (
            "{"
            + ", ".join(
                [f"{value_text(key)}=>{value_text(item, depth + 1)}" for key, item in value.items()]
            )
            + "}"
        )
    if kind is list or kind is tuple:
        return "[" + ", ".join([value_text(item, depth + 1) for item in value]) + "]"
    if value is None:
        return "nil"
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return f"{value:f}"
    if kind is bytes:
        return bytes_text(value)
    if kind is Extension:
        return f"(ext: {value.code}){bytes_text(value.data)}"
    return str(value)


def bytes_text(data: bytes) -> str:
    """Bytes as they stand in quotes."""
    text = "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in data)
    return '"' + text.replace('"', '\\"') + '"'
