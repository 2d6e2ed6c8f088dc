"""Add fields to events whose field is in a list.

Example:
    Name       checklist
    Match      *
    File       /etc/tailrace/bad_addresses.txt
    Lookup_key ip
    Record     ioc abuse
    Record     severity 8

The file holds a value a line; empty lines and those that begin with `#` are passed over.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tailrace.config import ConfigError, Reader, one_of, option
from tailrace.config.source import Value
from tailrace.config.types import read_words
from tailrace.model import Chunk
from tailrace.model.accessor import Accessor, AccessorError
from tailrace.plugin import Filter, FilterOptions, filter_plugin

LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}


def read_record(value: Value) -> tuple[str, str]:
    """The first word is the key, the rest its value."""
    found = read_words(value)
    if len(found) < 2:
        raise ConfigError(f"{value!r} will not do.", "Give a key and a value.")
    return found[0], " ".join(found[1:])


class ChecklistOptions(FilterOptions):
    file: str = option("")
    """The list, a value a line."""

    mode: str = option("exact", reader=one_of("exact", "partial", otherwise="exact"))
    """exact: the value is a line of the list; partial: it begins with one."""

    print_query_time: bool = option(False)
    """Log how long the look-up of each hit took."""

    ignore_case: bool = option(False)
    """Ignore the case of ASCII letters."""

    lookup_key: str = option("log")
    """The field to look up, by name or record accessor."""

    record: list[tuple[str, str]] = option(many=True, reader=Reader("key and value", read_record))
    """A field to add on a hit: `KEY VALUE`; true, false and null are no texts. May be given many times."""


ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@filter_plugin("checklist")
class Checklist(Filter[ChecklistOptions]):
    def __init__(self, options: ChecklistOptions) -> None:
        super().__init__(options)
        if not options.file:
            raise ConfigError("file is missing.", "Add: file PATH.")
        try:
            self.get = Accessor(options.lookup_key).get
        except AccessorError as error:
            raise ConfigError(f"lookup_key: {error}") from error
        self.added = {key: LITERALS.get(value.lower(), value) for key, value in options.record}
        self.exact = frozenset(self.read_list())
        self.beginnings = tuple(self.exact)

    def read_list(self) -> list[str]:
        path = Path(self.options.file)
        for candidate in (path, self.context.config_dir / path):
            if candidate.is_file():
                text = candidate.read_bytes().decode("utf-8", "surrogateescape")
                lines = (line.rstrip("\r") for line in text.split("\n"))
                return [self.folded(line) for line in lines if line and not line.startswith("#")]
        raise ConfigError(f"file: '{path}' is not there.", "Give the path of the list.")

    def folded(self, text: str) -> str:
        return text.translate(ASCII_LOWER) if self.options.ignore_case else text

    def is_listed(self, value: Any) -> bool:
        if type(value) is not str:
            return False
        text = self.folded(value)
        return (
            text in self.exact if self.options.mode == "exact" else text.startswith(self.beginnings)
        )

    def process(self, chunk: Chunk) -> Chunk:
        began = time.perf_counter()
        hits = 0
        for body in chunk.bodies:
            if self.is_listed(self.get(body)):
                hits += 1
                for key in self.added:
                    body.pop(key, None)
                body.update(self.added)
        if hits and self.options.print_query_time:
            each = (time.perf_counter() - began) / chunk.count
            self.context.log.info(f"{hits} hits, {each * 1e6:.1f} microseconds a look-up")
        return chunk
