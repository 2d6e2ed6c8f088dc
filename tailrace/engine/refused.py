"""What becomes of events that an output gave up: dead letters, and the output that takes its place."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tailrace.engine.build import Instance
from tailrace.engine.queue import Refused
from tailrace.model import LOGS, Chunk, Receipt
from tailrace.plugin.context import joined

if TYPE_CHECKING:
    from tailrace.engine.ports import OutputPort
    from tailrace.plugin.dead_letters import DeadLetters


def refusal_handler(
    instance: Instance,
    dead_letters: DeadLetters | None,
    secondary: Callable[[], OutputPort] | None,
) -> Refused | None:
    """What an output's queue calls; None if there is nothing to do."""
    if dead_letters is None and secondary is None:
        return None

    def handle(chunk: Chunk, why: str, status: int, attempts: int, receipts: list[Receipt]) -> None:
        if dead_letters is not None:
            write(dead_letters, instance, chunk, why, status, attempts)
        if secondary is not None and chunk.kind in (port := secondary()).handles:
            source = f"refused_by_{instance.name}"
            port.queue.put(chunk, joined(receipts) or Receipt(), source)

    return handle


def write(
    dead_letters: DeadLetters,
    instance: Instance,
    chunk: Chunk,
    why: str,
    status: int,
    attempts: int,
) -> None:
    """Write a chunk's dead letters."""
    from tailrace.engine.payloads import STORABLE, pack
    from tailrace.plugin.dead_letters import letters_of
    from tailrace.wire import chunkfile
    from tailrace.wire.dead_letter import DeadLetter

    plugin, now = instance.context.plugin, time.time_ns()
    if chunk.kind is LOGS:
        dead_letters.add(
            letters_of(
                chunk,
                output=instance.name,
                plugin=plugin,
                reason=why,
                status=status,
                attempts=attempts,
                now_ns=now,
            )
        )
    elif chunk.kind in STORABLE:
        letter = DeadLetter(chunk.tag, instance.name, plugin, why, status, attempts, now)
        letter.kind = str(chunk.kind.name).lower()
        letter.packed = chunkfile.encode(pack(chunk))
        dead_letters.add([letter])


def check_secondaries(names: dict[str, str]) -> str | None:
    """Of outputs and their secondaries: what is wrong, as one that is not there or a circle."""
    for start in names:
        seen = [start]
        while following := names.get(seen[-1], ""):
            if following not in names:
                return f"there is no output '{following}' to be the secondary of '{seen[-1]}'"
            if following in seen:
                return f"secondaries go in a circle: {' -> '.join([*seen, following])}"
            seen.append(following)
    return None
