"""What a module sees of the world, and how it begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tailrace.config.errors import ConfigError
from tailrace.wasm.faults import fault_of


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


def initialize(exports: Any, store: Any, with_main: bool = True) -> None:
    """Let the module's runtime begin: a reactor by `_initialize`, a command by its `main`.

    `MainFailed` if `main` trapped: the instance is of no use, but another may do without.
    """
    import wasmtime

    begin = exports.get("_initialize")
    if begin is not None:
        begin(store)
        return
    main = exports.get("_start")
    if main is None or not with_main:
        return
    try:
        main(store)
    except wasmtime.ExitTrap:
        return  # it has begun all the same; a filter's exit code says nothing
    except wasmtime.Trap as error:
        raise MainFailed(fault_of(error).why) from error


class MainFailed(Exception):
    """The `main` of a module that is a filter trapped; the message says why."""
