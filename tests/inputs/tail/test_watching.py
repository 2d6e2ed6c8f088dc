"""Changes as inotify reports them."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any


def play(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def append(path, text):
    with open(path, "a") as file:
        file.write(text)


def test_lines_are_read_as_they_are_written(tailing, log):
    async def scenario():
        log.write_text("")
        async with tailing(f"path {log}", notified=True) as tail:
            for number in range(3):
                append(log, f"line {number}\n")
                await tail.wait_for(number + 1)
            assert tail.lines == ["line 0", "line 1", "line 2"]

    play(scenario)


def test_a_new_file_is_found_without_waiting_for_the_refresh(tailing, tmp_path):
    async def scenario():
        async with tailing(f"path {tmp_path}/*.log", notified=True) as tail:
            (tmp_path / "other.txt").write_text("no\n")
            (tmp_path / "new.log").write_text("yes\n")
            await tail.wait_for(1)
            (tmp_path / "part").write_text("moved in\n")
            (tmp_path / "part").rename(tmp_path / "moved.log")
            await tail.wait_for(2)
            assert tail.lines == ["yes", "moved in"]

    play(scenario)


def test_rotation_is_noticed_at_once(tailing, log, tmp_path):
    async def scenario():
        log.write_text("one\n")
        async with tailing(f"path {log}\nread_from_head on", notified=True) as tail:
            log.rename(tmp_path / "in.log.1")
            log.write_text("two\n")
            await tail.wait_for(2)
            append(tmp_path / "in.log.1", "late\n")
            await tail.wait_for(3)
            assert sorted(tail.lines) == ["late", "one", "two"]

    play(scenario)


def test_truncation_is_noticed_though_the_new_content_is_longer(tailing, log):
    async def scenario():
        log.write_text("one\n")
        async with tailing(f"path {log}\nread_from_head on", notified=True) as tail:
            await tail.wait_for(1)
            log.write_text("something longer\n")
            await tail.wait_for(2)
            assert tail.lines == ["one", "something longer"]

    play(scenario)


def test_what_inotify_does_not_report_is_found_by_looking(tailing, log):
    async def scenario():
        log.write_text("")
        async with tailing(f"path {log}", notified=True) as tail:
            [file] = tail.plugin._follower.files.values()
            tail.plugin._follower.watcher.remove(file)
            append(log, "unnoticed\n")
            await tail.passes(5)
            assert tail.lines == ["unnoticed"]

    play(scenario)


def test_after_an_overflow_everything_is_looked_at(tailing, tmp_path):
    async def scenario():
        old, new = tmp_path / "old.log", tmp_path / "new.log"
        old.write_text("")
        async with tailing(f"path {tmp_path}/*.log", notified=True) as tail:
            follower = tail.plugin._follower
            follower.watcher.remove(next(iter(follower.files.values())))
            append(old, "missed\n")
            os.link(old, tmp_path / "x")
            new.write_text("found\n")
            follower.on_overflow()
            await tail.idle()
            assert sorted(tail.lines) == ["found", "missed"]

    play(scenario)
