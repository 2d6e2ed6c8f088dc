"""What receivers of OTLP answer."""

from base64 import b64encode

import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from tailrace.wire.otlp.answer import (
    Failure,
    PartialSuccess,
    read_failure,
    read_failure_header,
    read_success,
)
from tailrace.wire.otlp.protobuf import message, text, uint


def status(said, *details):
    """A `google.rpc.Status`."""
    parts = [uint(b"\x08", 8), text(b"\x12", said)]
    parts += [message(b"\x1a", each.SerializeToString()) for each in details]
    return b"".join(parts)


def retry_info(seconds, nanos=0):
    delay = Duration(seconds=seconds, nanos=nanos).SerializeToString()
    return Any(
        type_url="type.googleapis.com/google.rpc.RetryInfo",
        value=b"\x0a" + bytes([len(delay)]) + delay,
    )


def test_a_partial_success_in_protobuf():
    partial = ExportLogsPartialSuccess(rejected_log_records=3, error_message="too old")
    body = ExportLogsServiceResponse(partial_success=partial).SerializeToString()
    assert read_success(body, is_json=False) == PartialSuccess(3, "too old")
    assert read_success(b"", is_json=False) == PartialSuccess()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"old"}}', (3, "old")),
        (b'{"partialSuccess":{"rejectedSpans":2}}', (2, "")),
        (b'{"partialSuccess":{"errorMessage":"careful"}}', (0, "careful")),
        (b'{"partialSuccess":{"rejectedDataPoints":"x"}}', (0, "")),
        (b'{"partialSuccess":{"rejectedDataPoints":-5,"errorMessage":1}}', (0, "")),
        (b"{}", (0, "")),
        (b"", (0, "")),
        (b"[]", (0, "")),
        (b"no JSON", (0, "")),
    ],
)
def test_a_partial_success_in_json(body, expected):
    assert read_success(body, is_json=True) == PartialSuccess(*expected)


def test_a_failure_says_why_and_how_long_to_wait():
    body = status(
        "full", Any(type_url="type.googleapis.com/other", value=b"x"), retry_info(2, 500_000_000)
    )
    assert read_failure(body) == Failure("full", 2.5)
    assert read_failure_header(b64encode(body).decode().rstrip("=")) == Failure("full", 2.5)
    assert read_failure(status("full")) == Failure("full", None)


@pytest.mark.parametrize("body", [b"\x12\xff", b"\x0b", b"\xff" * 11, b"\x12", b"\x08" * 3000])
def test_what_is_no_protobuf_says_nothing(body):
    assert read_failure(body) == Failure()
    assert read_success(body, is_json=False) == PartialSuccess()


@given(st.binary())
def test_any_bytes_are_read_or_passed_over(body):
    assert read_success(body, is_json=False).rejected >= 0
    assert read_failure(body).after is None or read_failure(body).after >= 0
    assert isinstance(read_failure_header(body.decode("latin-1")), Failure)
    assert read_success(body, is_json=True).rejected >= 0
