"""Sizes of events as MessagePack, found without writing them all."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Chunk, Group
from tailrace.model.metrics import MetricKind, MetricSet, metrics_chunk
from tailrace.wire.cmetrics import encode
from tailrace.wire.msgpack import encode_events
from tailrace.wire.packed import decode_packed
from tailrace.wire.size import groups_shown, packed_size

SECOND = 1_000_000_000
leaves = st.none() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False) | st.text()
bodies = st.dictionaries(st.text(max_size=4), leaves | st.lists(leaves, max_size=3), max_size=3)
times = st.integers(0, 0xFFFFFFFD * SECOND)


@given(st.lists(st.tuples(times, bodies, bodies), max_size=16))
def test_the_size_of_a_few_events_is_that_of_their_encoding(rows):
    times, metadata, given_bodies = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    chunk = Chunk("t", times, given_bodies, metadata)
    assert packed_size(chunk) == len(encode_events(times, metadata, given_bodies))


@given(st.lists(st.tuples(bodies, st.integers(0, 2)), max_size=16))
def test_the_marks_of_groups_are_part_of_the_size(rows):
    groups = [None, Group({"schema": "otlp"}, {"resource": {}}), Group({}, {"scope": "x" * 40})]
    chunk = Chunk("t", [0] * len(rows), [row[0] for row in rows])
    chunk.groups = [groups[row[1]] for row in rows]
    encoded = encode_events(chunk.times, None, chunk.bodies, chunk.groups)
    assert packed_size(chunk) == len(encoded)


def test_the_size_of_lines_is_measured_without_decoding():
    lines = ["a", "é" * 40, "x" * 300]
    chunk = Chunk.of_lines("t", [0] * 3, "log", lines, 400)
    size = packed_size(chunk)
    assert not chunk.decoded
    assert size == len(encode_events([0] * 3, None, [{"log": line} for line in lines]))


def test_the_size_of_many_events_is_estimated():
    bodies = [{"n": number, "text": "x" * (number % 7)} for number in range(1000)]
    chunk = Chunk("t", [0] * 1000, bodies)
    exact = len(encode_events([0] * 1000, None, bodies))
    assert abs(packed_size(chunk) - exact) < exact * 0.05


def test_padding_is_part_of_the_size_of_each_event():
    chunk = Chunk("t", [0, 0], [{"n": 1}, {"n": 2}])
    chunk.padding = 4
    assert packed_size(chunk) == 2 * (17 + 4)


def test_padding_of_packed_events_counts_too():
    packed = encode_events([0, 0], None, [{"n": 1}, {"n": 2}])
    chunk = Chunk.of_packed("t", packed, 2, decode_packed)
    chunk.padding = 4
    assert packed_size(chunk) == 2 * (17 + 4)


def test_what_has_no_size_as_messagepack_counts_with_its_raw_size():
    body: dict = {}
    body["self"] = body
    assert packed_size(Chunk("t", [0], [body], nbytes=9)) == 9


@given(st.lists(st.text("aé\n"), min_size=40, max_size=60).map("".join))
def test_a_block_is_measured_without_being_split(text):
    block = (text + "\n" * 40).encode()
    lines = block.decode().split("\n")
    chunk = Chunk.of_block("t", [0] * len(lines), "log", block)
    exact = len(encode_events([0] * len(lines), None, [{"log": line} for line in lines]))
    assert abs(packed_size(chunk) - exact) <= 2 * len(lines)
    assert chunk._lines is None


def test_metrics_have_the_size_of_their_encoding():
    metrics = MetricSet()
    metrics.metric(MetricKind.COUNTER, "n", "d", ("k",)).add(1, 1, ("a",))
    metrics.metric(MetricKind.COUNTER, "m", "d").add(1, 1)
    size = packed_size(metrics_chunk("t", metrics))
    assert size == len(encode(metrics)) + 8


def test_large_groups_do_not_multiply_what_came_in():
    small, large = Group({}, {"r": "x" * 10}), Group({}, {"r": "x" * (1 << 20)})
    groups = [*[small] * 1000, None, *[large] * 40, *[small] * 1000, large]
    shown = groups_shown(groups)
    assert shown == [*[small] * 1000, None, large, *[None] * 39, *[small] * 1000, large]
    assert groups.count(large) == 41


def test_groups_of_usual_size_are_shown_as_they_are():
    groups = [Group({}, {"r": number}) for number in range(2) for _ in range(500)]
    assert groups_shown(groups) is groups
