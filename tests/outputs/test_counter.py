"""The output counter."""

import asyncio
import json

import pytest

from tailrace.model import Chunk, Group
from tailrace.testing import EPOCH_NS, chunk_of, make_plugin, run_output
from tailrace.wire.msgpack import encode_events
from tailrace.wire.packed import decode_packed


def test_a_flush_is_one_line_with_its_events(capsys):
    run_output("counter", "", {"a": 1}, {"a": 2})
    line = capsys.readouterr().out
    assert line.endswith(',"serialized_events":2,"log_records":2,"total":2}\n')
    assert json.loads(line)["ts"] == EPOCH_NS // 1_000_000_000


def test_marks_of_groups_are_serialized_events_but_no_log_records(capsys):
    one, other = Group({}, {"resource": {}}), Group({}, {"scope": {}})
    chunk = chunk_of([{"n": number} for number in range(4)])
    chunk.groups = [one, one, None, other]
    plugin = make_plugin("output", "counter")
    asyncio.run(plugin.flush(chunk))
    packed = encode_events(chunk.times, None, chunk.bodies, chunk.groups)
    asyncio.run(plugin.flush(Chunk.of_packed("t", packed, 4, decode_packed)))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["serialized_events"] for line in lines] == [8, 8]
    assert [json.loads(line)["log_records"] for line in lines] == [4, 4]


def test_packed_events_without_groups_stay_packed(capsys):
    packed = encode_events([1, 2], None, [{}, {}])
    chunk = Chunk.of_packed("t", packed, 2, lambda data, count: pytest.fail("decoded"))
    asyncio.run(make_plugin("output", "counter").flush(chunk))
    assert json.loads(capsys.readouterr().out)["total"] == 2
