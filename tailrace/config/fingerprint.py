"""What a section says, in a form that can be compared: whether a reload changes an instance."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tailrace.config.source import Entry, Section

FILE_ENDINGS = ("_file", "script", "wasm_path", "wasi_path", "program_path", "upstream")
"""Options that name a file which is part of the configuration, not of the data."""


def outline(section: Section) -> Any:
    """What a section says, without where it says it."""
    return (
        section.kind,
        [(entry.name, repr(entry.value)) for entry in section],
        [outline(child) for child in section.children],
    )


def fingerprint(section: Section, folder: Path) -> Any:
    """A section with the state of the files that it names, so that a changed script or certificate counts as a change.

    Relative paths are looked for in `folder`, then in the working directory.
    """
    return outline(section), [file_state(entry, folder) for entry in entries_of(section)]


def entries_of(section: Section) -> Iterator[Entry]:
    yield from section
    for child in section.children:
        yield from entries_of(child)


def file_state(entry: Entry, folder: Path) -> tuple[int, int, int] | None:
    if not entry.name.endswith(FILE_ENDINGS) or not isinstance(entry.value, str):
        return None
    for path in (folder / entry.value, entry.value):
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            continue
        return status.st_mtime_ns, status.st_size, status.st_ino
    return None
