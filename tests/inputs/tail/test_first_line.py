"""The older way of joining lines."""

import pytest

from tailrace.inputs.tail.first_line import FirstLineJoiner, FirstLineRules
from tailrace.inputs.tail.joining import Keys

NOW = 10**18
SECOND = 10**9


@pytest.fixture
def joined(regex_parser):
    """A function from lines to bodies: `N TEXT` starts an event, `k=v` is taken by a second parser."""

    def run(*lines, path_key="", ignore_older=0):
        rules = FirstLineRules(
            first=regex_parser(r"^(?P<time>\d+) (?P<msg>.*)$"),
            more=[regex_parser(r"^user=(?P<user>.*)$"), regex_parser(r"^id=(?P<id>\d+)$")],
            keys=Keys("log", path_key, ""),
            flush_ns=4 * SECOND,
            ignore_older_ns=ignore_older,
        )
        joiner = FirstLineJoiner(rules, "/x")
        events = joiner.feed(lines, list(range(len(lines))), NOW)
        rest = joiner.flush(NOW)
        return events.bodies + rest.bodies, events.times + rest.times

    return run


def test_other_lines_are_added_to_the_last_key(joined):
    bodies, times = joined("1 a", " b", "", "c", "2 d")
    assert bodies == [{"msg": "a\n b\n\nc"}, {"msg": "d"}]
    assert times == [SECOND, 2 * SECOND]


def test_keys_of_further_parsers_are_added_in_their_order(joined):
    bodies, _ = joined("1 a", "user=ann", "id=3", "more", path_key="p")
    assert [list(body.items()) for body in bodies] == [
        [("p", "/x"), ("msg", "a"), ("user", "ann"), ("id", "3\nmore")]
    ]


def test_of_a_key_found_twice_the_later_value_counts(joined):
    assert joined("1 a", "user=ann", "id=1", "user=bob")[0] == [
        {"msg": "a", "id": "1", "user": "bob"}
    ]


def test_lines_before_the_first_are_events_of_their_own(joined):
    assert joined("lead", "user=x", "1 a")[0] == [{"log": "lead"}, {"user": "x"}, {"msg": "a"}]


def test_events_older_than_ignore_older_are_left_out_with_their_lines(joined):
    bodies, _ = joined("5 old", "more", "999999999 new", ignore_older=100 * SECOND)
    assert bodies == [{"msg": "new"}]
