"""gRPC as its own library speaks it: the input opentelemetry against grpcio, and against h2 by hand."""

import asyncio

import grpc
import pytest
import trustme
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from tailrace.inputs.opentelemetry.grpc import GrpcError, messages_of
from tailrace.model import LOGS
from tailrace.net.http_server import Request
from tailrace.testing import FakeContext
from tailrace.wire.compression import deflate, gzip, snappy, zstd
from tests.inputs.opentelemetry.test_input import logs_protobuf, running

LOGS_EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
METRICS_EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"


def call(path, message, response_type, section="", context=None, authority=None, **options):
    """What grpcio gives for one call, in a thread, and the chunks that came of it; over TLS if an authority is given."""

    def open_channel(port):
        if authority is None:
            return grpc.insecure_channel(f"127.0.0.1:{port}")
        roots = authority.cert_pem.bytes()
        return grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(roots))

    def export(port):
        with open_channel(port) as channel:
            method = channel.unary_unary(
                path,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response_type.FromString,
            )
            return method(message, timeout=10, **options)

    async def scenario():
        async with running(section, context) as plugin:
            return await asyncio.to_thread(export, plugin.server.ports[0]), plugin.chunks

    return asyncio.run(scenario())


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_call_is_taken(compression):
    message = ExportLogsServiceRequest.FromString(logs_protobuf())
    answer, (chunk,) = call(
        LOGS_EXPORT, message, ExportLogsServiceResponse, compression=compression
    )
    assert answer == ExportLogsServiceResponse()
    assert (chunk.kind, chunk.tag, chunk.bodies) == (LOGS, "v1_logs", [{"log": "hi"}])


def test_a_call_is_taken_over_tls(tmp_path):
    authority = trustme.CA()
    files = authority.issue_cert("localhost", "127.0.0.1")
    files.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    files.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    section = f"tls on\ntls.crt_file {tmp_path}/cert.pem\ntls.key_file {tmp_path}/key.pem"
    message = ExportLogsServiceRequest.FromString(logs_protobuf())
    arguments = [LOGS_EXPORT, message, ExportLogsServiceResponse, section]
    answer, (chunk,) = call(*arguments, authority=authority)
    assert (answer, chunk.bodies) == (ExportLogsServiceResponse(), [{"log": "hi"}])


def test_what_is_left_out_is_a_partial_success():
    message = ExportMetricsServiceRequest()
    metric = message.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.add()
    answer, _ = call(METRICS_EXPORT, message, ExportMetricsServiceResponse)
    assert answer.partial_success.rejected_data_points == 1
    assert "asDouble" in answer.partial_success.error_message


@pytest.mark.parametrize(
    ("path", "data", "code", "text"),
    [
        (LOGS_EXPORT, b"\xff", grpc.StatusCode.INVALID_ARGUMENT, "deserialisation"),
        ("/other.Service/Export", b"", grpc.StatusCode.UNIMPLEMENTED, ""),
    ],
)
def test_a_call_that_is_not_taken_has_its_status(path, data, code, text):
    class Raw:
        def SerializeToString(self):
            return data

    with pytest.raises(grpc.RpcError) as caught:
        call(path, Raw(), ExportLogsServiceResponse)
    assert caught.value.code() == code
    assert text in caught.value.details()


def test_calls_that_are_not_delivered_in_time_may_be_sent_again():
    context = FakeContext("opentelemetry.0")
    message = ExportLogsServiceRequest.FromString(logs_protobuf())
    with pytest.raises(grpc.RpcError) as caught:
        call(
            LOGS_EXPORT,
            message,
            ExportLogsServiceResponse,
            "http_server.ingress_queue_event_limit 0",
            context,
        )
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_message_that_is_too_large_is_said_to_be_so():
    message = ExportLogsServiceRequest()
    scope_logs = message.resource_logs.add().scope_logs.add()
    scope_logs.log_records.add().body.string_value = "x" * 5000
    with pytest.raises(grpc.RpcError) as caught:
        call(LOGS_EXPORT, message, ExportLogsServiceResponse, "buffer_max_size 4k")
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_large_message_is_taken_as_the_window_grows():
    message = ExportLogsServiceRequest()
    scope_logs = message.resource_logs.add().scope_logs.add()
    for _ in range(300):
        scope_logs.log_records.add().body.string_value = "x" * 10_000
    _, (chunk,) = call(LOGS_EXPORT, message, ExportLogsServiceResponse)
    assert chunk.count == 300


# Messages in a body


def framed(message, packed=False):
    return bytes([packed]) + len(message).to_bytes(4, "big") + message


def messages(body, limit=100, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return messages_of(Request("POST", "/", named, body, "2"), limit)


def test_a_body_may_hold_several_messages():
    assert messages(framed(b"a") + framed(b"") + framed(b"bc")) == [b"a", b"", b"bc"]


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip), ("zstd", zstd), ("snappy", snappy), ("deflate", deflate), ("identity", bytes)],
)
def test_messages_may_be_packed(encoding, pack):
    assert messages(framed(pack(b"abc"), packed=True), grpc_encoding=encoding) == [b"abc"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\0\0\0", {}, 3),
        (b"\0\0\0\0\x05abc", {}, 3),
        (b"", {}, 3),
        (framed(gzip(b"x"), packed=True), {}, 3),
        (framed(b"x", packed=True), {"grpc_encoding": "lzma"}, 12),
        (framed(b"x", packed=True), {"grpc_encoding": "gzip"}, 13),
        (framed(gzip(b"x" * 101), packed=True), {"grpc_encoding": "gzip"}, 8),
        (framed(gzip(b"x" * 60), packed=True) * 2, {"grpc_encoding": "gzip"}, 8),
        (framed(b"") * 2000, {}, 8),
    ],
)
def test_bodies_that_hold_no_messages_or_too_much(body, headers, status):
    with pytest.raises(GrpcError) as caught:
        messages(body, **headers)
    assert caught.value.status == status
