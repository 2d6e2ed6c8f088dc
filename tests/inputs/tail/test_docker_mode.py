"""Lines that Docker split become one again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.inputs.tail.docker_mode import DockerJoiner, DockerRules, ends_line, find_log
from tailrace.inputs.tail.joining import Keys

NOW = 10**18


def joined(*lines, first=None, parser=None, ignore_older=0, flush=True):
    rules = DockerRules(first, parser, Keys("log", "", ""), 10**9, ignore_older)
    joiner = DockerJoiner(rules, "/x")
    events = joiner.feed(lines, list(range(len(lines))), NOW)
    bodies = events.bodies + (joiner.flush(NOW).bodies if flush else [])
    return bodies, joiner


def test_pieces_are_joined_in_the_last_ones_object():
    bodies, _ = joined(
        '{"log":"one, ","t": 1}', '{"log":"t\\"wo\\"\\r\\n","t":  2}', '{"log":"three\\n","t":3}'
    )
    assert [body["log"] for body in bodies] == [
        '{"log":"one, t\\"wo\\"\\r\\n","t":  2}',
        '{"log":"three\\n","t":3}',
    ]


def test_the_parser_sees_the_joined_line(regex_parser):
    parser = regex_parser('"log":"(?P<text>[^"]*)"')
    bodies, _ = joined('{"log":"a"}', '{"log":"b\\n"}', parser=parser)
    assert bodies == [{"text": "ab\\n"}]


def test_a_first_line_parser_joins_whole_lines_too(regex_parser):
    lines = [f'{{"log":"{text}\\n"}}' for text in ("START 1", " at x", "START 2", " at y", " at z")]
    bodies, _ = joined(*lines, first=regex_parser('"START'))
    assert [json.loads(body["log"])["log"] for body in bodies] == [
        "START 1\n at x\n",
        "START 2\n at y\n at z\n",
    ]


def test_a_line_that_is_no_docker_line_ends_what_is_held():
    bodies, _ = joined('{"log":"half"}', "plain", '{"other":1}')
    assert [body["log"] for body in bodies] == ['{"log":"half"}', "plain", '{"other":1}']


def test_what_is_held_is_known_by_its_first_line():
    _, joiner = joined('{"log":"a\\n"}', '{"log":"b"}', '{"log":"c"}', flush=False)
    assert joiner.held_from == 1
    joiner.flush(NOW)
    assert joiner.held_from is None


def test_events_older_than_ignore_older_are_left_out(regex_parser):
    parser = regex_parser('"t":(?P<time>[0-9]+)')
    lines = ['{"log":"a\\n","t":5}', '{"log":"b\\n","t":999999999}']
    assert len(joined(*lines, parser=parser, ignore_older=10**10)[0]) == 1


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (r"a\n", True),
        (r"a\\n", False),
        (r"a\\\n", True),
        ("n", False),
        (r"\u000a", True),
        ("", False),
        (r"\\\\n", False),
    ],
)
def test_an_escaped_line_feed_ends_a_line(text, ends):
    assert ends_line(text) == ends


@given(
    st.dictionaries(
        st.sampled_from(["log", "stream", "x"]),
        st.recursive(st.text() | st.integers() | st.none(), st.lists),
    )
)
def test_the_text_of_log_is_found_wherever_it_stands(body):
    line = json.dumps(body)
    place = find_log(line)
    if isinstance(body.get("log"), str):
        assert json.loads('"' + line[place[0] : place[1]] + '"') == body["log"]
    else:
        assert place is None


@given(st.text(alphabet='{}[]",:\\ logn1\n'))
def test_any_text_is_a_docker_line_or_not(text):
    place = find_log("{" + text)
    assert place is None or 0 < place[0] <= place[1]
