"""What is called right at a glance is right."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tailrace.config.errors import Problems
from tailrace.config.source import Place, Section
from tailrace.plugin.parsing import make_parser
from tailrace.plugin.plain_parser import is_plain
from tailrace.testing import entries_of


def section_of(text):
    return Section("parser", Place("p.conf", 1, 1), entries_of(text))


APACHE = r'^(?<host>\S+) (?<user>[^ ]*) \[(?<time>[^\]]+)\] "(?<method>\S+)(?: +(?<path>[^"]*))?" (\d{3})$'


@pytest.mark.parametrize(
    "section",
    [
        "name a\nformat json",
        "name a\nformat JSON\ntime_key time\ntime_format %Y-%m-%dT%H:%M:%S.%L%z\ntime_keep On",
        f"name a\nformat regex\nregex {APACHE}\ntypes code:integer size:float",
        "name a\nformat ltsv\ntime_format [%d/%b/%Y:%H:%M:%S %z]\ntime_key t\ntime_offset +0200",
    ],
)
def test_usual_parsers_can_wait(section):
    assert is_plain(section_of(section))


@pytest.mark.parametrize(
    "section",
    [
        "format json",
        "name a",
        "name a\nformat yaml",
        "name a\nformat regex",
        "name a\nformat json\nregex (?<a>x)",
        "name a\nformat regex\nregex (?<a>x",
        "name a\nformat regex\nregex (?<a>x)(?<a>y)",
        "name a\nformat regex\nregex (?<a>\\h+)",
        "name a\nformat regex\nregex (?<a>[[:alpha:]]+)",
        "name a\nformat json\ntime_format %Q",
        "name a\nformat json\ntypes a:number",
        "name a\nformat json\nno_such_option 1",
        "name a\nformat json\ntime_keep maybe",
        "name a\nformat json\nformat json",
    ],
)
def test_what_is_wrong_or_unusual_is_looked_at(section):
    assert not is_plain(section_of(section))


PIECES = [*r"ab0 .*+?|()[]{}^$\-:,<>dswS", "(?<a>", "(?:", "\\d", "[^ ]*"]
regexes = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
SIGNS = ["%Y", "%m", "%d", "%H", "%S", "%L", "%z", "%b", "%T", " ", "-", "a"]
formats = st.lists(st.sampled_from(SIGNS), min_size=1, max_size=8).map("".join)


@settings(max_examples=300)
@given(regexes.filter(str.strip), formats.filter(str.strip))
@example("(?<a>[^ ]*) a{2,1}", "%Y")
@example("(?<a>a{,5})", "%Y")
@example("(?<a>)b**", "%Y")
@example("[a[^ ]*", "%L%L")
def test_what_is_plain_makes_a_parser(regex, time_format):
    section = section_of(
        f"name p\nformat regex\nregex {regex.strip()}\ntime_key t\ntime_format {time_format.strip()}"
    )
    if is_plain(section):
        problems = Problems()
        assert make_parser(section, problems) is not None, list(map(str, problems))
