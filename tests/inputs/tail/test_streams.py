import asyncio
import sqlite3
from dataclasses import replace

import pytest

from tailrace.config.errors import ConfigError
from tailrace.inputs.tail.joining import Keys
from tailrace.inputs.tail.streams import StreamJoiner, StreamRules
from tailrace.plugin.multiline import built_in
from tailrace.testing import FakeContext, make_plugin

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def joiner(*names, keys=None, limit=0, cuts=None):
    rules = StreamRules(
        [built_in(name) for name in names],
        keys or Keys("log", "", ""),
        4 * SECOND,
        limit,
        lambda: cuts.append(1),
        lambda name: None,
    )
    return StreamJoiner(rules, "/x.log")


def test_what_may_go_on_is_held_from_its_first_line():
    join = joiner("java")
    events = join.feed(["a", "b.Error: x", "\tat y"], [0, 2, 13], NOW)
    assert events.bodies == [{"log": "a\n"}]
    assert join.held_from == 2
    assert join.due_ns == NOW + 4 * SECOND
    events = join.feed(["c"], [19], NOW + SECOND)
    assert events.bodies == [{"log": "b.Error: x\n\tat y\n"}, {"log": "c\n"}]
    assert join.held_from is None


def test_path_and_offset_stand_after_the_text_and_are_those_of_the_first_line():
    join = joiner("java", keys=Keys("log", "file", "at"))
    events = join.feed(["b.Error: x", "\tat y", "c"], [5, 16, 22], NOW)
    assert [list(body.items()) for body in events.bodies] == [
        [("log", "b.Error: x\n\tat y\n"), ("file", "/x.log"), ("at", 5)],
        [("log", "c\n"), ("file", "/x.log"), ("at", 22)],
    ]


def test_a_stream_that_waits_is_given_out_without_the_others():
    join = joiner("cri")
    join.feed(["2022-03-04T05:06:07Z stdout P old "], [0], NOW)
    join.feed(["2022-03-04T05:06:07Z stderr P new "], [40], NOW + 3 * SECOND)
    assert join.due_ns == NOW + 4 * SECOND
    events = join.flush_due(NOW + 4 * SECOND)
    assert [body["log"] for body in events.bodies] == ["old "]
    assert join.held_from == 40
    assert join.due_ns == NOW + 7 * SECOND
    assert [body["log"] for body in join.flush(NOW).bodies] == ["new "]
    assert join.held_from is None


def test_what_is_cut_is_counted():
    cuts = []
    events = joiner("java", limit=10, cuts=cuts).feed(["x" * 30], [0], NOW)
    assert events.metadata == [{"multiline_truncated": True}]
    assert cuts == [1]


# Through the input

OLD = "2022-03-04T05:06:07Z stdout P old "
NEW = "2022-03-04T05:06:08Z stderr P new "
END = "2022-03-04T05:06:09Z stderr F end"


def context():
    return FakeContext(
        "tail.0",
        multiline_parsers={name: built_in(name) for name in ("java", "cri")},
        service={"multiline_buffer_limit": 40},
    )


def position(db):
    with sqlite3.connect(db) as connection:
        [(offset,)] = connection.execute("SELECT offset FROM in_tail_files").fetchall()
    connection.close()
    return offset


def append(path, text):
    with open(path, "a") as file:
        file.write(text)


def test_lines_are_joined_file_by_file_and_given_out_when_no_more_come(tailing, tmp_path):
    async def scenario():
        for name in "ab":
            (tmp_path / f"{name}.log").write_text(f"{name}.Error: x\n")
        section = f"path {tmp_path}/*.log\nread_from_head on\nmultiline.parser java"
        async with tailing(section, context=context()) as tail:
            for name in "ab":
                append(tmp_path / f"{name}.log", f"\tat {name}\n")
            await tail.passes(3.5)
            assert tail.lines == []
            await tail.passes(2)
            assert sorted(tail.lines) == ["a.Error: x\n\tat a\n", "b.Error: x\n\tat b\n"]
            assert len({chunk.stream for chunk in tail.chunks}) == 2

    asyncio.run(scenario())


def test_the_position_stays_before_what_one_stream_still_holds(tailing, log, tmp_path):
    async def scenario():
        section = f"path {log}\ndb {tmp_path / 'pos.db'}\nread_from_head on\nmultiline.parser cri"
        log.write_text(f"{OLD}\n")
        async with tailing(section, context=context()) as first:
            await first.passes(3)
            append(log, f"{NEW}\n")
            await first.passes(2)
            assert first.lines == ["old "]
            assert position(tmp_path / "pos.db") < len(OLD) + 2
            await first.kill()
        append(log, f"{END}\n")
        async with tailing(section, context=context()) as second:
            assert "new end" in second.lines

    asyncio.run(scenario())


def test_what_is_cut_at_the_limit_is_counted_in_the_metrics(tailing, log):
    async def scenario():
        log.write_text("a.Error: x\n\tat " + "y" * 60 + "\nend\n")
        section = f"path {log}\nread_from_head on\nmultiline.parser java"
        async with tailing(section, context=context()) as tail:
            assert tail.metadata == [{"multiline_truncated": True}, {}]
            assert tail.counted("multiline_truncated") == 1
            assert tail.lines[1] == "end\n"

    asyncio.run(scenario())


def test_a_multiline_parser_that_is_not_there_or_is_odd_is_told():
    with pytest.raises(ConfigError, match="nosuch"):
        make_plugin("input", "tail", "path x\nmultiline.parser nosuch", context())
    odd = context()
    odd.multiline_parsers["odd"] = replace(built_in("java"), warning="it is odd")
    make_plugin("input", "tail", "path x\nmultiline.parser odd", odd)
    assert ("warn", "[tail.0] it is odd") in odd.sink.messages
    odd.multiline_parsers["odd"] = replace(built_in("java"), flush_ms=100)
    with pytest.raises(ConfigError, match="too short"):
        make_plugin("input", "tail", "path x\nmultiline.parser odd", odd)
