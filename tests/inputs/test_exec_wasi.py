import asyncio
import sys

import pytest

from tailrace.config.errors import ConfigError
from tailrace.testing import FakeContext, make_parser, make_plugin, run_input

wasmtime = pytest.importorskip("wasmtime")

PROGRAM = r"""(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "%s")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const %d))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    %s)
)"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def program(tmp_path):
    def make(text, then=""):
        path = tmp_path / "program.wasm"
        data = text.encode()
        escaped = "".join(f"\\{byte:02x}" for byte in data)
        path.write_bytes(wasmtime.wat2wasm(PROGRAM % (escaped, len(data), then)))
        return str(path)

    return make


def collect(path, *, until, context=None, **options):
    section = {"wasi_path": path, "oneshot": "on", **options}
    chunks = run_input("exec_wasi", section, until=until, context=context)
    return [body for chunk in chunks for body in chunk.bodies]


def test_each_line_is_a_record_empty_ones_too(program):
    found = collect(program("first\n\n  two é\nlast"), until=4)
    assert found == [{"wasi_stdout": text} for text in ("first", "", "  two é", "last")]


def test_a_long_line_is_cut(program):
    found = collect(program("abcdefgh\nab\nabcd\n"), until=6, buf_size="5")
    assert [body["wasi_stdout"] for body in found] == ["abcd", "efgh", "", "ab", "abcd", ""]


def test_lines_go_through_a_parser_and_those_it_does_not_take_are_told(program):
    context = FakeContext(parsers={"j": make_parser("name j\nformat json")})
    found = collect(program('{"a":1}\nno\n{"b":2}\n'), until=2, context=context, parser="j")
    assert found == [{"a": 1}, {"b": 2}]
    assert any("1 of 3 lines" in text for level, text in context.sink.messages if level == "error")
    assert context.dropped == [(1, "not parsed")]


def test_what_was_printed_before_a_trap_comes_out(program):
    context = FakeContext()
    assert collect(program("before\n", "unreachable"), until=1, context=context) == [
        {"wasi_stdout": "before"}
    ]


def test_lines_come_while_the_program_still_runs_and_it_ends_with_the_input(program):
    assert collect(program("early\n", "(loop (br 0))"), until=1) == [{"wasi_stdout": "early"}]


def test_it_stops_while_the_program_waits_for_room(program):
    """It prints without end, and the pipeline takes nothing: the program hangs in its writing."""
    again = (
        "(loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0))"
    )

    async def scenario():
        section = {"wasi_path": program("x" * 500 + "\n", again), "oneshot": "on"}
        plugin = make_plugin("input", "exec_wasi", section)
        full = asyncio.Event()

        async def emit(chunk):
            full.set()
            await asyncio.Event().wait()

        running = asyncio.ensure_future(plugin.run(emit))
        async with asyncio.timeout(10):
            await full.wait()
            await asyncio.sleep(0.1)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await plugin.stop()

    asyncio.run(scenario())


def until_logged(section, word):
    """Run until a message has the word; the messages."""
    context = FakeContext()

    async def scenario():
        plugin = make_plugin("input", "exec_wasi", section, context)

        async def emit(chunk):
            pass

        running = asyncio.ensure_future(plugin.run(emit))
        async with asyncio.timeout(10):
            while not any(word in text for _, text in context.sink.messages):
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await plugin.stop()

    asyncio.run(scenario())
    return context.sink.messages


def test_an_exit_code_is_told(program):
    section = {"wasi_path": program("x\n", "(call $exit (i32.const 7))"), "oneshot": "on"}
    assert any("exit code 7" in text for _, text in until_logged(section, "exit code"))


def test_a_time_limit_ends_a_program(program):
    path = program("x\n", "(loop (br 0))")
    section = {"wasi_path": path, "oneshot": "on", "time_limit": "0.05"}
    assert until_logged(section, "time_limit")


def test_a_missing_program_is_told_and_does_not_end_the_input():
    messages = until_logged({"wasi_path": "nowhere.wasm", "interval_sec": "1"}, "nowhere.wasm")
    assert messages[0][0] == "error"


def test_a_library_is_told_to_be_no_program(tmp_path):
    path = tmp_path / "library.wasm"
    path.write_bytes(wasmtime.wat2wasm('(module (memory (export "memory") 1))'))
    assert until_logged({"wasi_path": str(path), "oneshot": "on"}, "no main function")


def test_a_file_that_is_no_module_is_told_under_the_name_of_its_option(tmp_path):
    path = tmp_path / "text.wasm"
    path.write_text("hello")
    messages = until_logged({"wasi_path": str(path), "oneshot": "on"}, "no WebAssembly module")
    assert "wasi_path" in messages[0][1]


def test_it_runs_anew_at_each_interval(program):
    chunks = run_input("exec_wasi", {"wasi_path": program("again\n"), "interval_sec": "1"}, until=3)
    assert [body for chunk in chunks for body in chunk.bodies] == [{"wasi_stdout": "again"}] * 3


def test_an_unknown_parser_is_found_at_the_start(program):
    with pytest.raises(ConfigError, match="nobody"):
        make_plugin("input", "exec_wasi", {"wasi_path": program("x"), "parser": "nobody"})


def test_without_the_engine_the_start_says_so(program, monkeypatch):
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    with pytest.raises(ImportError, match="wasmtime"):
        make_plugin("input", "exec_wasi", {"wasi_path": "x.wasm"})
