"""Print how many events and bytes came in each second, minute, hour or day, once it is over.

Example:
    Name  flowcounter
    Match *
    Unit  second

    [out_flowcounter] [1700000001, {"counts":4, "bytes":60, "counts/second":4, "bytes/second":60 }]

Bytes are those of the events as MessagePack.
"""

from __future__ import annotations

from tailrace.config import option
from tailrace.config.types import one_of
from tailrace.model import Chunk
from tailrace.plugin import Output, OutputOptions, Retry, output_plugin
from tailrace.plugin.console import write_stdout
from tailrace.wire.msgpack import encode_events

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
MOST_EMPTY = 100
"""Units without an event that are printed one by one; a longer gap is passed over."""


class FlowcounterOptions(OutputOptions):
    unit: str = option("minute", reader=one_of(*SECONDS, otherwise="minute"))
    """What to count by: second, minute, hour or day."""

    event_based: bool = option(False)
    """Count by the events' own times instead of when they come."""


class Unit:
    """One second, minute, hour or day; it reaches up to `until`, seconds since the epoch."""

    __slots__ = ("counts", "nbytes", "until")

    def __init__(self, until: int) -> None:
        self.until = until
        self.counts = 0
        self.nbytes = 0


@output_plugin("flowcounter")
class Flowcounter(Output[FlowcounterOptions]):
    def __init__(self, options: FlowcounterOptions) -> None:
        super().__init__(options)
        self.tick = SECONDS[options.unit]
        size = int(self.context.service("flush") or 1) // self.tick + 1
        base = self.context.clock.time_ns() // 1_000_000_000
        self.units = [Unit(base + self.tick * number) for number in range(size)]
        """The units that are open, the oldest first."""

    async def flush(self, chunk: Chunk) -> None:
        lines: list[str] = []
        if self.options.event_based:
            late = 0
            by_second = chunk.split(time // 1_000_000_000 for time in chunk.times)
            for second, part in by_second.items():
                late += self.count(second, part, lines)
            if late:
                self.context.log.warn(f"{late} events are older than what is counted: passed over")
        else:
            self.count(self.context.clock.time_ns() // 1_000_000_000, chunk, lines)
        try:
            await write_stdout("".join(lines).encode())
        except OSError as error:
            raise Retry(f"standard output can't be written: {error.strerror}") from error

    def count(self, second: int, chunk: Chunk, lines: list[str]) -> int:
        """Count a chunk at a time, and add a line for each unit that is over; how many events came too late."""
        units = self.units
        if second < units[0].until - self.tick:
            return chunk.count
        while second > units[-1].until:
            oldest = units.pop(0)
            lines.append(self.line(oldest))
            if (second - oldest.until) // self.tick > MOST_EMPTY and not any(
                unit.counts for unit in units
            ):
                base = second + (oldest.until - second) % self.tick
                self.units = units = [Unit(base + self.tick * n) for n in range(len(units) + 1)]
                break
            units.append(Unit(oldest.until + self.tick * (len(units) + 1)))
        unit = next(unit for unit in units if second <= unit.until)
        unit.counts += chunk.count
        unit.nbytes += size_of(chunk)
        return 0

    def line(self, unit: Unit) -> str:
        name, tick = self.options.unit, self.tick
        return (
            f'[out_flowcounter] [{unit.until}, {{"counts":{unit.counts}, "bytes":{unit.nbytes}, '
            f'"counts/{name}":{unit.counts // tick}, "bytes/{name}":{unit.nbytes // tick} }}]\n'
        )


def size_of(chunk: Chunk) -> int:
    """Bytes of the events as MessagePack."""
    if chunk.packed is not None:
        return len(chunk.packed)
    return len(encode_events(chunk.times, chunk.metadata, chunk.bodies, chunk.groups))
