"""What is encoded as OTLP protobuf is decoded to the same, whatever it is."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Chunk
from tailrace.wire.otlp.decode_logs import LogKeys, decode_logs
from tailrace.wire.otlp.encode_logs import LogEncoder
from tailrace.wire.otlp.log_requests import Limits, log_requests
from tests.wire.otlp.test_protobuf import keys, values

TIMES = st.integers(1, 2**63)
# A key that is taken as the body of the record would make the rest of the map disappear, as it shall.
BODIES = st.dictionaries(
    keys.filter(
        lambda key: (
            key not in ("log", "message", "SpanId", "TraceId", "SeverityText", "SeverityNumber")
        )
    ),
    values,
    max_size=4,
)


@given(st.lists(st.tuples(TIMES, BODIES, st.dictionaries(keys, values, max_size=3)), max_size=5))
def test_logs(events):
    times = [time for time, _, _ in events]
    bodies = [body for _, body, _ in events]
    metadata = [{"otlp": {"attributes": attributes}} for _, _, attributes in events]
    encoded = LogEncoder().encode(Chunk("t", times, bodies, metadata))
    found_times, found_bodies, found_attributes = [], [], []
    for request in log_requests(encoded.records, None, Limits(2)):
        decoded = decode_logs(request.content, LogKeys(), 0)
        found_times += decoded.times
        found_bodies += decoded.bodies
        found_attributes += [meta["otlp"].get("attributes", {}) for meta in decoded.metadata]
    assert (found_times, found_bodies) == (times, bodies)
    assert found_attributes == [attributes for _, _, attributes in events]


@given(st.lists(st.text(), max_size=5))
def test_lines(texts):
    lines = [text.replace("\n", "") for text in texts]
    chunk = Chunk.of_lines("t", [1] * len(lines), "log", lines, 1)
    encoded = LogEncoder().encode(chunk)
    found = []
    for request in log_requests(encoded.records, None, Limits()):
        found += [body["log"] for body in decode_logs(request.content, LogKeys(), 0).bodies]
    assert found == [
        line if line.isascii() or is_unicode(line) else line.encode("utf-8", "surrogatepass")
        for line in lines
    ]


def is_unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
