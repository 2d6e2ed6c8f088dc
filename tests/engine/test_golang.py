"""Plugins in Go: the C interface with a stand-in in C, and real plugins built with the published binding."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tailrace.engine import external
from tailrace.engine.golang import LibraryError, load
from tailrace.plugin import Reject, Retry
from tailrace.testing import FakeContext, chunk_of, make_plugin
from tailrace.wire.msgpack import encode_events

HERE = Path(__file__).parent / "golang"
ROOT = Path(__file__).parents[2]
CC = shutil.which("cc") or shutil.which("gcc")
needs_cc = pytest.mark.skipif(CC is None, reason="there is no C compiler")


def compile_c(path, source, *flags):
    subprocess.run([CC, "-shared", "-fPIC", *flags, "-o", path, source], check=True, timeout=50)
    return path


@pytest.fixture(scope="module")
def like_go(tmp_path_factory):
    folder = tmp_path_factory.mktemp("like_go")
    for name, flags in (("like_go", ()), ("plain_go", ("-DPLAIN",))):
        flags = ("-DPROXY=11", f'-DNAME="{name.title()}"', *flags)
        assert load(compile_c(folder / f"{name}.so", HERE / "like_go.c", *flags)) == name


def flushed(tmp_path, options, bodies=({"a": 1},), context=None, name="like_go"):
    """Start the stand-in, flush one chunk, stop; gives the bytes it wrote."""
    path = tmp_path / "out"

    async def scenario():
        plugin = make_plugin("output", name, f"path {path}\n{options}", context)
        await plugin.start()
        try:
            await plugin.flush(chunk_of(list(bodies)))
        finally:
            await plugin.stop()

    asyncio.run(scenario())
    return path.read_bytes()


@needs_cc
@pytest.mark.parametrize("name", ["like_go", "plain_go"])
def test_a_chunk_is_handed_over_as_the_original_encodes_it(like_go, tmp_path, name):
    chunk = chunk_of([{"a": 1}, {"s": "x\0y"}])
    expected = encode_events(chunk.times, None, chunk.bodies)
    assert flushed(tmp_path, "match *", chunk.bodies, name=name) == expected + b"exit"


@needs_cc
@pytest.mark.parametrize(("answer", "raised"), [(0, Reject), (2, Retry), (7, Reject)])
def test_what_flush_returns_is_the_result(like_go, tmp_path, answer, raised):
    with pytest.raises(raised):
        flushed(tmp_path, f"answer {answer}")


@needs_cc
def test_the_plugin_can_write_to_the_log(like_go, tmp_path):
    context = FakeContext()
    flushed(tmp_path, "", context=context)
    assert ("info", "[test.0] hello from C") in context.sink.messages


@needs_cc
def test_a_slow_flush_holds_up_nobody_else(like_go, tmp_path):
    async def scenario():
        plugin = make_plugin("output", "like_go", f"path {tmp_path / 'out'}\ndelay 300")
        await plugin.start()
        flush = asyncio.ensure_future(plugin.flush(chunk_of([{"a": 1}])))
        turns = 0
        while not flush.done():
            await asyncio.sleep(0.01)
            turns += 1
        await plugin.stop()
        return turns

    assert asyncio.run(scenario()) > 5


@needs_cc
def test_as_many_workers_flush_at_once_as_were_asked_for(like_go, tmp_path):
    async def scenario(workers):
        plugin = make_plugin(
            "output", "like_go", f"path {tmp_path / 'out'}\ndelay 200\nworkers {workers}"
        )
        await plugin.start()
        start = time.monotonic()
        await asyncio.gather(*(plugin.flush(chunk_of([{"a": 1}])) for _ in range(3)))
        took = time.monotonic() - start
        await plugin.stop()
        return took

    assert asyncio.run(scenario(1)) >= 0.6 > asyncio.run(scenario(3))


@needs_cc
def test_a_plugin_that_does_not_initialize_is_an_error(like_go):
    async def scenario():
        await make_plugin("output", "like_go", "").start()

    with pytest.raises(Exception, match="did not initialize"):
        asyncio.run(scenario())


@needs_cc
@pytest.mark.parametrize(
    ("source", "flags", "said"),
    [
        ("int x;", (), "FLBPluginRegister"),
        ((HERE / "like_go.c").read_text(), ("-DPROXY=1", '-DNAME="x"'), "only Go"),
        ("int FLBPluginRegister(void *def) { return -1; }", (), "failed"),
    ],
)
def test_a_shared_object_that_is_no_go_plugin_is_refused(tmp_path, source, flags, said):
    (tmp_path / "x.c").write_text(source)
    with pytest.raises(LibraryError, match=said):
        load(compile_c(tmp_path / "x.so", tmp_path / "x.c", *flags))


def test_a_file_that_is_no_shared_object_is_a_problem_with_its_place(tmp_path):
    from tailrace.config.errors import Place, Problems
    from tailrace.config.source import Entry

    (tmp_path / "x.so").write_text("no ELF")
    problems = Problems()
    external.load_plugins([Entry("path", "x.so", Place("c.conf", 3))], tmp_path, problems)
    assert "c.conf:3" in str(problems.errors[0])
    assert "can't be used" in str(problems.errors[0])


# Real plugins


@pytest.fixture(scope="session")
def go_plugins(tmp_path_factory):
    """`recorder.so` and `ticker.so`. The first build on a machine takes a minute or two."""
    go = shutil.which("go")
    if go is None or CC is None:
        pytest.skip("there is no Go compiler")
    folder = tmp_path_factory.mktemp("go")
    for name in ("recorder", "ticker"):
        done = subprocess.run(
            [go, "build", "-buildmode=c-shared", "-o", folder / f"{name}.so", f"./{name}"],
            cwd=HERE,
            env={**os.environ, "CGO_ENABLED": "1"},
            capture_output=True,
            text=True,
        )
        if any(word in done.stderr for word in ("dial tcp", "lookup ", "module lookup disabled")):
            pytest.skip("the Go binding can't be fetched here")
        assert done.returncode == 0, done.stderr
    return folder


CONFIG = """
service: {{flush: 0.2, grace: 2, scheduler.base: 1, scheduler.cap: 1}}
plugins: ['{folder}/recorder.so', '{folder}/ticker.so']
pipeline:
  inputs:
    - {{name: dummy, tag: t, samples: 1, dummy: '{{"a": 1, "s": "é"}}', start_time_sec: 1600000000, fixed_timestamp: on}}
    - {{name: ticker, tag: k, word: hello}}
  outputs:
    - {{name: recorder, match: '*', path: '{folder}/one', name_of_it: one}}
    - {{name: recorder, match: t, path: '{folder}/two', name_of_it: two, answers: r, take_signals: 'yes'}}
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_real_plugins_run_in_the_agent_and_signals_still_end_it(go_plugins, number):
    (go_plugins / "c.yaml").write_text(CONFIG.format(folder=go_plugins))
    for name in ("one", "two"):
        (go_plugins / name).unlink(missing_ok=True)
    with subprocess.Popen(
        [sys.executable, "-c", "from tailrace.cli.main import main; main()", "-c", "c.yaml"],
        cwd=go_plugins,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as agent:
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            lines = [
                (go_plugins / name).read_text().splitlines()
                for name in ("one", "two")
                if (go_plugins / name).exists()
            ]
            if len(lines) == 2 and len(lines[0]) >= 5 and len(lines[1]) >= 2:
                break
            time.sleep(0.1)
        agent.send_signal(number)
        _, log = agent.communicate(timeout=20)
    assert agent.returncode == 0, log
    one = (go_plugins / "one").read_text().splitlines()
    two = (go_plugins / "two").read_text().splitlines()
    assert 'one 1 t 1600000000.000000000 {"a":1,"s":"é"}' in one
    ticks = [line for line in one if " k " in line]
    assert ticks[:2] == [
        f'one 1 k 1700000000.000000005 {{"call":1,"part":{part},"word":"hello"}}' for part in (0, 1)
    ]
    assert 'one 1 k 1700000000.000000005 {"call":3,"part":1,"word":"hello"}' in ticks
    assert one[-1] == "one exit"
    assert [line.split()[1] for line in two] == ["2", "1", "exit"]
    assert "cleaned" in log
    assert "no MessagePack event" in log
