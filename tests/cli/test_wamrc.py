import sys

import pytest

from tailrace.cli.wamrc import run
from tailrace.testing import run_filter

wasmtime = pytest.importorskip("wasmtime")


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "in.wasm"
    path.write_bytes(
        wasmtime.wat2wasm(
            '(module (memory (export "memory") 1) (data (i32.const 16) "{}") (func (export "f") (result i32) i32.const 16))'
        )
    )
    return path


def test_it_compiles_says_for_what_and_the_file_works(module, tmp_path, capsys):
    target = tmp_path / "out.aot"
    assert run(["--opt-level", "1", "--size-level=2", "-o", str(target), str(module)]) == 0
    text = capsys.readouterr().out
    for word in ("target:", "cpu:", "cpu features:", "opt level:      1", "size level:     2"):
        assert word in text
    assert text.endswith(f"Compile success, file {target} was generated.\n")
    assert run_filter("wasm", {"wasm_path": str(target), "function_name": "f"}, {"a": 1}) == [{}]


def test_a_failure_is_one_line_and_leaves_no_file(module, tmp_path, capsys):
    target = tmp_path / "out.aot"
    assert run(["--target", "pdp11", "-o", str(target), str(module)]) == 1
    assert "pdp11" in capsys.readouterr().err
    assert not target.exists()


def test_a_missing_module_is_named(tmp_path, capsys):
    assert run(["-o", str(tmp_path / "x.aot"), str(tmp_path / "nowhere.wasm")]) == 1
    assert "nowhere.wasm" in capsys.readouterr().err


def test_help_lists_targets_and_cpus(capsys):
    assert run(["--target=help"]) == 0
    assert "cortex-a57" in capsys.readouterr().out


def test_without_the_engine_it_is_said_what_to_install(module, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    assert run(["-o", str(tmp_path / "x.aot"), str(module)]) == 1
    assert "tailrace[wasm]" in capsys.readouterr().err
