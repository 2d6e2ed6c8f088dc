"""How the bytes of a file become lines of text, and where its lines end.

UTF-8 is the rule; bytes that are not UTF-8 stay what they were (as lone surrogates). `unicode.encoding` and
`generic.encoding` convert; a line that is not valid in its encoding is passed on as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import accumulate
from operator import add

GENERIC = {
    "shiftjis": "cp932",
    "sjis": "cp932",
    "cp932": "cp932",
    "windows-31j": "cp932",
    "gb18030": "gb18030",
    "gbk": "gbk",
    "cp936": "gbk",
    "uhc": "cp949",
    "cp949": "cp949",
    "windows-949": "cp949",
    "big5": "cp950",
    "cp950": "cp950",
    **{f"win{number}": f"cp{number}" for number in (866, 874, *range(1250, 1257))},
    **{f"cp{number}": f"cp{number}" for number in (866, 874, *range(1250, 1257))},
}
"""Names of `generic.encoding`, in lower case, and Python's name of each."""
UNICODE = {
    "auto": "auto",
    "utf-16le": "utf-16-le",
    "utf16-le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "utf16-be": "utf-16-be",
}
"""Names of `unicode.encoding`, in lower case."""
SAMPLE_BYTES = 4096
"""How much of a file's head `auto` looks at."""
BOMS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
BOM_UTF8 = b"\xef\xbb\xbf"
CONTINUATION_BYTES = 3


class Utf8:
    """Lines that end in LF, in UTF-8 or anything like it."""

    width = 1
    bom = b""
    newline = b"\n"
    is_plain = True
    """Whether bytes need no conversion."""

    def last_end(self, data: bytes, begin: int, end: int) -> int:
        """The end (after its LF) of the last whole line in `data[begin:end]`; `begin` if there is none."""
        found = data.rfind(b"\n", begin, end)
        return found + 1 if found >= 0 else begin

    def first_end(self, data: bytes, begin: int) -> int:
        """The end of the first whole line from `begin` on; `begin` if there is none."""
        found = data.find(b"\n", begin)
        return found + 1 if found >= 0 else begin

    def lines(self, data: bytes, begin: int, end: int) -> list[str]:
        """The whole lines in `data[begin:end]`, without their LF."""
        return str(memoryview(data)[begin : end - 1], "utf-8", "surrogateescape").split("\n")

    def starts(self, data: bytes, begin: int, end: int, offset: int) -> list[int]:
        """Where each of those lines starts, counted from `offset` for the first."""
        lines = data[begin : end - 1].split(b"\n")
        without_ends = accumulate(map(len, lines), initial=offset)
        return list(map(add, without_ends, range(len(lines))))

    def cut(self, data: bytes, begin: int, end: int) -> int:
        """An end at or before `end` that halves no character; `data[end]` is there."""
        for at in range(end, max(begin, end - CONTINUATION_BYTES - 1), -1):
            if data[at] & 0xC0 != 0x80:
                return at
        return end

    def text(self, data: bytes) -> str:
        """A piece of a line."""
        return data.decode("utf-8", "surrogateescape")


class Utf8WithBom(Utf8):
    """UTF-8 whose file starts with a byte order mark."""

    bom = BOM_UTF8


class Generic(Utf8):
    """A legacy code page in which LF is LF: no byte of a longer character is 0x0A."""

    is_plain = False

    def __init__(self, codec: str, on_bad: Callable[[str], None]) -> None:
        self.codec = codec
        self._on_bad = on_bad

    def lines(self, data: bytes, begin: int, end: int) -> list[str]:
        block = data[begin : end - 1]
        try:
            return block.decode(self.codec).split("\n")
        except UnicodeDecodeError:
            return [self.text(line) for line in block.split(b"\n")]

    def cut(self, data: bytes, begin: int, end: int) -> int:
        return end

    def text(self, data: bytes) -> str:
        try:
            return data.decode(self.codec)
        except UnicodeDecodeError as error:
            self._on_bad(f"not valid {self.codec}, passed on unconverted: {error.reason}")
            return data.decode("utf-8", "surrogateescape")


class Utf16(Utf8):
    """UTF-16 of one byte order. Offsets are even, so that every character starts at one."""

    width = 2

    is_plain = False

    def __init__(self, codec: str, on_bad: Callable[[str], None]) -> None:
        self.codec = codec
        self.bom = "\ufeff".encode(codec)
        self.newline = "\n".encode(codec)
        self._on_bad = on_bad

    def last_end(self, data: bytes, begin: int, end: int) -> int:
        at = data.rfind(self.newline, begin, end)
        while at >= 0 and (at - begin) % 2:
            at = data.rfind(self.newline, begin, at + 1)
        return at + 2 if at >= 0 else begin

    def first_end(self, data: bytes, begin: int) -> int:
        at = data.find(self.newline, begin)
        while at >= 0 and (at - begin) % 2:
            at = data.find(self.newline, at + 1)
        return at + 2 if at >= 0 else begin

    def lines(self, data: bytes, begin: int, end: int) -> list[str]:
        try:
            return data[begin : end - 2].decode(self.codec).split("\n")
        except UnicodeDecodeError:
            starts = self.starts(data, begin, end, begin)
            return [
                self.text(data[start : stop - 2])
                for start, stop in zip(starts, [*starts[1:], end], strict=True)
            ]

    def starts(self, data: bytes, begin: int, end: int, offset: int) -> list[int]:
        starts, at = [], begin
        while at < end:
            starts.append(offset + at - begin)
            at = self.first_end(data, at)
        return starts

    def cut(self, data: bytes, begin: int, end: int) -> int:
        return end - (end - begin) % 2

    def text(self, data: bytes) -> str:
        try:
            return data.decode(self.codec)
        except UnicodeDecodeError as error:
            self._on_bad(f"not valid {self.codec}: {error.reason}")
            return data.decode(self.codec, "replace")


Encoding = Utf8


def unicode_encoding(codec: str, fd: int, on_bad: Callable[[str], None]) -> Encoding:
    """The encoding of an open file for `unicode.encoding`; `auto` looks at its first bytes."""
    if codec == "auto":
        codec = detect(os.pread(fd, SAMPLE_BYTES, 0))
    if codec.startswith("utf-16"):
        return Utf16(codec, on_bad)
    return Utf8WithBom() if codec == "utf-8-sig" else Utf8()


def detect(sample: bytes) -> str:
    """The encoding of a file from its first bytes: by its mark, else UTF-8 if it can be, else UTF-16."""
    if sample[:2] in BOMS:
        return BOMS[sample[:2]]
    if sample.startswith(BOM_UTF8):
        return "utf-8-sig"
    odd, even = sample[1::2].count(0), sample[::2].count(0)
    if max(odd, even) * 4 > len(sample):
        return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8"
