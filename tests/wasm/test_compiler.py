import pytest

from tailrace.config.errors import ConfigError
from tailrace.wasm import aot, compiler
from tailrace.wasm.compiler import Job

wasmtime = pytest.importorskip("wasmtime")
TEXT = '(module (memory (export "memory") 1) (data (i32.const 16) "{}") (func (export "f") (result i32) i32.const 16))'
OTHER = "riscv64" if aot.this_machine() == "aarch64" else "aarch64"


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "a.wasm"
    path.write_bytes(wasmtime.wat2wasm(TEXT))
    return path


def test_an_image_names_its_machine_and_engine(module):
    image = compiler.compile_ahead(module, Job())
    assert aot.kind_of(image) == "aot"
    assert aot.machine_of(image) == aot.this_machine()
    assert aot.version_of(image) == compiler.library_version().split(".")[0]


def test_levels_become_the_compilers_own():
    assert [Job(opt_level=n).level for n in range(4)] == ["none", "speed", "speed", "speed"]
    assert Job(size_level=3).level == "speed_and_size"
    assert Job(size_level=0).level == "speed"


def test_features_and_cpus_become_flags():
    job = Job("aarch64v8", cpu="cortex-a76", features="-dotprod")
    assert job.flags() == [
        ("has_lse", "true"),
        ("has_fp16", "true"),
        ("has_dotprod", "true"),
        ("has_dotprod", "false"),
    ]
    assert Job("x86_64", cpu="haswell", features="+sse4.1").flags() == [
        ("haswell", ""),
        ("has_sse41", "true"),
    ]


@pytest.mark.parametrize(
    ("job", "word"),
    [
        (Job("mips"), "mips"),
        (Job("aarch64", abi="eabi"), "eabi"),
        (Job(abi="eabi"), "eabi"),
        (Job(features="avx2"), "avx2"),
        (Job(features="+nosuch"), "nosuch"),
        (Job(cpu="zilog"), "zilog"),
    ],
)
def test_what_is_unknown_is_named(module, job, word):
    with pytest.raises(ConfigError, match=word):
        compiler.compile_ahead(module, job)


@pytest.mark.parametrize(
    ("content", "word"), [(b"text", "no WebAssembly"), (b"\x7fELF", "compiled already")]
)
def test_only_modules_are_compiled(tmp_path, content, word):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=word):
        compiler.compile_ahead(path, Job())


def test_other_machines_need_the_compiler_and_it_is_said_how_to_get_it(module, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"tailrace\[aot\]"):
        compiler.compile_ahead(module, Job(OTHER))


@pytest.mark.parametrize("target", [OTHER, "s390x"])
def test_an_image_for_another_machine_is_refused_here(module, tmp_path, target):
    pytest.importorskip("wasmtime_cli")
    from tailrace.testing import run_filter

    image = compiler.compile_ahead(module, Job(target))
    if target != "s390x":  # big endian: read as another word
        assert aot.machine_of(image) == target
    path = tmp_path / "other.aot"
    path.write_bytes(image)
    with pytest.raises(ConfigError, match=r"was compiled for .*wamrc"):
        run_filter("wasm", {"wasm_path": str(path), "function_name": "f"}, {})


def test_an_image_of_another_engine_version_is_refused_with_both_ways_out(module, tmp_path):
    from tailrace.testing import run_filter

    image = bytearray(compiler.compile_ahead(module, Job()))
    image[66:68] = b"12"
    path = tmp_path / "old.aot"
    path.write_bytes(image)
    with pytest.raises(ConfigError, match=r"version 12 .*wamrc"):
        run_filter("wasm", {"wasm_path": str(path), "function_name": "f"}, {})


def test_an_image_runs_as_the_module_does(module, tmp_path):
    from tailrace.testing import run_filter

    path = tmp_path / "a.aot"
    path.write_bytes(compiler.compile_ahead(module, Job(cpu="", features="")))
    found = run_filter("wasm", {"wasm_path": str(path), "function_name": "f"}, {"x": 1}, {"x": 2})
    assert found == [{}, {}]
