"""One connection of the input forward, fed with whatever somebody may send."""

import gzip
import struct
from itertools import pairwise

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from tailrace.inputs.forward.session import Session
from tailrace.model import LOGS, METRICS, Group
from tailrace.model.metrics import Metric, MetricKind, MetricSet, Sample
from tailrace.net.acceptor import Acceptor, AcceptSettings
from tailrace.testing import EPOCH_NS, FakeContext, make_plugin
from tailrace.wire import cmetrics
from tailrace.wire.msgpack import encode_events
from tests.inputs.forward.server import pack


class Transport:
    """Takes what is written, as long as it is open."""

    def __init__(self):
        self.written = b""
        self.is_closed = False

    def write(self, data):
        self.written += data

    def close(self):
        self.is_closed = True

    abort = close

    def is_closing(self):
        return self.is_closed

    def pause_reading(self):
        pass

    resume_reading = pause_reading

    def get_extra_info(self, name):
        return ("192.0.2.1", 5) if name == "peername" else None

    def get_write_buffer_size(self):
        return 0


def session(section="buffer_max_size 4000\nbuffer_chunk_size 1000"):
    plugin = make_plugin("input", "forward", section, FakeContext("forward.0"))
    plugin.acceptor = Acceptor(lambda: None, plugin.context.log, AcceptSettings())
    made = Session(plugin)
    made.connection_made(Transport())
    return made


def chunks_of(made):
    found = []
    made.owner.inflow.drain(found.append)
    return found


EVENT_TIME = msgpack.ExtType(0, struct.pack(">II", 1700000000, 5))
METRIC = Metric(MetricKind.GAUGE, "g", samples=[Sample((), 5.0, EPOCH_NS)])
ENTRIES = pack([1, {"n": 1}], [[EVENT_TIME, {"k": 1}], {"b": b"\xff", "l": [1.5, None, {}]}])
GROUPED = encode_events([1, 2], None, [{}, {"n": 1}], [Group({"schema": "otlp"}, {})] * 2)
VALID = [
    pack(["t", 1, {"n": 1}]),
    pack(["t", EVENT_TIME, {"ä": "ö"}, {"chunk": "c", "metadata": {"k": 1}}]),
    pack(["u", [[1.5, {}], [[2, {}], {"n": 2}]], {"chunk": b"d"}]),
    pack(["t", ENTRIES, {"size": 2, "chunk": "e"}]),
    pack(["t", ENTRIES]),
    pack(["t", gzip.compress(ENTRIES), {"compressed": "gzip"}]),
    pack(["t", GROUPED, {"size": 4}]),
    pack(["m", cmetrics.encode(MetricSet([METRIC])), {"fluent_signal": 1}]),
    pack(None),
]


def test_valid_messages_are_all_taken():
    made = session()
    made.data_received(b"".join(VALID))
    found = chunks_of(made)
    assert sum(len(chunk.bodies) for chunk in found if chunk.kind is LOGS) == 12
    assert sum(chunk.kind is METRICS for chunk in found) == 1
    assert made.owner.context.dropped == []
    assert not made.transport.is_closed


@given(
    st.lists(st.sampled_from(VALID) | st.binary(max_size=20), max_size=5),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.lists(st.integers(0, 2000), max_size=3),
)
def test_nothing_that_somebody_sends_does_harm(parts, changes, cuts):
    data = bytearray(b"".join(parts))
    for place, value in changes:
        if data:
            data[place % len(data)] = value
    made = session()
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(places):
        made.data_received(bytes(data[start:end]))
    made.connection_lost(None)
    for chunk in chunks_of(made):
        if chunk.kind is LOGS:
            count = chunk.count
            assert len(chunk.bodies) == len(chunk.times) == count
            assert chunk.metadata is None or len(chunk.metadata) == count
            assert chunk.groups is None or len(chunk.groups) == count


@given(st.binary(max_size=60))
def test_nothing_but_the_key_lets_anybody_in(data):
    made = session("shared_key s3cret")
    made.data_received(data)
    made.data_received(VALID[0])
    made.connection_lost(None)
    assert chunks_of(made) == []
