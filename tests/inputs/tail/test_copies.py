"""Copies of followed files, as rotation makes them, are not read twice and lose nothing."""

import asyncio
import gzip
import shutil
from collections.abc import Callable, Coroutine
from typing import Any

import pytest


def play(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def lines(first, last):
    return [
        f"line {number} of a log that is long enough to be known again"
        for number in range(first, last)
    ]


def write(path, first, last, mode="a"):
    with open(path, mode) as file:
        file.writelines(f"{line}\n" for line in lines(first, last))


def compress(path):
    """What gzip does: a new file, then the old one is gone."""
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


@pytest.fixture
def section(log, tmp_path):
    return f"path {log}*\nread_from_head on\ndb {tmp_path}/pos.db"


def test_what_copytruncate_took_away_unread_is_read_from_the_copy(tailing, log, section):
    async def scenario():
        write(log, 0, 20)
        async with tailing(section) as tail:
            write(log, 20, 30)
            shutil.copy(log, f"{log}.1")
            write(log, 30, 35, "w")
            await tail.passes(3)
            assert sorted(tail.lines) == sorted(lines(0, 35))

    play(scenario)


def test_a_copy_waits_until_its_original_is_truncated(tailing, log, section):
    async def scenario():
        write(log, 0, 20)
        async with tailing(section) as tail:
            shutil.copy(log, f"{log}.1")
            await tail.passes(5)
            assert tail.lines == lines(0, 20)
            write(log, 20, 25, "w")
            await tail.passes(2)
            assert sorted(tail.lines) == sorted(lines(0, 25))

    play(scenario)


def test_what_is_under_way_when_a_file_is_truncated_is_read_again_from_the_copy(
    tailing, log, section
):
    async def scenario():
        write(log, 0, 20)
        first = await tailing(section, settles=False).__aenter__()
        shutil.copy(log, f"{log}.1")
        await first.passes(1.5)
        write(log, 20, 25, "w")
        await first.passes(2)
        await first.kill()
        async with tailing(section) as second:
            assert sorted(second.lines) == sorted(lines(0, 25))

    play(scenario)


def test_a_copy_whose_original_goes_on_is_read_in_the_end(tailing, log, section):
    async def scenario():
        write(log, 0, 20)
        async with tailing(section) as tail:
            shutil.copy(log, f"{log}.1")
            await tail.passes(35)
            assert tail.lines == lines(0, 20) * 2

    play(scenario)


@pytest.mark.parametrize("count", [1, 50])
def test_a_new_file_that_is_only_named_like_another_is_read(tailing, log, section, tmp_path, count):
    async def scenario():
        write(log, 0, 20)
        async with tailing(section) as tail:
            write(tmp_path / "in.log.audit", 100, 100 + count)
            await tail.passes(3)
            assert tail.lines == lines(0, 20) + lines(100, 100 + count)

    play(scenario)


def test_a_rotated_file_that_is_compressed_is_not_read_again(tailing, log, section, tmp_path):
    async def scenario():
        write(log, 0, 5000)
        async with tailing(section) as tail:
            await tail.passes(1)
            log.rename(tmp_path / "in.log.1")
            write(tmp_path / "in.log.1", 5000, 5010)
            write(log, 6000, 6005)
            await tail.passes(1.5)
            compress(tmp_path / "in.log.1")
            await tail.passes(10)
            assert sorted(tail.lines) == sorted(lines(0, 5010) + lines(6000, 6005))
            assert len(tail.plugin._follower.files) == 2

    play(scenario)


def test_a_copy_made_while_stopped_is_read_on_where_the_original_was(tailing, log, section):
    async def scenario():
        write(log, 0, 30)
        async with tailing(section):
            pass
        write(log, 30, 40)
        shutil.copy(log, f"{log}.1")
        write(log, 50, 55, "w")
        async with tailing(section) as tail:
            assert sorted(tail.lines) == sorted(lines(30, 40) + lines(50, 55))

    play(scenario)


def test_a_file_compressed_while_stopped_is_read_on_where_the_original_was(
    tailing, log, section, tmp_path
):
    async def scenario():
        write(log, 0, 3000)
        async with tailing(section):
            pass
        write(log, 3000, 3010)
        log.rename(tmp_path / "in.log.1")
        compress(tmp_path / "in.log.1")
        write(log, 4000, 4002)
        async with tailing(section) as tail:
            assert sorted(tail.lines) == sorted(lines(3000, 3010) + lines(4000, 4002))

    play(scenario)


def test_a_truncation_that_came_before_everything_was_read_is_told(tailing, log, regex_parser):
    async def scenario():
        write(log, 0, 20)
        async with tailing(f"path {log}\nread_from_head on\nbuffer_chunk_size 200") as tail:
            [file] = tail.plugin._follower.files.values()
            write(log, 20, 60)
            limits = tail.plugin._event_limits
            file.take(limits)
            write(log, 60, 61, "w")
            await tail.passes(1)
            assert any(
                "lost" in text for level, text in tail.context.sink.messages if level == "error"
            )

    play(scenario)
