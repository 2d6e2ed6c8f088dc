"""The filter as a user sees it; its modules are written in the text form. Those in other languages: tests/test_wasm_examples.py."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import msgpack
import pytest

from tailrace.config.errors import ConfigError
from tailrace.model import Chunk, Group
from tailrace.model.extension import Extension
from tailrace.testing import FakeContext, chunk_of, make_plugin, run_filter
from tailrace.wire.msgpack import pack

wasmtime = pytest.importorskip("wasmtime")
ARGS = "(param $tag i32) (param $tag_len i32) (param $sec i32) (param $nsec i32) (param $rec i32) (param $len i32) (result i32)"

COMMAND = "from tailrace.cli.main import main; main()"
KIT = f"""(module
  (import "env" "nobody" (func $nobody))
  (memory (export "memory") 2)
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 1024) "{{\\22a\\22:1}}\\00[1]\\00not json\\00{{\\22a\\22:1}} {{\\22b\\22:2}}\\00")
  (func $first (param $rec i32) (result i32) (i32.load8_u (i32.add (local.get $rec) (i32.const 6))))
  (func (export "echo") {ARGS} (local.get $rec))
  (func (export "tag") {ARGS} (local.get $tag))
  (func (export "constant") {ARGS} (i32.const 1024))
  (func (export "array") {ARGS} (i32.const 1032))
  (func (export "no_json") {ARGS} (i32.const 1036))
  (func (export "two_objects") {ARGS} (i32.const 1045))
  (func (export "null") {ARGS} (i32.const 0))
  (func (export "empty") {ARGS} (i32.const 1031))
  (func (export "outside") {ARGS} (i32.const -16))
  (func (export "no_parameters") (result i32) (i32.const 1024))
  (func (export "long_times") (param i32 i32 i64 i64 i32 i32) (result i32)
    (if (result i32) (i32.and (i64.eq (local.get 2) (i64.const 1700000000)) (i64.eq (local.get 3) (i64.const 0)))
      (then (i32.const 1024)) (else (i32.const 0))))
  (func (export "long_record") (param i32 i32 i32 i32 i64) (result i32) (i32.const 1024))
  (func (export "no_result") (param i32))
  ;; by the first letter of the value: t traps, l loops, i calls what nobody has, d drops
  (func (export "moody") {ARGS}
    (local $c i32)
    (local.set $c (call $first (local.get $rec)))
    (if (i32.eq (local.get $c) (i32.const 116)) (then unreachable))
    (if (i32.eq (local.get $c) (i32.const 108)) (then (loop (br 0))))
    (if (i32.eq (local.get $c) (i32.const 105)) (then (call $nobody)))
    (if (i32.eq (local.get $c) (i32.const 100)) (then (return (i32.const 0))))
    (local.get $rec))
  ;; {{"n":"C"}} with C the number of calls before
  (func (export "count") {ARGS}
    (i64.store (i32.const 2048) (i64.const 0x2230223a226e227b))
    (i32.store8 (i32.const 2054) (i32.add (i32.const 48) (global.get $calls)))
    (i32.store16 (i32.const 2056) (i32.const 0x7d))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.eq (call $first (local.get $rec)) (i32.const 116)) (then unreachable))
    (i32.const 2048))
  (func $again (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (i32.add (i32.const 1) (call $again (i32.sub (local.get $n) (i32.const 1)))))
      (else (i32.const 1024))))
  (func (export "deep") {ARGS} (drop (call $again (i32.const 2000))) (i32.const 1024))
  (func (export "endless_recursion") {ARGS} (call $again (i32.const -1)))
  ;; takes a megabyte more at each call
  (func (export "greedy") {ARGS}
    (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
    (i32.const 1024))
)"""


@pytest.fixture(scope="session")
def kit(tmp_path_factory):
    path = tmp_path_factory.mktemp("wasm") / "kit.wasm"
    path.write_bytes(wasmtime.wat2wasm(KIT))
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def run(kit, function, *bodies, context=None, **options):
    section = {"wasm_path": str(kit), "function_name": function, **options}
    return run_filter("wasm", section, *bodies, context=context)


def errors(context):
    return [text for level, text in context.sink.messages if level == "error"]


# What the function gives


def test_what_the_function_returns_is_the_record(kit):
    assert run(kit, "constant", {"x": 1}, {"x": 2}) == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize("event_format", ["json", "msgpack"])
def test_every_type_survives_the_way_through(kit, event_format):
    bodies = [
        {"i": -1, "u": 2**64 - 1, "f": 1.0, "z": 0, "t": True, "n": None, "s": 'é"\\\n\x00'},
        {"list": [1, [], {}], "map": {"": {"deep": [None]}}, "big": "x" * 70_000},
        {},
    ]
    assert run(kit, "echo", *bodies, event_format=event_format) == bodies


def test_a_null_pointer_and_an_empty_text_drop_the_record(kit):
    assert run(kit, "null", {"a": 1}) == []
    assert run(kit, "empty", {"a": 1}) == []
    assert run(kit, "moody", {"a": "x"}, {"a": "drop"}, {"a": "y"}) == [{"a": "x"}, {"a": "y"}]


def test_times_metadata_and_groups_stay_with_their_records(kit):
    plugin = make_plugin("filter", "wasm", {"wasm_path": str(kit), "function_name": "moody"})
    chunk = chunk_of([{"a": "x"}, {"a": "d"}, {"a": "y"}], metadata=[{"m": 1}, {"m": 2}, {"m": 3}])
    first, _, last = chunk.times
    shop = Group({}, {"resource": {"name": "shop"}})
    chunk.groups = [None, None, shop]
    result = plugin.process(chunk)
    assert (result.times, result.metadata) == ([first, last], [{"m": 1}, {"m": 3}])
    assert result.groups == [None, shop]


def test_text_behind_the_object_is_passed_over(kit):
    assert run(kit, "two_objects", {"x": 1}, {"x": 2}) == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize("function", ["array", "no_json", "tag", "outside"])
def test_what_is_no_record_is_dropped_counted_and_told(kit, function):
    context = FakeContext()
    assert run(kit, function, {"x": 1}, {"x": 2}, context=context) == []
    assert context.dropped == [(2, "wasm function returned no record")]
    assert len(errors(context)) == 1
    assert function in errors(context)[0]


def test_a_text_without_an_end_is_no_record(tmp_path):
    module = tmp_path / "endless.wasm"
    module.write_bytes(
        wasmtime.wat2wasm(
            """(module (memory (export "memory") 1 1)
            (data (i32.const 65523) "AAAAAAAAAAAAA")
            (func (export "malloc") (param i32) (result i32) (i32.const 1024))
            (func (export "free") (param i32))
            (func (export "f") (result i32) (i32.const 65523)))"""
        )
    )
    context = FakeContext()
    assert run(module, "f", {"x": 1}, context=context) == []
    assert "outside of its memory" in errors(context)[0]


def answering(path, *answers):
    """A module whose function f gives these bytes, one after the other."""
    starts = [1024 + sum(map(len, answers[:n])) for n in range(len(answers))]
    picks = "".join(
        f"(if (i32.eq (global.get $n) (i32.const {n + 1})) (then (return (i32.const {start}))))"
        for n, start in enumerate(starts)
    )
    data = "".join(f"\\{byte:02x}" for byte in b"".join(answers))
    text = f"""(module (memory (export "memory") 3) (global $n (mut i32) (i32.const 0))
        (data (i32.const 1024) "{data}")
        (func (export "f") (result i32)
          (global.set $n (i32.add (global.get $n) (i32.const 1))) {picks} (i32.const 0)))"""
    path.write_bytes(wasmtime.wat2wasm(text))
    return path


def test_a_broken_answer_leaves_its_neighbours_alone(tmp_path):
    """All answers are read in one go; a broken one must not swallow those around it."""
    answers = ['{"a":1}', '{"a":', '],["x"', '{"b":2}', '"', '{"c":[', '{"d":4}']
    module = answering(tmp_path / "odd.wasm", *(text.encode() + b"\0" for text in answers))
    assert run(module, "f", *[{}] * len(answers)) == [{"a": 1}, {"b": 2}, {"d": 4}]


def test_a_function_may_take_fewer_arguments(kit):
    assert run(kit, "no_parameters", {"x": 1}) == [{"a": 1}]


def test_a_function_may_take_seconds_and_nanoseconds_as_64_bit(kit):
    assert run(kit, "long_times", {"x": 1}) == [{"a": 1}]


def test_untouched_lines_are_never_decoded(kit):
    plugin = make_plugin("filter", "wasm", {"wasm_path": str(kit), "function_name": "echo"})
    chunk = plugin.process(Chunk.of_lines("t", [1, 2], "log", ['say "hé"', ""], 20))
    assert not chunk.decoded
    assert chunk.bodies == [{"log": 'say "hé"'}, {"log": ""}]


def test_dropping_alone_keeps_the_others_as_they_were(kit):
    bodies = [{"a": "x", "bytes": b"\xff"}, {"a": "d"}, {"a": "y"}]
    assert run(kit, "moody", *bodies) == [bodies[0], bodies[2]]


def test_state_is_kept_from_chunk_to_chunk(kit):
    plugin = make_plugin("filter", "wasm", {"wasm_path": str(kit), "function_name": "count"})
    found = [plugin.process(chunk_of([{"a": "x"}] * 2)).bodies for _ in range(2)]
    assert found == [[{"n": "0"}, {"n": "1"}], [{"n": "2"}, {"n": "3"}]]


def test_large_batches_and_large_records_come_back_whole(kit):
    bodies = [{"n": n, "text": "y" * 1000} for n in range(3000)] + [{"text": "z" * 3_000_000}]
    assert run(kit, "echo", *bodies) == bodies


def test_results_much_larger_than_the_records_come_back_whole(tmp_path):
    large = [json.dumps({"n": n, "text": "x" * 60_000}).encode() + b"\0" for n in range(3)]
    module = answering(tmp_path / "large.wasm", *large)
    plugin = make_plugin("filter", "wasm", {"wasm_path": str(module), "function_name": "f"})
    plugin.guest.start()
    plugin.guest._size = 80_000  # as if the driver had little memory: it must be drained and grow
    found = plugin.process(chunk_of([{}] * 3)).bodies
    assert [body["n"] for body in found] == [0, 1, 2]


# Faults


@pytest.mark.parametrize(
    ("mood", "why"),
    [("trap", "abort, panic"), ("import", "nobody"), ("loop", "time_limit")],
)
def test_a_record_on_which_the_function_fails_is_kept(kit, mood, why):
    context = FakeContext()
    bodies = [{"a": "x"}, {"a": mood}, {"a": "y"}]
    assert run(kit, "moody", *bodies, context=context, time_limit="0.05") == bodies
    assert context.dropped == []
    assert context.metrics.by_name["tailrace_filter_errors_total"].values == {(): 1}
    (text,) = errors(context)
    assert why in text
    assert "moody" in text
    assert "1 of 3" in text


def test_on_error_drop_gives_it_up_and_counts_it(kit):
    context = FakeContext()
    bodies = [{"a": "x"}, {"a": "trap"}, {"a": "y"}]
    assert run(kit, "moody", *bodies, context=context, on_error="drop") == [bodies[0], bodies[2]]
    assert context.dropped == [(1, "wasm function failed")]


def test_after_a_fault_the_next_record_gets_a_new_instance(kit):
    found = run(kit, "count", {"a": "x"}, {"a": "trap"}, {"a": "y"}, {"a": "z"})
    assert found == [{"n": "0"}, {"a": "trap"}, {"n": "0"}, {"n": "1"}]


def test_a_module_that_always_loops_rests_so_that_it_does_not_hold_up_the_agent(kit):
    context = FakeContext()
    bodies = [{"a": "loop"}] * 500
    section = {"wasm_path": str(kit), "function_name": "moody", "time_limit": "0.02"}
    plugin = make_plugin("filter", "wasm", section, context)
    assert plugin.process(chunk_of(bodies)).bodies == bodies
    assert "3 of 500" in errors(context)[0]
    assert "497 of 500" in errors(context)[1]
    instances = plugin.guest.instances
    assert plugin.process(chunk_of([{"a": "d"}])).bodies == [{"a": "d"}]
    assert plugin.guest.instances == instances
    plugin.guest._rest_until = 0.0
    assert plugin.process(chunk_of([{"a": "d"}])).bodies == []


def test_a_deep_recursion_works_and_an_endless_one_is_told(kit):
    assert run(kit, "deep", {"x": 1}) == [{"a": 1}]
    context = FakeContext()
    assert run(kit, "endless_recursion", {"x": 1}, context=context) == [{"x": 1}]
    assert "wasm_stack_size" in errors(context)[0]


def test_more_stack_than_can_be_had_is_told(kit):
    context = FakeContext()
    assert run(kit, "deep", {"x": 1}, context=context, wasm_stack_size="1G") == [{"a": 1}]
    assert any("wasm_stack_size" in text for _, text in context.sink.messages)


def test_a_module_that_never_frees_gets_a_new_instance_and_loses_nothing(kit):
    context = FakeContext()
    found = run(kit, "greedy", *[{"x": 1}] * 100, context=context, memory_limit="8M")
    assert found == [{"a": 1}] * 100
    assert errors(context) == []


def test_a_module_that_wants_more_than_its_limit_at_once_fails_on_its_record(kit):
    context = FakeContext()
    found = run(kit, "greedy", {"x": 1}, context=context, memory_limit="1M")
    assert found == [{"x": 1}]
    assert len(errors(context)) == 1


# Configuration


def refusal(section, context=None):
    with pytest.raises(ConfigError) as caught:
        make_plugin("filter", "wasm", section, context)
    return str(caught.value)


def test_a_missing_function_is_found_before_any_record(kit):
    text = refusal({"wasm_path": str(kit), "function_name": "eccho"})
    assert "eccho" in text
    assert "Did you mean 'echo'?" in text


@pytest.mark.parametrize("function", ["long_record", "no_result"])
def test_a_function_of_another_type_is_refused(kit, function):
    assert function in refusal({"wasm_path": str(kit), "function_name": function})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"#!/bin/sh\n", "no WebAssembly module"),
        (b"\0asm\x0d\0\1\0", "component"),
        (b"\0asm\1\0\0\0garbage", "compiled"),
        (b"\0aot\3\0\0\0", "another engine"),
        (b"\x7fELF\2\1\1" + b"\0" * 11 + b"\xf3\0" + b"\0" * 100, "riscv64"),
    ],
)
def test_a_file_that_will_not_do_is_refused_with_the_reason(tmp_path, content, why):
    path = tmp_path / "bad.wasm"
    path.write_bytes(content)
    text = refusal({"wasm_path": str(path), "function_name": "f"})
    assert why in text
    assert str(path) in text


def test_a_missing_file_is_named():
    assert "nowhere.wasm" in refusal({"wasm_path": "nowhere.wasm", "function_name": "f"})


def test_a_module_beside_the_configuration_is_found(kit, tmp_path):
    shutil.copy(kit, tmp_path / "here.wasm")
    context = FakeContext(config_dir=tmp_path)
    assert run("here.wasm", "constant", {}, context=context) == [{"a": 1}]


def test_a_module_without_memory_is_refused(tmp_path):
    path = tmp_path / "bare.wasm"
    path.write_bytes(wasmtime.wat2wasm('(module (func (export "f") (result i32) i32.const 0))'))
    assert "memory" in refusal({"wasm_path": str(path), "function_name": "f"})


def test_a_module_that_fails_at_its_start_ends_the_start(tmp_path):
    path = tmp_path / "bad.wasm"
    path.write_bytes(
        wasmtime.wat2wasm(
            '(module (memory (export "memory") 1) (func (export "_initialize") unreachable)'
            ' (func (export "f") (result i32) i32.const 0))'
        )
    )
    plugin = make_plugin("filter", "wasm", {"wasm_path": str(path), "function_name": "f"})
    with pytest.raises(ConfigError, match="does not start"):
        asyncio.run(plugin.start())


MAIN = r"""(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "{\22begun\22:0}")
  (func (export "_start") (i32.store8 (i32.const 25) (i32.const 49)) BODY)
  (func (export "f") (result i32) (i32.const 16)))"""


@pytest.mark.parametrize(
    ("body", "begun", "told"),
    [
        ("", 1, False),
        ("(call $exit (i32.const 0))", 1, False),
        ("(call $exit (i32.const 3))", 1, False),
        ("unreachable", 0, True),
        ("(loop (br 0))", 0, True),
    ],
)
def test_main_of_a_command_runs_first_and_is_left_out_if_it_fails(tmp_path, body, begun, told):
    path = tmp_path / "command.wasm"
    path.write_bytes(wasmtime.wat2wasm(MAIN.replace("BODY", body)))
    context = FakeContext()
    section = {"wasm_path": str(path), "function_name": "f", "time_limit": "0.05"}
    plugin = make_plugin("filter", "wasm", section, context)
    asyncio.run(plugin.start())
    assert plugin.process(chunk_of([{}])).bodies == [{"begun": begun}]
    assert any("main" in text for _, text in context.sink.messages) is told


def test_a_module_that_begins_larger_than_its_limit_ends_the_start(tmp_path):
    path = tmp_path / "large.wasm"
    path.write_bytes(
        wasmtime.wat2wasm(
            '(module (memory (export "memory") 40) (func (export "f") (result i32) i32.const 0))'
        )
    )
    section = {"wasm_path": str(path), "function_name": "f", "memory_limit": "1M"}
    plugin = make_plugin("filter", "wasm", section)
    with pytest.raises(ConfigError, match="limit"):
        asyncio.run(plugin.start())


def agent(configuration, *arguments, data=b""):
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "-c", str(configuration), *arguments],
        input=data,
        capture_output=True,
        timeout=50,
        check=False,
    )


def test_a_dry_run_finds_a_missing_function(kit, tmp_path):
    configuration = tmp_path / "a.conf"
    configuration.write_text(
        "[INPUT]\n name dummy\n"
        f"[FILTER]\n name wasm\n match *\n wasm_path {kit}\n function_name gone\n"
        "[OUTPUT]\n name null\n match *\n"
    )
    done = agent(configuration, "--dry-run")
    assert done.returncode != 0
    assert b"gone" in done.stderr


# MessagePack


def test_a_msgpack_result_ends_where_its_value_ends(tmp_path):
    values = [
        {"a": 0, "f": 1.5, "none": None, "yes": True},
        {"s": "x" * 40, "t": "y" * 300, "u": "z" * 70_000},
        {"b": b"\0\1" * 200, "l": list(range(20)), "m": {str(n): -n for n in range(20)}},
        {"i": [127, 128, 256, 65536, 2**32, -1, -33, -129, -32769, -(2**31) - 1]},
        {"x": Extension(5, b"1"), "y": Extension(6, b"123")},
        {},
    ]
    module = answering(tmp_path / "mp.wasm", *map(pack, values))
    assert run(module, "f", *[{}] * len(values), event_format="msgpack") == values


def test_msgpack_that_is_no_map_or_has_no_end_is_dropped_alone(tmp_path):
    answers = [
        msgpack.packb({"a": 1}),
        msgpack.packb([1, 2]),
        msgpack.packb("text"),
        b"\x81\xa1a\xc1",
        b"\x81\xa1a\xdd\xff\xff\xff\xff",
    ]
    context = FakeContext()
    module = answering(tmp_path / "mp.wasm", *answers)
    found = run(module, "f", *[{}] * len(answers), event_format="msgpack", context=context)
    assert found == [{"a": 1}]
    assert context.dropped == [(4, "wasm function returned no record")]


# The whole agent


def test_nothing_is_lost_over_traps_loops_and_drops(kit, tmp_path):
    """A smaller form of bench/faults: a trap on each tenth record, two loops, and some that are dropped by intent."""
    moods = ["trap" if n % 10 == 0 else "drop" if n % 7 == 0 else "x" for n in range(1000)]
    moods[300] = moods[700] = "loop"
    lines = [json.dumps({"a": mood, "n": n}) for n, mood in enumerate(moods)]
    configuration = tmp_path / "a.conf"
    configuration.write_text(
        "[SERVICE]\n flush 0.2\n grace 1\n[INPUT]\n name stdin\n tag t\n"
        f"[FILTER]\n name wasm\n match *\n wasm_path {kit}\n function_name moody\n time_limit 0.05\n"
        f"[OUTPUT]\n name file\n match *\n path {tmp_path}\n file out.txt\n format plain\n"
    )
    done = agent(configuration, data="\n".join(lines).encode())
    assert done.returncode == 0, done.stderr.decode()
    out = [json.loads(line)["n"] for line in Path(tmp_path, "out.txt").read_text().splitlines()]
    assert out == [n for n, mood in enumerate(moods) if mood != "drop"]
