import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.testing import make_parser

TIMED = "time_key t\ntime_format %Y-%m-%dT%H:%M:%S.%L%z"


def parse(section, *lines):
    return make_parser(f"name p\nformat json\n{section}").parse(lines)


def test_each_line_is_one_object():
    found = parse("", '{"a":1}', '{"b":[1.5,null,{"c":"x"}]}', " {} ")
    assert found.bodies == [{"a": 1}, {"b": [1.5, None, {"c": "x"}]}, {}]
    assert found.times == [None] * 3


@pytest.mark.parametrize(
    "line", ["", "x", "[1]", "1", '"a"', '{"a":1', '{"a":1} x', "{'a':1}", '{"a":NaN}']
)
def test_what_is_no_object_does_not_parse_and_harms_no_neighbour(line):
    assert parse("", '{"n":1}', line, '{"n":2}').bodies == [{"n": 1}, None, {"n": 2}]


def test_of_a_repeated_key_the_last_value_counts():
    assert parse("", '{"a":1,"b":2,"a":3}').bodies[0]["a"] == 3


def test_large_integers_become_floats_and_bad_text_keeps_its_bytes():
    found = parse("", '{"a":123456789012345678901}', '{"a":"x\udcff"}', '{"a":"\\ud83d"}')
    assert found.bodies == [{"a": 1.2345678901234568e20}, {"a": "x\udcff"}, {"a": "\ufffd"}]


@pytest.mark.parametrize(
    ("section", "left"), [("", {"n": 1}), ("time_keep on", {"t": "2020-01-02T03:04:05.5Z", "n": 1})]
)
def test_the_time_is_taken_from_its_field(section, left):
    found = parse(f"{TIMED}\n{section}", '{"t":"2020-01-02T03:04:05.5Z","n":1}')
    assert (found.times, found.bodies) == ([1577934245_500000000], [left])


@pytest.mark.parametrize("line", ['{"t":"soon"}', '{"t":5}', '{"t":null}', '{"n":1}'])
def test_a_bad_time_is_none_and_stays(line):
    found = parse(TIMED, line)
    assert (found.times, found.bodies) == ([None], [json.loads(line)])


def test_types_and_decoders_are_applied():
    found = parse("decode_field_as json log", '{"log":"{\\"a\\":1}"}')
    assert found.bodies == [{"log": {"a": 1}}]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.text('aé\n"\\', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(bodies=st.lists(st.dictionaries(st.text("ab", max_size=2), VALUES, max_size=3), max_size=5))
def test_what_was_written_is_read(bodies):
    assert parse("", *map(json.dumps, bodies)).bodies == bodies


@given(lines=st.lists(st.binary(max_size=20), max_size=6))
def test_any_bytes_give_a_body_or_none_for_each_line(lines):
    texts = [line.replace(b"\n", b"").decode("utf-8", "surrogateescape") for line in lines]
    found = parse(TIMED, *texts)
    assert len(found.bodies) == len(found.times) == len(texts)
    assert all(body is None or type(body) is dict for body in found.bodies)


@given(
    lines=st.lists(
        st.sampled_from(['{"a":1}', '{"a"', "x", "", '{"b":{}}', ",", "]", "{}"]), max_size=6
    )
)
def test_a_line_gives_the_same_alone_and_among_others(lines):
    assert parse("", *lines).bodies == [parse("", line).bodies[0] for line in lines]
