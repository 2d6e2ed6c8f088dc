"""What a log record of OTLP costs to decode: protobuf read directly, through the library's objects, and JSON.

    python bench/otlp_decode.py

500 records of five attributes in a request; CPU microseconds a record, best of seven. On 2 shared cores: 5.5 directly, 6.7 through
the library (which looks for nothing that is left out), 9.1 JSON (2.5 of it the parser).
"""

import time

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tailrace.wire.otlp.decode_logs import LogKeys, decode_logs
from tailrace.wire.otlp.decode_logs_json import decode_logs_json
from tailrace.wire.otlp.values import read_attributes, read_value

RECORDS, ROUNDS = 500, 10
TEXTS = {
    "http.method": "GET",
    "http.route": "/index.html",
    "code.function": "handle",
    "thread.name": "main",
}


def requests():
    """The same request as protobuf and as JSON."""
    message = ExportLogsServiceRequest()
    scope_logs = message.resource_logs.add().scope_logs.add()
    records = []
    for number in range(RECORDS):
        text = f"GET /index.html HTTP/1.1 200 took 12 ms for user {number}"
        record = scope_logs.log_records.add(
            time_unix_nano=1_700_000_000_000_000_000 + number,
            observed_time_unix_nano=1_700_000_000_000_000_001,
            severity_number=9,
            severity_text="INFO",
            trace_id=b"a" * 16,
            span_id=b"b" * 8,
        )
        record.body.string_value = text
        for key, value in TEXTS.items():
            record.attributes.add(key=key).value.string_value = value
        record.attributes.add(key="http.status").value.int_value = 200
        attributes = [{"key": key, "value": {"stringValue": each}} for key, each in TEXTS.items()]
        attributes.append({"key": "http.status", "value": {"intValue": "200"}})
        records.append(
            {
                "timeUnixNano": str(record.time_unix_nano),
                "observedTimeUnixNano": "1700000000000000001",
                "severityNumber": 9,
                "severityText": "INFO",
                "traceId": "61" * 16,
                "spanId": "62" * 8,
                "body": {"stringValue": text},
                "attributes": attributes,
            }
        )
    given = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    return message.SerializeToString(), orjson.dumps(given)


def through_library(data):
    """About what a decoder does that walks the library's objects."""
    made = []
    for resource_logs in ExportLogsServiceRequest.FromString(data).resource_logs:
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                told = {
                    "observed_timestamp": record.observed_time_unix_nano,
                    "timestamp": record.time_unix_nano,
                    "severity_number": record.severity_number,
                    "severity_text": record.severity_text,
                    "attributes": read_attributes(record.attributes),
                    "trace_id": record.trace_id,
                    "span_id": record.span_id,
                    "trace_flags": record.flags,
                }
                made.append(({"otlp": told}, {"log": read_value(record.body)}))
    return made


def cost(work):
    best = float("inf")
    for _ in range(7):
        begun = time.process_time()
        for _ in range(ROUNDS):
            work()
        best = min(best, time.process_time() - begun)
    return best / ROUNDS / RECORDS * 1e6


def main():
    protobuf, text = requests()
    keys = LogKeys()
    for name, work in (
        ("protobuf, directly", lambda: decode_logs(protobuf, keys, 1)),
        ("protobuf, through the library", lambda: through_library(protobuf)),
        ("JSON", lambda: decode_logs_json(text, keys, 1)),
    ):
        print(f"{name:32} {cost(work):6.2f} us a record")


if __name__ == "__main__":
    main()
