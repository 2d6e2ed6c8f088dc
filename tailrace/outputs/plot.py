"""Write time and value of a field to a file, as gnuplot reads it.

Example:
    Name  plot
    Match *
    Key   load
    File  load.dat

    {"load": 2.5}  ->  1700000000.000000 2.500000

Events whose value is no number, or that lack the key, are refused and counted.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import IO

from tailrace.config import option
from tailrace.model import Body, Chunk
from tailrace.plugin import Output, OutputOptions, Partial, Retry, output_plugin

UNSAFE = re.compile(r"[^A-Za-z0-9._\-]")


class PlotOptions(OutputOptions):
    key: str = option("")
    """The field to write; default: the first of each record."""

    file: str = option("")
    """The file to append to; default: one named after the tag, in the working directory."""


@output_plugin("plot")
class Plot(Output[PlotOptions]):
    async def flush(self, chunk: Chunk) -> None:
        values = [self.value_of(body) for body in chunk.bodies]
        lines = [
            line_of(time, value)
            for time, value in zip(chunk.times, values, strict=True)
            if value is not None
        ]
        path = Path(self.options.file or name_of_tag(chunk.tag))
        try:
            self.write(path, "".join(lines))
        except OSError as error:
            raise Retry(f"'{path}' can't be written: {error.strerror}") from error
        unfit = [index for index, value in enumerate(values) if value is None]
        if unfit:
            refused = chunk.copy().select(value is None for value in values)
            what = f"'{self.options.key}'" if self.options.key else "the first field"
            why = f"{what} is no number"
            raise Partial(why, None, [(refused, why)])

    def write(self, path: Path, text: str) -> None:
        """Append to the file; to standard output if it can't be opened."""
        try:
            target = path.open("ab", buffering=0)
        except OSError as error:
            self.context.log.warn(
                f"'{path}' can't be opened ({error.strerror}): standard output instead"
            )
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        with target:
            append(target, text.encode())

    def value_of(self, body: Body) -> int | float | None:
        """The number to write, or None."""
        key = self.options.key
        value = body.get(key) if key else next(iter(body.values()), None)
        return value if type(value) in (int, float) else None


def line_of(time_ns: int, value: float) -> str:
    text = str(value) if type(value) is int else f"{value:f}"
    return f"{time_ns / 1e9:f} {text}\n"


def name_of_tag(tag: str) -> str:
    """A file name made of a tag; it never leaves the folder."""
    safe = UNSAFE.sub("_", tag)
    return safe if safe.strip(".") else "_"


def append(target: IO[bytes], data: bytes) -> None:
    """Write all of the data at the end of a file, or nothing."""
    start = os.fstat(target.fileno()).st_size
    try:
        written = 0
        while written < len(data):
            written += target.write(data[written:])
    except OSError:
        os.ftruncate(target.fileno(), start)
        raise
