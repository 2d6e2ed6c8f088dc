"""A module sees the folders it was given and nothing else, whatever way it tries."""

import os

import pytest

from tailrace.config.errors import ConfigError
from tailrace.testing import make_plugin, run_filter

wasmtime = pytest.importorskip("wasmtime")

MODULE = r"""(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 512) "{\22read\22:false}\00")
  (data (i32.const 544) "{\22env\22:0}\00")
  ;; the record is {"f":"PATH"}; the content of that file in the first folder is given back, if it can be read
  (func (export "open") (param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32) (param $rec i32) (param $len i32) (result i32)
    (if (i32.ne (i32.const 0) (call $open (i32.const 3) (i32.const 1)
        (i32.add (local.get $rec) (i32.const 6)) (i32.sub (local.get $len) (i32.const 8))
        (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 1000)))
      (then (return (i32.const 512))))
    (memory.fill (i32.const 2048) (i32.const 0) (i32.const 512))
    (i32.store (i32.const 1008) (i32.const 2048))
    (i32.store (i32.const 1012) (i32.const 500))
    (drop (call $read (i32.load (i32.const 1000)) (i32.const 1008) (i32.const 1) (i32.const 1016)))
    (drop (call $close (i32.load (i32.const 1000))))
    (i32.const 2048))
  (func (export "environment") (result i32)
    (drop (call $env (i32.const 1000) (i32.const 1004)))
    (i32.store8 (i32.const 551) (i32.add (i32.const 48) (i32.load (i32.const 1000))))
    (i32.const 544))
)"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def cell(tmp_path):
    """A folder that may be read, a secret beside it, and ways from one to the other."""
    (tmp_path / "open.wasm").write_bytes(wasmtime.wat2wasm(MODULE))
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "sub").mkdir(parents=True)
    outside.mkdir()
    (inside / "ok.json").write_text('{"content":"mine"}')
    (outside / "secret.json").write_text('{"content":"secret"}')
    os.symlink("../outside/secret.json", inside / "relative_link")
    os.symlink(outside / "secret.json", inside / "absolute_link")
    os.symlink("../outside", inside / "folder_link")
    os.symlink("../ok.json", inside / "sub" / "good_link")
    return tmp_path


def section(cell, function, folder="inside"):
    return {
        "wasm_path": str(cell / "open.wasm"),
        "function_name": function,
        "accessible_paths": str(cell / folder),
    }


@pytest.mark.parametrize("path", ["ok.json", "./ok.json", "sub/../ok.json", "sub/good_link"])
def test_a_module_reads_in_its_folder(cell, path):
    assert run_filter("wasm", section(cell, "open"), {"f": path}) == [{"content": "mine"}]


@pytest.mark.parametrize(
    "path",
    [
        "../outside/secret.json",
        "sub/../../outside/secret.json",
        "relative_link",
        "absolute_link",
        "folder_link/secret.json",
        "CELL/outside/secret.json",
        "/etc/passwd",
        "../../../../../../etc/passwd",
        "..",
    ],
)
def test_a_module_reads_nothing_outside_of_it(cell, path):
    path = path.replace("CELL", str(cell))
    assert run_filter("wasm", section(cell, "open"), {"f": path}) == [{"read": False}]


def test_a_module_sees_no_environment(cell):
    assert "PATH" in os.environ
    assert run_filter("wasm", section(cell, "environment"), {}) == [{"env": 0}]


def test_a_folder_that_is_not_there_is_found_at_the_start(cell):
    with pytest.raises(ConfigError, match="nowhere"):
        make_plugin("filter", "wasm", section(cell, "open", "nowhere"))
