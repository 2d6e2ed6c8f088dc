"""What it costs to write logs as OTLP protobuf: byte by byte, as the output opentelemetry does, and by objects of the protobuf library.

    python bench/otlp_encode.py

CPU microseconds an event, best of 30 rounds over 500 events. The direct writer may cost at most a quarter of the library. Needs the extra `otlp`.
"""

import time
from collections.abc import Callable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from tailrace.model import Chunk
from tailrace.wire.otlp.encode_logs import LogEncoder
from tailrace.wire.otlp.log_requests import Limits, log_requests

EVENTS, ROUNDS = 500, 30
BODIES: list[dict[str, Any]] = [
    {
        "time": "2026-01-01T00:00:00.000Z",
        "level": "info",
        "msg": f"request {number} was answered",
        "path": "/api/v1/orders",
        "status": 200,
        "seconds": 0.25 * number,
        "host": "web-1",
        "user": {"id": number, "name": "bob"},
    }
    for number in range(EVENTS)
]
TEXTS = [f"{number} " + "x" * 240 for number in range(EVENTS)]
TIMES = [1_700_000_000_000_000_000 + number for number in range(EVENTS)]
OTLP = {"severity_number": 9, "severity_text": "INFO", "trace_id": b"t" * 16, "span_id": b"s" * 8}


def by_library(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[by_library(each) for each in value]))
        case _:
            pairs = [KeyValue(key=key, value=by_library(each)) for key, each in value.items()]
            return AnyValue(kvlist_value=KeyValueList(values=pairs))


def library(bodies: list[dict[str, Any]]) -> Callable[[], bytes]:
    def run() -> bytes:
        records = [
            LogRecord(time_unix_nano=time_ns, body=by_library(body))
            for time_ns, body in zip(TIMES, bodies, strict=True)
        ]
        return ScopeLogs(log_records=records).SerializeToString()

    return run


def direct(make: Callable[[], Chunk]) -> Callable[[], bytes]:
    encoder, chunk = LogEncoder(), make()

    def run() -> bytes:
        encoded = encoder.encode(chunk)
        requests = log_requests(encoded.records, chunk.groups, Limits())
        return b"".join([request.content for request in requests])

    return run


def cost(run: Callable[[], bytes]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        run()
        best = min(best, time.process_time() - began)
    return best / EVENTS * 1e6


def main() -> None:
    metadata = [{"otlp": {**OTLP, "attributes": {"k": "v"}}} for _ in range(EVENTS)]
    for name, run in (
        ("maps, library", library(BODIES)),
        ("maps", direct(lambda: Chunk("t", TIMES, BODIES))),
        ("maps with OTLP metadata", direct(lambda: Chunk("t", TIMES, BODIES, metadata))),
        ("text under log", direct(lambda: Chunk("t", TIMES, [{"log": text} for text in TEXTS]))),
        ("raw lines", direct(lambda: Chunk.of_lines("t", TIMES, "log", TEXTS, 1))),
    ):
        print(f"{name:26} {cost(run):6.2f} µs")


if __name__ == "__main__":
    main()
