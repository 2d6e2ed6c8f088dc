"""External plugins: files named with `-e`, `plugins_file` or YAML `plugins`.

Importing a Python file (`.py`) runs its decorators, which register what it defines. A reload imports a file that has changed anew. A shared object (`.so`) holds a plugin written in Go.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from tailrace.config.errors import Problems
from tailrace.config.source import Entry
from tailrace.plugin import registry


def load_plugins(entries: list[Entry], config_dir: Path, problems: Problems) -> None:
    """Import every file; what is wrong with one is a problem with its place."""
    for entry in entries:
        path = find(str(entry.value), config_dir)
        if path is None:
            problems.add(
                f"external plugin '{entry.value}': there is no such file.",
                mend="Give its path, absolute or from the configuration's folder.",
                place=entry.place,
            )
        elif path.suffix in (".so", ".dylib"):
            load_library(path, entry, problems)
        elif path.suffix == ".py":
            import_file(path, entry, problems)
        else:
            problems.add(
                f"external plugin '{entry.value}': it is neither a Python file (.py) nor a shared object (.so).",
                place=entry.place,
            )


def find(path: str, config_dir: Path) -> Path | None:
    for candidate in (Path(path), config_dir / path):
        if candidate.is_file():
            return candidate.resolve()
    return None


def plugin_files(entries: list[Entry], config_dir: Path) -> list[str]:
    """The Python files among them, for `--watch`."""
    found = (find(str(entry.value), config_dir) for entry in entries)
    return [str(path) for path in found if path is not None and path.suffix == ".py"]


def import_file(path: Path, entry: Entry, problems: Problems) -> None:
    """Import a file unless it was, as it is; its module is named after it. One that fails leaves what there was before."""
    name = f"tailrace_plugin_{path.stem}"
    status = path.stat()
    state = (str(path), status.st_mtime_ns, status.st_size, status.st_ino)
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "tailrace_file_state", None) == state:
        return
    registered = registry.snapshot()
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__["tailrace_file_state"] = state
    sys.modules[name] = module
    try:
        # Not through the loader: its cache takes a file of the same second and size for the same.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except Exception as error:  # whatever a user's file raises is a problem of the configuration
        registry.restore(registered)
        del sys.modules[name]
        if loaded is not None:
            sys.modules[name] = loaded
        problems.add(
            f"external plugin '{path}': {type(error).__name__}: {error}", place=entry.place
        )


def load_library(path: Path, entry: Entry, problems: Problems) -> None:
    from tailrace.engine.golang import LibraryError, load  # 10 ms, and rarely used

    try:
        load(path)
    except LibraryError as error:
        problems.add(f"external plugin '{path}' can't be used: {error}.", place=entry.place)
