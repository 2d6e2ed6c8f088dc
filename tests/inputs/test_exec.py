"""The input exec."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import ConfigError
from tailrace.inputs.exec import pieces, split_lines
from tailrace.testing import EPOCH_NS, FakeContext, make_parser, make_plugin, run_input


def bodies_of(chunks):
    return [body for chunk in chunks for body in chunk.bodies]


def test_each_line_is_a_record_also_the_empty_and_the_unended_one():
    chunks = run_input("exec", r"oneshot on" "\n" r"command printf 'one\n\ntwo  x \nend'", until=4)
    assert [body["exec"] for body in bodies_of(chunks)] == ["one", "", "two  x ", "end"]


def test_the_command_runs_again_each_interval():
    context = FakeContext()
    chunks = run_input("exec", "interval_sec 5\ncommand echo x", until=3, context=context)
    assert len(bodies_of(chunks)) == 3
    assert [round(seconds) for seconds in context.clock.slept[:3]] == [5, 5, 5]


@pytest.mark.parametrize(("command", "code"), [("exit 42", 42), ("kill -9 $$", 137), ("true", 0)])
def test_the_agent_ends_with_the_commands_exit_code_where_asked_for(command, code):
    context = FakeContext()
    section = f"exit_after_oneshot on\npropagate_exit_code on\ncommand echo x; {command}"

    async def during(plugin):
        while context.exit_code is None:
            await asyncio.sleep(0.005)

    run_input("exec", section, context=context, during=during)
    assert context.exit_code == code


def test_the_agent_ends_well_where_the_code_is_not_asked_for():
    context = FakeContext()

    async def during(plugin):
        while context.exit_code is None:
            await asyncio.sleep(0.005)

    run_input("exec", "exit_after_oneshot on\ncommand echo; exit 3", context=context, during=during)
    assert context.exit_code == 0


def test_a_parser_gives_body_and_time_and_drops_what_it_refuses():
    parser = make_parser("name p\nformat json\ntime_key t\ntime_format %s")
    context = FakeContext(parsers={"p": parser})
    section = 'oneshot on\nparser p\ncommand printf \'{"t":"5","a":1}\\nplain\\n{"b":2}\\n\''
    [chunk] = run_input("exec", section, until=2, context=context)
    assert (chunk.bodies, chunk.times) == ([{"a": 1}, {"b": 2}], [5_000_000_000, EPOCH_NS])
    assert context.dropped == [(1, "not parsed")]


def test_a_long_line_comes_in_pieces():
    section = "oneshot on\nbuf_size 5\ncommand echo 0123456789; echo ab"
    chunks = run_input("exec", section, until=4)
    assert [body["exec"] for body in bodies_of(chunks)] == ["0123", "4567", "89", "ab"]


@given(lines=st.lists(st.text(max_size=9)), cut=st.integers(0, 60), most=st.integers(1, 9))
def test_where_the_output_is_cut_makes_no_difference(lines, cut, most):
    data = "".join(line.replace("\n", "") + "\n" for line in lines).encode()
    first, rest = split_lines(data[:cut], most)
    second, rest = split_lines(rest + data[cut:], most)
    assert rest == b""
    assert b"".join(first + second) == data.replace(b"\n", b"")
    assert all(len(line) <= max(most, 1) for line in first + second)


def test_pieces_do_not_cut_a_character():
    assert [piece.decode() for piece in pieces("aéé".encode(), 4)] == ["aé", "é"]


def test_what_the_command_started_ends_with_the_input(tmp_path):
    path = tmp_path / "pid"
    section = f"oneshot on\ncommand (sleep 60 & echo $! > {path}; echo ready; wait)"
    run_input("exec", section, until=1)
    process = int(path.read_text())
    for _ in range(200):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        if "\nState:\tZ" in Path(f"/proc/{process}/status").read_text():
            return
        time.sleep(0.01)
    pytest.fail("the command's child still runs")


@pytest.mark.parametrize("section", ["propagate_exit_code on", "buf_size 1"])
def test_what_can_not_work_is_an_error(section):
    with pytest.raises(ConfigError):
        make_plugin("input", "exec", f"command true\n{section}")


def test_a_stop_while_a_command_can_not_be_started_is_a_stop(monkeypatch):
    async def scenario():
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def refuse(*args, **more):
            begun.set()
            await go_on.wait()
            raise OSError(11, "no more processes")

        monkeypatch.setattr(asyncio, "create_subprocess_shell", refuse)
        plugin = make_plugin("input", "exec", "oneshot on\ncommand true")
        running = asyncio.ensure_future(plugin.run(None))
        async with asyncio.timeout(10):
            await begun.wait()
            running.cancel()
            await asyncio.sleep(0)
            go_on.set()
            await asyncio.wait({running}, timeout=2)
        ended = running.cancelled()
        running.cancel()
        return ended

    assert asyncio.run(scenario())


def test_without_its_parser_lines_stay_unparsed_with_a_warning():
    context = FakeContext()
    section = "oneshot on\ncommand echo x\nparser none"
    chunks = run_input("exec", section, until=1, context=context)
    assert bodies_of(chunks) == [{"exec": "x"}]
    assert "Lines stay unparsed" in context.sink.messages[0][1]
