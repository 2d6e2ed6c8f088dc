"""Files of modules compiled ahead of time: what they are, and why one will not do.

Such a file is the engine's own ELF image (`wasmtime compile` writes the same): machine code for one architecture and
one version of the engine. The architecture stands in the ELF header (e_machine, at byte 18).
"""

from __future__ import annotations

import platform

ELF = b"\x7fELF"
WASM = b"\0asm"
FOREIGN_AOT = b"\0aot"
MACHINES = {0x3E: "x86_64", 0xB7: "aarch64", 0xF3: "riscv64", 0x16: "s390x"}
RECOMPILE = (
    "Compile the .wasm again with `tailrace wamrc` for this machine, or give the .wasm itself."
)


def kind_of(data: bytes) -> str:
    """`wasm`, `aot`, or what is wrong with a file."""
    if data.startswith(WASM):
        if data[4:8] == b"\x01\0\0\0":
            return "wasm"
        return "it is a WebAssembly component; a core module is needed"
    if data.startswith(ELF):
        return "aot"
    if data.startswith(FOREIGN_AOT):
        return "it was compiled ahead of time for another engine (WAMR)"
    if not data:
        return "it is empty"
    return "it is no WebAssembly module"


def machine_of(data: bytes) -> str:
    """The architecture a file was compiled for."""
    code = int.from_bytes(data[18:20], "little")
    return MACHINES.get(code, f"machine {code}")


def this_machine() -> str:
    word = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(word, word)


def version_of(image: bytes) -> str:
    """The engine's version that an image is for; empty if it does not say.

    It stands at the begin of the first section, behind a zero byte and its length.
    """
    start = 64
    length = image[start + 1] if len(image) > start + 1 else 0
    word = image[start + 2 : start + 2 + length]
    return word.decode() if 0 < length < 8 and word.isdigit() else ""


def misfit(data: bytes, message: str) -> str:
    """Why the engine refused an image, from the image and the engine's message."""
    machine = machine_of(data)
    if machine != this_machine():
        return f"it was compiled for {machine}, this is {this_machine()}"
    if "version" in message.lower() and version_of(data):
        return f"it was compiled for version {version_of(data)} of the engine, which is not the one installed"
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[-1] if lines else "it can't be read"
