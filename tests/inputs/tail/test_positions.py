"""Positions over restarts: what is settled is not read again, what is not is, and nothing is left out."""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tailrace.config import ConfigError
from tailrace.inputs.tail.marker import marker_of


def play(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def append(path, text):
    with open(path, "a") as file:
        file.write(text)


def rows(db):
    with sqlite3.connect(db) as connection:
        found = connection.execute(
            "SELECT name, offset, inode, rotated, offset_marker, offset_marker_size FROM in_tail_files"
        ).fetchall()
    connection.close()
    return found


@pytest.fixture
def db(tmp_path):
    return tmp_path / "pos.db"


@pytest.fixture
def section(log, db):
    return f"path {log}\ndb {db}\nread_from_head on"


def test_reading_goes_on_where_it_stopped(tailing, log, section, db):
    async def scenario():
        log.write_text("one\ntwo\nha")
        async with tailing(section) as first:
            pass
        append(log, "lf\n")
        async with tailing(section) as second:
            pass
        assert (first.lines, second.lines) == (["one", "two"], ["half"])

    play(scenario)
    inode = log.stat().st_ino
    assert rows(db) == [(str(log), 13, inode, 0, marker_of(b"one\ntwo\nhalf\n"), 13)]


def test_what_was_not_delivered_is_read_again_after_a_crash(tailing, log, section, db):
    async def scenario():
        log.write_text("one\ntwo\n")
        async with tailing(section, settles=False) as first:
            append(log, "three\n")
            await first.passes(1)
            assert first.lines == ["one", "two", "three"]
            assert rows(db)[0][1] == 0
        async with tailing(section) as second:
            assert second.lines == first.lines

    play(scenario)


def test_a_position_never_passes_what_is_still_under_way(tailing, log, section, db):
    async def scenario():
        log.write_text("one\n")
        async with tailing(section, settles=False) as tail:
            for line in ("two\n", "three\n"):
                append(log, line)
                await tail.passes(0.25)
            first, second, third = tail.receipts
            offsets = []
            for receipt in (second, third, first):
                receipt.release()
                await tail.passes(0.5)
                offsets.append(rows(db)[0][1])
            assert offsets == [0, 0, 14]

    play(scenario)


def test_settled_receipts_are_committed_in_time_even_without_an_orderly_end(tailing, log, section):
    async def scenario():
        log.write_text("one\n")
        tail = await tailing(section).__aenter__()
        await tail.passes(0.5)
        append(log, "two\n")
        await tail.passes(0.25)
        await tail.kill()
        async with tailing(section) as again:
            assert again.lines == ["two"]

    play(scenario)


def test_a_new_file_is_known_to_the_database_before_anything_is_delivered(tailing, log, db):
    async def scenario():
        section = f"path {log}\ndb {db}"
        first = await tailing(section, settles=False).__aenter__()
        log.write_text("one\n")
        await first.passes(1.25)
        assert first.lines == ["one"]
        await first.kill()
        async with tailing(section) as second:
            assert second.lines == ["one"]

    play(scenario)


def test_a_file_that_was_empty_is_read_from_its_head_though_new_ones_are_not(tailing, log, db):
    async def scenario():
        section = f"path {log}\ndb {db}"
        log.write_text("")
        async with tailing(section):
            pass
        log.write_text("written while stopped\n")
        async with tailing(section) as tail:
            assert tail.lines == ["written while stopped"]

    play(scenario)


@pytest.mark.parametrize("new", ["new\n", "other content, longer than before\n", "xxx\nyyy\n"])
def test_a_file_rewritten_while_stopped_is_read_from_its_head(tailing, log, section, new):
    async def scenario():
        log.write_text("one\ntwo\n")
        async with tailing(section):
            pass
        log.write_text(new)
        async with tailing(section) as tail:
            assert tail.lines == new.splitlines()

    play(scenario)


def test_a_file_whose_head_has_changed_is_another_file(tailing, log, section):
    async def scenario():
        same = "same\n" * 20
        log.write_text("first\n" + same)
        async with tailing(section):
            pass
        log.write_text("other\n" + same + "more\n")
        async with tailing(section) as tail:
            assert tail.lines == ["other", *["same"] * 20, "more"]

    play(scenario)


def test_files_renamed_while_stopped_are_not_read_twice(tailing, tmp_path, db):
    async def scenario():
        section = f"path {tmp_path}/in.log*\ndb {db}\nread_from_head on"
        log = tmp_path / "in.log"
        log.write_text("one\n")
        async with tailing(section):
            pass
        append(log, "two\n")
        log.rename(tmp_path / "in.log.1")
        log.write_text("three\n")
        async with tailing(section) as tail:
            assert sorted(tail.lines) == ["three", "two"]

    play(scenario)


def test_the_rest_of_a_file_rotated_away_while_stopped_is_read(tailing, log, section, db, tmp_path):
    async def scenario():
        log.write_text("one\n")
        async with tailing(f"{section}\npath_key p\ntag t.*"):
            pass
        append(log, "two\n")
        log.rename(tmp_path / "in.log-2024")
        log.write_text("three\n")
        async with tailing(f"{section}\npath_key p\ntag t.*") as tail:
            assert sorted(tail.lines) == ["three", "two"]
            assert {body["p"] for body in tail.bodies} == {str(log)}
            assert len({chunk.tag for chunk in tail.chunks}) == 1
            await tail.passes(4)
        assert [row[0] for row in rows(db)] == [str(log)]

    play(scenario)


def test_a_file_rotated_away_keeps_its_row_until_everything_is_settled(
    tailing, log, section, db, tmp_path
):
    async def scenario():
        log.write_text("one\n")
        async with tailing(section, settles=False) as tail:
            log.rename(tmp_path / "gone")
            await tail.passes(6)
            assert len(rows(db)) == 1
            tail.receipts[0].release()
            await tail.passes(1)
            assert rows(db) == []

    play(scenario)


def test_rows_of_deleted_files_go_at_the_next_start(tailing, tmp_path, section, log, db):
    async def scenario():
        log.write_text("one\n")
        async with tailing(section):
            pass
        log.unlink()
        (tmp_path / "keeps the inode from being used again").write_text("")
        async with tailing(section):
            pass
        assert rows(db) == []

    play(scenario)


def test_rows_of_files_that_another_input_follows_stay(tailing, tmp_path, db):
    async def scenario():
        for name in "ab":
            (tmp_path / name).write_text(f"{name}\n")
            async with tailing(f"path {tmp_path}/{name}\ndb {db}\nread_from_head on") as tail:
                assert tail.lines == [name]
        async with tailing(f"path {tmp_path}/a\ndb {db}\nread_from_head on") as tail:
            assert tail.lines == []

    play(scenario)


def test_two_inputs_share_a_locked_database(tailing, tmp_path, db):
    async def scenario():
        for name in "ab":
            (tmp_path / name).write_text(f"{name}\n")
        tail = f"db {db}\nread_from_head on\ndb.locking on\npath {tmp_path}"
        async with tailing(f"{tail}/a") as one, tailing(f"{tail}/b") as other:
            assert (one.lines, other.lines) == (["a"], ["b"])
        assert sorted(row[1] for row in rows(db)) == [2, 2]

    play(scenario)


def test_with_compare_filename_another_name_is_another_file(tailing, tmp_path, db):
    async def scenario():
        section = f"path {tmp_path}/*.log\ndb {db}\nread_from_head on\ndb.compare_filename on"
        (tmp_path / "a.log").write_text("one\n")
        async with tailing(section):
            pass
        (tmp_path / "a.log").rename(tmp_path / "b.log")
        async with tailing(section) as tail:
            assert tail.lines == ["one"]
        assert [os.path.basename(row[0]) for row in rows(db)] == ["b.log"]

    play(scenario)


def test_a_database_of_an_older_fluent_bit_is_carried_on(tailing, log, section, db):
    async def scenario():
        log.write_text("one\ntwo\n")
        with sqlite3.connect(db) as connection:
            connection.execute(
                "CREATE TABLE in_tail_files (id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
                " offset INTEGER, inode INTEGER, created INTEGER, rotated INTEGER DEFAULT 0)"
            )
            connection.execute(
                "INSERT INTO in_tail_files (name, offset, inode, created) VALUES (?, 4, ?, 1)",
                (str(log), log.stat().st_ino),
            )
        connection.close()
        async with tailing(section) as tail:
            assert tail.lines == ["two"]

    play(scenario)


def test_a_locked_database_delays_positions_and_loses_none(tailing, log, section, db):
    async def scenario():
        log.write_text("one\n")
        async with tailing(section) as tail:
            await tail.passes(1)
            other = sqlite3.connect(db, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            append(log, "two\n")
            await tail.passes(1.5)
            assert rows(db)[0][1] == 4
            other.execute("COMMIT")
            other.close()
            await tail.passes(1)
            assert rows(db)[0][1] == 8
            told = [text for level, text in tail.context.sink.messages if level == "error"]
            assert len(told) == 1

    play(scenario)


def test_a_compressed_file_that_was_read_is_not_read_again(tailing, tmp_path, db):
    import gzip

    async def scenario():
        path = tmp_path / "a.gz"
        path.write_bytes(gzip.compress(b"one\ntwo\n"))
        section = f"path {path}\ndb {db}\nread_from_head on"
        async with tailing(section) as first:
            await first.passes(1)
        with open(path, "ab") as file:
            file.write(gzip.compress(b"three\n"))
        async with tailing(section) as second:
            pass
        assert (first.lines, second.lines) == (["one", "two"], ["three"])

    play(scenario)


def test_a_compressed_file_goes_on_at_what_was_settled(tailing, tmp_path, db):
    import gzip

    async def scenario():
        path = tmp_path / "a.gz"
        path.write_bytes(gzip.compress(b"one\ntwo\n"))
        section = f"path {path}\ndb {db}\nread_from_head on\nbuffer_chunk_size 4"
        async with tailing(section, settles=False) as first:
            assert first.lines == ["one", "two"]
            first.receipts[0].release()
        async with tailing(section) as second:
            assert second.lines == ["two"]

    play(scenario)


def test_an_event_that_is_held_back_is_read_again_from_its_first_line(
    tailing, log, section, regex_parser, db
):
    from tailrace.testing import FakeContext

    def context():
        return FakeContext("tail.0", parsers={"first": regex_parser(r"^START (?P<msg>.*)$")})

    joined = f"{section}\nmultiline on\nparser_firstline first"

    async def scenario():
        log.write_text("START a\n b\nSTART c\n d\n")
        async with tailing(joined, context=context()) as first:
            assert first.bodies == [{"msg": "a\n b"}]
        assert rows(db)[0][1] == len("START a\n b\n")
        append(log, " e\nSTART f\n")
        async with tailing(joined, context=context()) as second:
            assert second.bodies == [{"msg": "c\n d\n e"}]

    play(scenario)


def test_a_long_line_whose_end_was_not_seen_is_read_again(tailing, log, section, db):
    async def scenario():
        limits = f"{section}\nbuffer_chunk_size 16\nbuffer_max_size 16"
        log.write_text("a\n" + "L" * 50)
        async with tailing(limits) as first:
            assert first.lines == ["a", "L" * 15]
        assert rows(db)[0][1] == 2
        append(log, "\nb\n")
        async with tailing(limits) as second:
            assert second.lines == ["L" * 15, "b"]
        assert rows(db)[0][1] == 55

    play(scenario)


@pytest.mark.parametrize("content", [None, b"no database at all, just some text"])
def test_a_database_that_cannot_be_used_is_an_error(tailing, tmp_path, log, content):
    path = tmp_path / "no" / "pos.db" if content is None else tmp_path / "pos.db"
    if content is not None:
        path.write_bytes(content * 50)

    async def scenario():
        with pytest.raises(ConfigError, match=r"pos\.db"):
            await tailing(f"path {log}\ndb {path}").__aenter__()

    play(scenario)
