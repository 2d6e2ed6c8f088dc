"""The modules in examples/wasm do what they say, as they were built and when they are built anew."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tailrace.testing import FakeContext, run_filter

pytest.importorskip("wasmtime")
FOLDER = Path(__file__).parents[1] / "examples" / "wasm"
BUILT = {"c": "C", "rust": "Rust", "zig": "Zig", "assemblyscript": "AssemblyScript"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def check(module, language, times=1):
    bodies = [
        {"level": "info", "message": 'hé said "\\"'},
        {"level": "debug", "message": "not this"},
        {},
        {"large": "x" * 20_000, "level": "warn"},
    ]
    context = FakeContext()
    section = {"wasm_path": str(module), "function_name": "filter"}
    found = run_filter("wasm", section, *bodies * times, tag="a.b", context=context)
    added = {"lang": language, "tag": "a.b"}
    assert found == [body | added for body in bodies if body.get("level") != "debug"] * times
    assert context.sink.messages == []


@pytest.mark.parametrize("name", BUILT)
def test_the_module_as_it_was_built(name):
    check(FOLDER / "built" / f"{name}.wasm", BUILT[name])


@pytest.mark.parametrize("name", BUILT)
def test_a_module_keeps_within_its_memory_over_many_records(name):
    check(FOLDER / "built" / f"{name}.wasm", BUILT[name], times=500)


def has_rust():
    """Whether there is a Rust compiler with the target that the example wants."""
    if not shutil.which("cargo") or not shutil.which("rustc"):
        return False
    found = subprocess.run(
        ["rustc", "--print", "target-libdir", "--target", "wasm32-wasip1"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.returncode == 0 and Path(found.stdout.strip()).exists()


TOOLCHAINS = {
    "c": lambda: shutil.which("clang") and shutil.which("wasm-ld") and has_wasi_libc(),
    "rust": has_rust,
    "go": lambda: shutil.which("go"),
    "tinygo": lambda: shutil.which("tinygo"),
    "zig": lambda: find_spec("ziglang"),
    "assemblyscript": lambda: shutil.which("asc"),
}


def has_wasi_libc():
    return Path("/usr/lib/wasm32-wasi/libc.a").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TOOLCHAINS)
def test_a_module_built_anew(name, tmp_path):
    if not TOOLCHAINS[name]():
        pytest.skip(f"no toolchain for {name}")
    shutil.copytree(FOLDER, tmp_path / "wasm", ignore=shutil.ignore_patterns("rust/target"))
    subprocess.run(
        ["make", "-C", str(tmp_path / "wasm"), name, f"PYTHON={sys.executable}"],
        check=True,
        capture_output=True,
        timeout=280,
    )
    language = BUILT.get(name, "Go")
    check(tmp_path / "wasm" / "built" / f"{name}.wasm", language, times=50)
