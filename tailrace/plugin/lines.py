"""Lines that a parser reads for an input which has no other use for those that it refuses."""

from __future__ import annotations

from typing import Any

from tailrace.model import Chunk
from tailrace.plugin.base import Parser
from tailrace.plugin.context import Context


def parsed_chunk(
    parser: Parser[Any], lines: list[str], tag: str, nbytes: int, context: Context
) -> Chunk | None:
    """The chunk that a parser makes of lines, None if it takes none of them.

    A line without a time of its own gets the present one. Those that the parser refuses are dropped: told in the log and counted.
    """
    now = context.clock.time_ns()
    parsed = parser.parse(lines)
    pairs = [
        (now if time is None else time, body)
        for time, body in zip(parsed.times, parsed.bodies, strict=True)
        if body is not None
    ]
    refused = len(lines) - len(pairs)
    if refused:
        context.log.error(
            f"{refused} of {len(lines)} lines do not match the parser and are dropped"
        )
        context.drop(refused, "not parsed")
    if not pairs:
        return None
    return Chunk(tag, [time for time, _ in pairs], [body for _, body in pairs], None, nbytes)
