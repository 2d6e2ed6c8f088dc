"""Append events to files.

Example:
    Name   file
    Match  *
    Path   /var/log/collected
    File   $service.log
    Format plain
    Fallback_File other.log

Without `file` the tag names it. Names may hold record accessors and, with `enable_strftime`, the time of the event; whatever they become,
a file never lies outside `path`. Metrics are written as text, a line for each value, whatever the format; with accessors in the
name they go to the fallback file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

from tailrace.config import Size, one_of, option
from tailrace.model import LOGS, METRICS, Chunk
from tailrace.outputs.file.formats import FORMATS, make_format
from tailrace.outputs.file.names import Destinations
from tailrace.outputs.file.rotation import Rotation
from tailrace.plugin import Output, OutputOptions, Partial, Reject, Retry, output_plugin


class FileOptions(OutputOptions):
    path: str = option("")
    """The folder; default: where the agent runs. May hold record accessors behind a fixed beginning."""

    file: str = option("")
    """The file's name; default: the tag. May hold record accessors."""

    format: str = option("out_file", reader=one_of(*FORMATS, "none"))
    """out_file (`tag: [time, {...}]`), plain (JSON lines), csv, ltsv, template or msgpack."""

    delimiter: str = option("")
    """Between values of csv (default: a comma) and ltsv (default: a tab): tab, `\\\\t`, space or comma; others are passed over."""

    label_delimiter: str = option("")
    """Between label and value of ltsv; default: a colon."""

    template: str = option("{time} {message}")
    """A line of format template; `{key}` stands for a value."""

    csv_column_names: bool = option(False)
    """Begin each new csv file with the names of its columns."""

    mkdir: bool = option(False)
    """Make missing folders."""

    enable_strftime: bool = option(False)
    """Let path and file hold the event's UTC time, as: %Y-%m-%d."""

    max_dynamic_files: int = option(1024)
    """Most different files that record accessors may make."""

    on_missing_field: str = option("error", reader=one_of("error", "drop", "fallback"))
    """When a record lacks what the name needs: refuse it (error), leave it out (drop) or write it to the fallback file."""

    on_limit_reached: str = option("error", reader=one_of("error", "drop", "fallback"))
    """The same for records of further files than `max_dynamic_files`."""

    fallback_path: str = option("")
    """The folder of the fallback file; default: the fixed beginning of `path`."""

    fallback_file: str = option("")
    """Takes records whose own file can't be named. Must be given with record accessors or times in names."""

    rotate: bool = option(False)
    """Move a file away before it outgrows `rotate_max_size`."""

    rotate_max_size: Size = option(100_000_000)
    """Bytes of a file from which on it is moved away."""

    rotate_max_files: int = option(7)
    """How many moved files are kept of each."""

    rotate_gzip: bool = option(True)
    """Compress moved files."""


@output_plugin("file")
class File(Output[FileOptions]):
    handles = LOGS | METRICS
    preferred_bytes = (
        1 << 16
    )  # what an input reads at once is written while the processor's cache holds it

    def __init__(self, options: FileOptions) -> None:
        super().__init__(options)
        escape = self.context.service("json.escape_unicode")
        self.format = make_format(options, escape)
        self.destinations = Destinations(options)
        self.rotation = Rotation(options) if options.rotate else None
        self.cwd = Path.cwd()

    async def flush(self, chunk: Chunk) -> None:
        if chunk.kind is METRICS:
            from tailrace.wire import metrics_text

            text = metrics_text.encode(chunk.payload).encode("utf-8", "surrogateescape")
            path = self.cwd / self.destinations.path_of_metrics(chunk.tag)
            if self.rotation is not None:
                await self.make_room(path)
            self.write(path, lambda is_new: text)
            return
        refused = 0
        for name, part in self.destinations.split(chunk):
            if name is None:
                refused += part.count
                continue
            path = self.cwd / name
            if self.rotation is not None:
                await self.make_room(path)
            self.write(path, partial(self.format, part))
        if refused:
            raise self.partly_refused(chunk)

    def partly_refused(self, chunk: Chunk) -> Exception:
        """All others are written; only these are refused."""
        bad = chunk.copy().select(
            [self.destinations.path_of(chunk, index) is None for index in range(chunk.count)]
        )
        why = "a field that the file's name needs is missing, or unfit for a name"
        if bad.count == chunk.count:
            return Reject(why)
        return Partial(why, None, [(bad, why)])

    async def make_room(self, path: Path) -> None:
        """Move a full file away; what takes time for a large one is done in a thread."""
        rotation = self.rotation
        assert rotation is not None
        try:
            moved = rotation.move_if_full(path)
            if moved is not None:
                await asyncio.to_thread(rotation.tidy, moved, path)
        except OSError as error:
            raise Retry(f"{path} can't be rotated: {error.strerror}") from error

    def write(self, path: Path, encode: Callable[[bool], bytes]) -> None:
        """Append what `encode` gives (told whether the file is new) in one call; `Retry` if the system won't."""
        try:
            if self.options.mkdir:
                path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab", buffering=0) as file:
                append(file, encode(file.tell() == 0))
        except OSError as error:
            mend = "" if path.parent.is_dir() else " (mkdir on makes the folder)"
            raise Retry(f"{path} can't be written: {error.strerror}{mend}") from error


def append(file: IO[bytes], data: bytes) -> None:
    """Write all of it; what a full disk cut short is taken back, so that a retry repeats nothing half."""
    start = file.tell()
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError:
        file.truncate(start)
        raise
