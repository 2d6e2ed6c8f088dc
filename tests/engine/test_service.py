"""The options of the service section."""

import pytest

from tailrace.config.errors import ConfigError, Place, Problems
from tailrace.config.source import Section
from tailrace.engine.build import read_service
from tailrace.engine.service import read_buffer_limit
from tailrace.plugin.log import Level
from tailrace.testing import entries_of


def service(text):
    """The options of a section and what is wrong with it."""
    problems = Problems()
    section = Section("service", Place("f"), entries_of(text))
    return read_service(section, problems), list(problems)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("", "flush", 1.0),
        ("Flush 0.5", "flush", 0.5),
        ("grace -1", "grace", -1),
        ("log_level DEBUG", "log_level", Level.DEBUG),
        ("http_server on", "http_server", True),
        ("", "http_listen", "127.0.0.1"),
        ("scheduler.base 3", "scheduler_base", 3.0),
        ("hot_reload.timeout 7", "hot_reload_timeout", 7.0),
        ("storage.backlog.mem_limit 5M", "storage_backlog_mem_limit", 5_000_000),
        ("storage.rejected.limit 1k", "storage_rejected_limit", 1_000),
        ("storage.rejected.limit false", "storage_rejected_limit", 0),
        ("json.escape_unicode off", "json_escape_unicode", False),
        ("json_escape_unicode off", "json_escape_unicode", False),
        ("parsers_file a\nparsers_file b", "parsers_file", ["a", "b"]),
    ],
)
def test_a_key_is_read_into_its_option(text, name, value):
    options, problems = service(text)
    assert problems == []
    assert getattr(options, name) == value


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("log_level loud", "'loud'"),
        ("flush soon", "'soon'"),
        ("grace x", "'x'"),
        ("storage.type disk", "disk"),
        ("storage.sync often", "often"),
        ("multiline_buffer_limit big", "'big'"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(text, what):
    _, [problem] = service(f"grace 1\n{text}" if "grace" not in text else f"\n{text}")
    assert what in problem.what
    assert problem.place == Place("test.conf", 2)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("100", 100),
        ("2k", 2048),
        ("2K", 2048),
        ("2MB", 2 << 20),
        ("64KiB", 64 << 10),
        ("1g", 1 << 30),
        (" 5m ", 5 << 20),
        ("100b", 100),
    ],
)
def test_a_buffer_limit_counts_in_units_of_1024(text, size):
    assert read_buffer_limit(text) == size


@pytest.mark.parametrize(
    "text", ["", "m", "2mm", "-1", "1.5m", "2 x", "²", "b", "2kmg", "9" * 5000]
)
def test_what_is_no_buffer_limit_says_how_to_write_one(text):
    with pytest.raises(ConfigError, match=r"is no size.*as: 2M"):
        read_buffer_limit(text)


def test_an_unknown_key_is_a_warning_that_does_not_stop_the_agent():
    options, problems = service("flsh 1\nflush 2")
    assert options.flush == 2.0
    (problem,) = problems
    assert problem.severity == "warning"
    assert "no option 'flsh'" in problem.what
    assert "flush" in problem.mend


@pytest.mark.parametrize("value", ["0", "0s"])
def test_an_interval_of_nothing_is_an_error(value):
    options, problems = service(f"flush {value}")
    assert options is None
    assert "flush" in str(problems[0])


@pytest.mark.parametrize(
    ("text", "exit_code"), [("storage.sync often", 255), ("storage.checksum maybe", 1)]
)
def test_the_exit_code_of_a_mistake_is_that_of_fluent_bit(text, exit_code):
    [problem] = service(text)[1]
    assert problem.exit_code == exit_code


@pytest.mark.parametrize(
    ("key", "value", "attribute", "taken"),
    [
        ("grace", "x", "grace", 0),
        ("daemon", "maybe", "daemon", False),
        ("json.escape_unicode", "1", "json_escape_unicode", True),
        ("multiline_buffer_limit", "much", "multiline_buffer_limit", 2 << 20),
        ("dns.mode", "FOO", "dns_mode", ""),
    ],
)
def test_an_odd_value_starts_as_in_fluent_bit_and_is_told(key, value, attribute, taken):
    options, problems = service(f"{key} {value}")
    assert getattr(options, attribute) == taken
    [problem] = problems
    assert problem.severity == "warning"
    assert f"'{value}'" in problem.what


@pytest.mark.parametrize("line", ["storage.type filesystm", "storage.inherit 1", "flush never"])
def test_a_value_whose_default_would_lose_data_is_an_error(line):
    _, problems = service(line)
    assert [problem.severity for problem in problems] == ["error"]
