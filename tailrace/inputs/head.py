"""Read the beginning of a file again and again, as values of /proc and /sys.

Example:
    Name     head
    File     /proc/loadavg
    Buf_Size 64

    {"head": "0.10 0.12 0.08 1/234 5678\\n"}
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from tailrace.config import Size, option
from tailrace.model import Body
from tailrace.plugin import PollingInput, PollingOptions, input_plugin

DEFAULT_LINES = 10
MOST_LINE_BYTES = 1 << 20
"""A longer line is cut, so that a file without line ends does not fill the memory."""


class HeadOptions(PollingOptions):
    file: str
    """Path of the file."""

    key: str = option("head")
    """Key of the text."""

    buf_size: Size = option(256)
    """How many bytes to read, without `lines`."""

    lines: int = option(0)
    """Read this many lines instead; 0: `buf_size` bytes."""

    split_line: bool = option(False)
    """Give each line a key of its own: `line0`, `line1`, ...; 10 lines unless `lines` says otherwise."""

    add_path: bool = option(False)
    """Add the file's path under `path`."""


@input_plugin("head")
class Head(PollingInput[HeadOptions]):
    def __init__(self, options: HeadOptions) -> None:
        super().__init__(options)
        self.path = Path(options.file)
        self.lines = options.lines
        if options.split_line and self.lines <= 0:
            self.lines = DEFAULT_LINES
        self.failed = ""

    def collect(self) -> list[Body]:
        try:
            body = self.read()
        except OSError as error:
            if self.failed != str(error):
                self.context.log.error(f"'{self.path}' can't be read: {error.strerror}")
            self.failed = str(error)
            return []
        self.failed = ""
        return [body]

    def read(self) -> Body:
        options = self.options
        path = {"path": options.file} if options.add_path else {}
        with self.path.open("rb") as source:
            if self.lines <= 0:
                return {options.key: text_of(source.read(options.buf_size)), **path}
            lines = [
                text_of(line)
                for line in islice(iter(lambda: source.readline(MOST_LINE_BYTES), b""), self.lines)
            ]
        if not options.split_line:
            return {options.key: "".join(lines), **path}
        lines += [""] * (self.lines - len(lines))
        ended = (line.removesuffix("\n") for line in lines)
        return {**path, **{f"line{number}": line for number, line in enumerate(ended)}}


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
