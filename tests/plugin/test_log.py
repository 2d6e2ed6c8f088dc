"""The agent's own log."""

import io
import re
from pathlib import Path

import pytest

from tailrace.plugin import log as module
from tailrace.plugin.log import CACHE_ENTRIES, LEVELS, Level, Log, LogSink
from tailrace.testing import ListSink

METHODS = ["error", "warn", "info", "debug", "trace"]


def say_all(log):
    for name in METHODS:
        getattr(log, name)(f"{name} it is")


def levels_written(sink):
    return [level for level, _ in sink.messages]


@pytest.fixture
def clock(monkeypatch):
    """The time for repeated messages, to be set by the test."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def sink(tmp_path):
    """A sink that writes to a file."""
    made = LogSink(path=str(tmp_path / "log"))
    yield made
    made._file.close()


def text_of(sink):
    return Path(sink.path).read_text()


def test_a_line_has_time_level_name_and_message(sink):
    Log(sink, "input:tail:tail.0").info("inode=42")
    pattern = (
        r"\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3}\] \[ info\] \[input:tail:tail.0\] inode=42\n"
    )
    assert re.fullmatch(pattern, text_of(sink))


@pytest.mark.parametrize("level", list(Level))
def test_a_level_lets_through_itself_and_what_is_graver(level):
    sink = ListSink()
    sink.level = level
    say_all(Log(sink))
    assert levels_written(sink) == METHODS[:level]


def test_an_instance_may_have_a_level_of_its_own():
    sink = ListSink()
    sink.level = Level.ERROR
    say_all(Log(sink).named("a", Level.WARN))
    assert levels_written(sink) == ["error", "warn"]


def test_off_is_a_level_of_its_own_too():
    sink = ListSink()
    say_all(Log(sink).named("a", Level.OFF))
    assert sink.messages == []


def test_every_level_has_a_name():
    assert set(LEVELS.values()) == set(Level)
    assert LEVELS["warning"] is LEVELS["warn"]


def test_a_repeated_message_is_held_back_for_its_time(clock):
    sink = ListSink()
    log = Log(sink, suppress_seconds=10)
    for moment in (0, 5, 9.9, 10, 15):
        clock[0] = moment
        log.warn("the same again")
    assert len(sink.messages) == 2


def test_messages_that_begin_alike_count_as_one_and_others_do_not(clock):
    sink = ListSink()
    log = Log(sink, suppress_seconds=10)
    log.warn("can't connect to host, attempt 1")
    log.warn("can't connect to host, attempt 2")
    log.warn("another matter")
    assert len(sink.messages) == 2


def test_the_memory_of_messages_is_bounded(clock):
    log = Log(ListSink(), suppress_seconds=10)
    for number in range(CACHE_ENTRIES * 3):
        log.warn(f"{number} is new")
    assert len(log._seen) <= CACHE_ENTRIES


def test_listeners_hear_every_line_written():
    heard = []
    sink = LogSink()
    sink._file = io.StringIO()
    sink.listeners.append(lambda time, level, message: heard.append((level, message)))
    log = Log(sink, "a")
    log.info("heard")
    log.debug("not written")
    assert heard == [("info", "[a] heard")]


def test_a_reopened_log_follows_its_path(sink, tmp_path):
    Log(sink).info("old")
    Path(sink.path).rename(tmp_path / "moved")
    sink.reopen()
    Log(sink).info("new")
    assert text_of(sink).endswith("new\n")
    assert "new" not in (tmp_path / "moved").read_text()


def test_a_log_that_can_not_be_written_does_not_end_the_agent(sink):
    sink._file.close()
    Log(sink).error("into nothing")


def test_text_that_is_no_utf8_is_written_all_the_same(sink):
    Log(sink).info("bad \udcff byte")
    assert text_of(sink).endswith("bad \\udcff byte\n")


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_colors_unless_it_refuses_them(monkeypatch, no_color):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    sink = LogSink()
    Log(sink).error("red")
    assert ("\x1b[" in sink._file.getvalue()) is not no_color


def test_a_prefix_stands_before_every_message(capsys):
    sink = LogSink()
    sink.prefix = "[engine 1] "
    Log(sink, "input:tail:tail.0").info("x")
    assert "[ info] [engine 1] [input:tail:tail.0] x" in capsys.readouterr().err
