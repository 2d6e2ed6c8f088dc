"""A module from a file: compiled once and kept by its content, or compiled ahead of time."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from tailrace.config.errors import ConfigError
from tailrace.wasm import aot

WASI = "wasi_snapshot_preview1"
MOST_FILE_BYTES = 512 << 20
CODE_SECTION = 10
MEMORY_SIZE = b"\x3f\x00"


class Program:
    """A module that is compiled but does not run yet.

    `functions` are its exported functions: parameter and result types as words (`i32`) by name.
    `sees_memory_size` is False when its code can't ask how large its memory is.
    """

    def __init__(self, path: str, engine: Any, data: bytes) -> None:
        import wasmtime

        self.path = path
        self.engine = engine
        kind = aot.kind_of(data)
        if kind == "wasm":
            self.module = compiled(engine, data, path)
            self.sees_memory_size = asks_memory_size(data)
        elif kind == "aot":
            self.module = ahead_of_time(engine, data, path)
            self.sees_memory_size = True
        else:
            raise ConfigError(
                f"wasm_path: {path!r} will not do: {kind}.",
                aot.RECOMPILE if "ahead of time" in kind else "Give a .wasm module.",
            )
        self.functions: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self.has_memory = False
        for export in self.module.exports:
            if isinstance(export.type, wasmtime.FuncType):
                words = tuple(map(str, export.type.params)), tuple(map(str, export.type.results))
                self.functions[export.name] = words
            elif isinstance(export.type, wasmtime.MemoryType) and export.name == "memory":
                self.has_memory = True
        self.uses_wasi = any(item.module == WASI for item in self.module.imports)


def find_file(path: str, config_dir: Path) -> Path:
    """The file as the agent's working folder sees it, else beside the configuration."""
    found = Path(path)
    if not found.is_absolute() and not found.exists() and (config_dir / path).exists():
        found = config_dir / path
    return found


def open_program(path: str, config_dir: Path, engine: Any) -> Program:
    """Read and compile; `ConfigError` says why a file will not do."""
    found = find_file(path, config_dir)
    try:
        if found.stat().st_size > MOST_FILE_BYTES:
            raise ConfigError(f"{path!r} is larger than {MOST_FILE_BYTES >> 20} MiB.")
        data = found.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"wasm module {path!r} can't be read: {error.strerror}.", "Check the path."
        ) from error
    return Program(path, engine, data)


def ahead_of_time(engine: Any, data: bytes, path: str) -> Any:
    import wasmtime

    try:
        return wasmtime.Module.deserialize(engine, data)
    except wasmtime.WasmtimeError as error:
        raise ConfigError(
            f"{path!r} will not do: {aot.misfit(data, str(error))}.", aot.RECOMPILE
        ) from error


def compiled(engine: Any, data: bytes | str, path: str) -> Any:
    """The module of these bytes (or text form); from the cache if it was compiled before."""
    import wasmtime

    kept = cache_file(data)
    if kept is not None:
        try:
            return wasmtime.Module.deserialize(engine, kept.read_bytes())
        except (OSError, wasmtime.WasmtimeError):
            pass  # not there, or of another version: it is made anew
    try:
        module = wasmtime.Module(engine, data)
    except wasmtime.WasmtimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ConfigError(
            f"wasm module {path!r} can't be compiled: {'; '.join(lines)[:500]}."
        ) from error
    if kept is not None:
        keep(kept, module.serialize())
    return module


# The cache


def cache_folder() -> Path | None:
    """Where compiled modules are kept, or None. What lies there is run: it must be ours alone."""
    base = os.environ.get("XDG_CACHE_HOME") or (
        os.path.join(os.environ["HOME"], ".cache") if os.environ.get("HOME") else ""
    )
    if not base or not os.path.isabs(base):
        return None
    folder = Path(base, "tailrace", "wasm")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        info = folder.stat()
    except OSError:
        return None
    if info.st_uid != os.geteuid() or info.st_mode & 0o022:
        return None
    return folder


def cache_file(data: bytes | str) -> Path | None:
    folder = cache_folder()
    if folder is None:
        return None
    content = data.encode() if isinstance(data, str) else data
    digest = hashlib.sha256(f"{engine_mark()}\0".encode() + content).hexdigest()
    return folder / f"{digest}.cwasm"


def engine_mark() -> str:
    """Tells engines apart without asking for their version, which is slow: where the library lies, its size and time."""
    import wasmtime

    info = os.stat(os.path.dirname(wasmtime.__file__))
    return f"{wasmtime.__file__} {info.st_mtime_ns} {aot.this_machine()}"


def keep(target: Path, data: bytes | bytearray) -> None:
    """Write a file whole or not at all."""
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(name, target)
        except OSError:
            os.unlink(name)
    except OSError:
        return  # a full or read-only disk costs only the time to compile again


# A look into the binary


def asks_memory_size(data: bytes) -> bool:
    """Whether the code may hold the instruction `memory.size`; True in doubt."""
    at = 8
    while at < len(data):
        section = data[at]
        size, at = leb128(data, at + 1)
        if section == CODE_SECTION:
            return MEMORY_SIZE in data[at : at + size]
        at += size
    return False


def leb128(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number and the place behind it."""
    number = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 35:
            break
    return number, at
