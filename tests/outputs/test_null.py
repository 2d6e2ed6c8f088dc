"""The output null."""

import asyncio

import pytest

from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk, Decoded
from tailrace.testing import FakeContext, chunk_of, make_plugin, run_output


def flush(chunk):
    asyncio.run(make_plugin("output", "null").flush(chunk))


def test_a_chunk_counts_as_delivered():
    assert run_output("null", "match *", {"n": 1}, {"n": 2}) is None


@pytest.mark.parametrize("signal", [LOGS, METRICS, TRACES, PROFILES])
def test_it_takes_every_signal(signal):
    assert signal in make_plugin("output", "null").handles


def test_a_payload_is_not_looked_into():
    payload = object()
    chunk = Chunk.of_payload("t", METRICS, payload, 3, 100)
    flush(chunk)
    assert (chunk.payload, chunk.count) == (payload, 3)


def test_raw_lines_are_not_decoded():
    chunk = Chunk.of_lines("t", [1], "log", ["a"], 1)
    flush(chunk)
    assert not chunk.decoded


def test_packed_events_are_not_decoded():
    def never(packed, count):
        raise AssertionError("decoded")

    chunk = Chunk.of_packed("t", b"\x90", 1, never)
    flush(chunk)
    assert chunk.packed == b"\x90"


def test_it_prints_nothing(capfdbinary):
    flush(chunk_of([{"n": 1}]))
    assert capfdbinary.readouterr() == (b"", b"")


@pytest.mark.parametrize("form", ["msgpack", "json", "json_lines", "json_stream"])
def test_a_format_is_encoded_before_it_is_thrown_away(form):
    chunk = Chunk.of_packed("t", b"\x90", 1, lambda packed, count: Decoded([1], None, [{"n": 1}]))
    asyncio.run(make_plugin("output", "null", f"format {form}").flush(chunk))
    assert chunk.decoded


def test_an_unknown_format_is_reported_and_counts_as_msgpack():
    context = FakeContext("null.0")
    chunk = Chunk.of_packed("t", b"\x90", 1, lambda packed, count: Decoded([1], None, [{"n": 1}]))
    asyncio.run(make_plugin("output", "null", "format xml", context=context).flush(chunk))
    assert chunk.decoded
    [(level, message)] = context.sink.messages
    assert level == "error"
    assert "xml" in message
