"""Names with an address."""

import pytest

from tailrace.config.address import split_address, with_address
from tailrace.config.errors import Place, Problems
from tailrace.config.source import Entry, Section
from tailrace.testing import entries_of


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("tcp", ("tcp", "", "", "")),
        ("tcp://h", ("tcp", "h", "", "")),
        ("tcp://h:5170", ("tcp", "h", "5170", "")),
        ("es://10.0.0.1:9200/index/type", ("es", "10.0.0.1", "9200", "/index/type")),
        ("http://h/a:b?c=d", ("http", "h", "", "/a:b?c=d")),
        ("http://[::1]:80/", ("http", "::1", "80", "/")),
        ("://h", ("://h", "", "", "")),
        ("tcp://", ("tcp://", "", "", "")),
    ],
)
def test_a_name_may_hold_an_address(name, parts):
    assert split_address(name) == parts


def addressed(name, known, text=""):
    place, problems = Place("test", 1), Problems()
    entry = Entry("name", name, place)
    section = with_address(
        Section("output", place, [entry, *entries_of(text)]), entry, known, problems, "output x"
    )
    found = {each.name: each.value for each in section if each.name != "name"}
    return found, [problem.severity for problem in problems]


def test_an_address_becomes_options():
    assert addressed("http://h:8/u", ["host", "port", "uri"]) == (
        {"host": "h", "port": "8", "uri": "/u"},
        [],
    )


def test_an_input_listens_there():
    assert addressed("tcp://h:8", ["listen", "host", "port"])[0] == {"listen": "h", "port": "8"}


def test_what_the_section_says_counts_more():
    assert addressed("tcp://h:8", ["host", "port"], "port 9")[0] == {"host": "h", "port": "9"}


def test_a_path_that_has_no_option_is_warned_of():
    assert addressed("tcp://h:8/u", ["host", "port"])[1] == ["warning"]
    assert addressed("tcp://h:8/", ["host", "port"])[1] == []
