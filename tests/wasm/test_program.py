import os

import pytest

from tailrace.wasm import program
from tailrace.wasm.engine import make_engine

wasmtime = pytest.importorskip("wasmtime")
MODULE = '(module (memory (export "memory") 1) (func (export "f") (result i32) i32.const 0))'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tailrace" / "wasm"


def compile_once(text=MODULE):
    return program.compiled(make_engine(), bytes(wasmtime.wat2wasm(text)), "a.wasm")


def test_a_module_is_compiled_once_and_found_by_its_content(cache):
    compile_once()
    (kept,) = cache.iterdir()
    before = kept.stat()
    compile_once()
    assert kept.stat().st_mtime_ns == before.st_mtime_ns
    compile_once(MODULE.replace("const 0", "const 1"))
    assert len(list(cache.iterdir())) == 2


def test_a_damaged_file_in_the_cache_is_made_anew(cache):
    compile_once()
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(b"damaged")
    compile_once()
    assert len(kept.read_bytes()) == len(whole)


def test_a_cache_that_others_may_write_is_not_used(cache):
    cache.mkdir(parents=True)
    os.chmod(cache, 0o777)
    compile_once()
    assert list(cache.iterdir()) == []


def test_without_a_place_for_a_cache_it_works_as_well(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    assert program.cache_folder() is None
    compile_once()


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        (MODULE, False),
        (MODULE.replace("i32.const 0", "memory.size"), True),
        ('(module (memory 1) (data (i32.const 0) "\\3f\\00"))', False),
    ],
)
def test_it_is_known_whether_code_asks_for_the_size_of_memory(text, asks):
    assert program.asks_memory_size(bytes(wasmtime.wat2wasm(text))) is asks


@pytest.mark.parametrize(
    "data", [b"", b"\0asm\1\0\0\0", b"\0asm\1\0\0\0\x0a\xff\xff\xff\xff\xff\xff"]
)
def test_a_cut_binary_is_looked_at_without_an_error(data):
    assert program.asks_memory_size(data) in (True, False)
