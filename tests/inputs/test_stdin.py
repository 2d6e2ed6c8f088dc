"""The input stdin."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace.testing import EPOCH_NS, FakeContext, make_parser, run_input

SECOND = 1_000_000_000
MORE_THAN_COMES = 1_000_000


@pytest.fixture
def read_all(tmp_path, monkeypatch):
    """Chunks of the input when these bytes are all of standard input."""
    path = tmp_path / "stdin"

    def read(data, section="", context=None):
        path.write_bytes(data)
        with path.open() as source:
            monkeypatch.setattr("sys.stdin", source)
            context = context or FakeContext("stdin.0")
            return run_input("stdin", section, until=MORE_THAN_COMES, context=context)

    return read


def bodies_of(chunks):
    return [body for chunk in chunks for body in chunk.bodies]


def test_objects_come_in_order_with_the_present_time(read_all):
    [chunk] = read_all(b'{"n":1}\n{"n":2}{"n":3}\n')
    assert chunk.bodies == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert chunk.times == [EPOCH_NS] * 3


def test_events_bring_their_own_time_and_metadata(read_all):
    [chunk] = read_all(b'[1.5,{"n":1}]\n[[2,{"m":0}],{"n":2}]\n')
    assert chunk.times == [3 * SECOND // 2, 2 * SECOND]
    assert chunk.metadata == [{}, {"m": 0}]


def test_an_object_may_span_lines_and_need_no_last_newline(read_all):
    assert bodies_of(read_all(b'{"a":\n1}\n{"b":2}')) == [{"a": 1}, {"b": 2}]


def test_a_line_that_is_no_json_leaves_its_neighbours_alone(read_all):
    context = FakeContext()
    chunks = read_all(b'{"n":1}\nno json\n{"n":2}\n', context=context)
    assert bodies_of(chunks) == [{"n": 1}, {"n": 2}]
    assert [level for level, _ in context.sink.messages] == ["warn"]


def test_values_that_are_no_records_are_passed_over_and_told(read_all):
    context = FakeContext()
    assert bodies_of(read_all(b'7\n{"n":1}\n"x"\n', context=context)) == [{"n": 1}]
    [(_, message)] = context.sink.messages
    assert message.endswith("2 values are no records and are dropped")
    assert context.dropped == [(2, "unreadable")]


def test_what_is_cut_off_at_the_end_is_told(read_all):
    context = FakeContext()
    assert bodies_of(read_all(b'{"n":1}\n{"n":', context=context)) == [{"n": 1}]
    [(_, message)] = context.sink.messages
    assert "the last 5 bytes are no whole JSON" in message
    assert context.dropped == [(1, "unreadable")]


def test_a_parser_reads_lines_and_leaves_out_what_does_not_match(read_all):
    parser = make_parser("name word\nformat regex\nregex ^(?<word>[a-z]+)$")
    context = FakeContext(parsers={"word": parser})
    chunks = read_all(b"one\r\n2\n\nthree", "parser word", context)
    assert bodies_of(chunks) == [{"word": "one"}, {"word": "three"}]
    assert context.dropped == [(1, "not parsed")]


def test_the_end_of_input_ends_the_agent(read_all):
    context = FakeContext()
    read_all(b"", context=context)
    assert context.exit_code == 0


def test_a_record_that_comes_in_pieces_is_joined(monkeypatch):
    reading, writing = os.pipe()
    context = FakeContext()

    async def send(plugin):
        for piece in (b'{"a"', b":1}\n"):
            os.write(writing, piece)
            for _ in range(10):
                await context.clock.sleep(0)

    with os.fdopen(reading) as source, os.fdopen(writing, "wb"):
        monkeypatch.setattr("sys.stdin", source)
        chunks = run_input("stdin", "", context=context, during=send)
    assert bodies_of(chunks) == [{"a": 1}]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.binary(max_size=80) | st.text('{}[]",:1\n', max_size=40).map(str.encode))
def test_any_bytes_end_the_input_in_peace(read_all, data):
    context = FakeContext()
    assert all(type(body) is dict for body in bodies_of(read_all(data, context=context)))
    assert context.exit_code == 0
