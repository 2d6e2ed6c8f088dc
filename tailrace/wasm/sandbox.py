"""What a module sees of the world, and how it begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailrace.config.errors import ConfigError


def check_folders(paths: Sequence[str]) -> None:
    for path in paths:
        if not Path(path).is_dir():
            raise ConfigError(
                f"accessible_paths: there is no folder {path!r}.", "Make it, or leave it out."
            )


def wasi_config(paths: Sequence[str], stdout: str = "") -> Any:
    """What a module sees of the world: these folders under the names given, the agent's outputs, nothing else.

    `stdout` is a file that takes what it prints instead of the agent's standard output.
    """
    import wasmtime

    config = wasmtime.WasiConfig()
    if stdout:
        config.stdout_file = stdout
    else:
        config.inherit_stdout()
    config.inherit_stderr()
    for path in paths:
        config.preopen_dir(path, path)
    return config


def initialize(exports: Any, store: Any) -> None:
    """Let the module's runtime begin: a reactor by `_initialize`, a command by its `main`."""
    import wasmtime

    begin = exports.get("_initialize") or exports.get("_start")
    if begin is None:
        return
    try:
        begin(store)
    except wasmtime.ExitTrap as error:
        if error.code:
            raise
