"""Where a command's result goes: a file, or standard output."""

from __future__ import annotations

import sys
from pathlib import Path


def write_result(text: str, path: str | None) -> int:
    """Write to the file, or without one to standard output; the exit code."""
    if not path:
        sys.stdout.write(text)
        return 0
    try:
        Path(path).write_text(text)
    except OSError as error:
        print(f"tailrace: '{path}' can't be written: {error.strerror}.", file=sys.stderr)
        return 1
    return 0
