"""What a span costs on its way: read from protobuf (directly, and through the library's objects), held and decided by tail
sampling, written as protobuf, as Fluent Bit stores it, and as text.

    python bench/otlp_traces.py

500 spans of four attributes in a request; microseconds a span, best of seven. On 2 shared cores: 5.0 directly, 8.8 through the
library, 0.9 tail sampling, 4.6 protobuf, 3.9 CTraces, 4.9 text.
"""

import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tailrace.model.traces import traces_chunk
from tailrace.testing import FakeContext, make_plugin
from tailrace.wire import ctraces, traces_text
from tailrace.wire.otlp.decode_traces import Reader
from tailrace.wire.otlp.encode_traces import encode_traces
from tailrace.wire.otlp.read_traces import read_traces

SPANS, ROUNDS = 500, 10
SAMPLING = {
    "type": "tail",
    "sampling_settings": {"decision_wait": "5s"},
    "conditions": [
        {"type": "status_code", "status_codes": ["ERROR"]},
        {"type": "latency", "threshold_ms_high": "3000"},
    ],
}


def request(first=0):
    """Traces of five spans each, of which every twentieth has an error."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    spans = resource.scope_spans.add().spans
    for number in range(SPANS):
        span = spans.add(
            trace_id=(first + number // 5 + 1).to_bytes(16, "big"),
            span_id=(number + 1).to_bytes(8, "big"),
            name=f"GET /{number}",
            kind=2,
            start_time_unix_nano=1_700_000_000_000_000_000,
            end_time_unix_nano=1_700_000_000_100_000_000,
        )
        span.status.code = 2 if number % 100 == 0 else 1
        for key, text in (("method", "GET"), ("url", f"/api/{number}"), ("peer", "10.0.0.1")):
            span.attributes.add(key=key).value.string_value = text
        span.attributes.add(key="status").value.int_value = 200
    return message.SerializeToString()


def through_library(data):
    return Reader(is_json=False).traces(ExportTraceServiceRequest.FromString(data))


def sample():
    """All rounds through one sampler; what it decides last counts, too."""
    context = FakeContext()
    plugin = make_plugin("processor", "sampling", SAMPLING, context)
    chunks = [traces_chunk("t", read_traces(request(SPANS * at))) for at in range(ROUNDS)]
    begun = time.process_time()
    for chunk in chunks:
        plugin.process(chunk)
    context.advance(6)
    return time.process_time() - begun


def repeat(work):
    begun = time.process_time()
    for _ in range(ROUNDS):
        work()
    return time.process_time() - begun


def main():
    data = request()
    traces = read_traces(data)
    for name, measure in (
        ("protobuf, directly", lambda: repeat(lambda: read_traces(data))),
        ("protobuf, through the library", lambda: repeat(lambda: through_library(data))),
        ("tail sampling", sample),
        ("to protobuf", lambda: repeat(lambda: encode_traces(traces))),
        ("to CTraces", lambda: repeat(lambda: ctraces.encode(traces))),
        ("to text", lambda: repeat(lambda: traces_text.encode(traces))),
    ):
        best = min(measure() for _ in range(7))
        print(f"{name:32} {best / ROUNDS / SPANS * 1e6:6.2f} us a span")


if __name__ == "__main__":
    main()
