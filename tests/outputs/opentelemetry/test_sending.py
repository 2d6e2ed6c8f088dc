"""OTLP by HTTP/2 and gRPC."""

import asyncio
import ssl
import zlib
from base64 import b64encode

import pytest
import trustme
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.plugin import Partial, Reject, Retry
from tailrace.testing import FakeContext, FakeServer, Reply, chunk_of, make_plugin
from tests.net.http2_peer import Answer, HTTP2Peer
from tests.outputs.opentelemetry.test_opentelemetry import partly
from tests.wire.otlp.test_answer import retry_info, status
from tests.wire.otlp.test_protobuf import plain

PATH = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


def flush(server, section, *bodies, context=None):
    """Flush one chunk of logs; what `flush` raised."""

    async def scenario():
        settings = f"host 127.0.0.1\nport {server.port}\n{section}"
        plugin = make_plugin("output", "opentelemetry", settings, context)
        try:
            await plugin.flush(chunk_of(bodies or [{"log": "a"}], "test"))
        except (Retry, Reject, Partial) as failure:
            return failure
        finally:
            await plugin.stop()
        return None

    return asyncio.run(scenario())


def call(code=0, message=b"", **trailers):
    """The answer to a gRPC call."""
    framed = b"\0" + len(message).to_bytes(4) + message if code == 0 else b""
    named = {name.replace("_", "-"): value for name, value in trailers.items()}
    return Answer(
        200, framed, {"content-type": "application/grpc"}, {"grpc-status": str(code), **named}
    )


def message_of(request):
    """The bodies in a gRPC request."""
    flag, size = request.body[0], int.from_bytes(request.body[1:5])
    assert len(request.body) == 5 + size
    content = zlib.decompress(request.body[5:], 31) if flag else request.body[5:]
    message = ExportLogsServiceRequest.FromString(content)
    return [plain(record.body) for record in message.resource_logs[0].scope_logs[0].log_records]


@pytest.mark.parametrize("word", ["on", "force"])
def test_http2_without_tls_sends_the_same_requests(word):
    with HTTP2Peer() as server:
        assert flush(server, f"http2 {word}\nheader X-A one\ncompress gzip") is None
    [request] = server.requests
    assert request.path == "/v1/logs"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert (request.headers["x-a"], request.headers["user-agent"]) == ("one", "Fluent-Bit")
    assert request.headers["content-encoding"] == "gzip"
    ExportLogsServiceRequest.FromString(zlib.decompress(request.body, 31))


def test_statuses_mean_the_same_by_http2():
    with HTTP2Peer([Answer(503, b"later", {"retry-after": "3"}), Answer(400, b"no")]) as server:
        failure = flush(server, "http2 on")
        assert isinstance(failure, Retry)
        assert (failure.after, failure.status) == (3.0, 503)
        failure = flush(server, "http2 on")
        assert isinstance(failure, Reject)


def test_grpc_frames_the_message():
    with HTTP2Peer([call()]) as server:
        assert flush(server, "grpc on", {"log": "a"}, {"log": "b"}) is None
    [request] = server.requests
    assert request.path == PATH
    assert request.headers["content-type"] == "application/grpc"
    assert request.headers["te"] == "trailers"
    assert message_of(request) == ["a", "b"]


def test_grpc_has_paths_of_its_own():
    with HTTP2Peer([call()]) as server:
        flush(server, "grpc on\ngrpc_logs_uri my/Export\nlogs_uri /other")
    assert server.requests[0].path == "/my/Export"


@pytest.mark.parametrize("code", [1, 4, 8, 10, 11, 13, 14, 15])
def test_grpc_statuses_that_may_pass_are_tried_again(code):
    with HTTP2Peer([call(code, grpc_message="too%20busy%0A")]) as server:
        failure = flush(server, "grpc on")
    assert isinstance(failure, Retry)
    assert failure.status == code
    assert f"grpc-status={code} " in failure.why
    assert failure.why.endswith(": too busy ")


@pytest.mark.parametrize("code", [2, 3, 5, 6, 7, 9, 12, 16, 99])
def test_other_grpc_statuses_are_refusals(code):
    with HTTP2Peer([call(code)]) as server:
        assert isinstance(flush(server, "grpc on"), Reject)


def test_a_status_without_a_message_stands_among_the_headers():
    with HTTP2Peer([Answer(200, headers={"grpc-status": "3", "grpc-message": "bad"})]) as server:
        failure = flush(server, "grpc on\nlog_response_payload off")
    assert isinstance(failure, Reject)
    assert failure.why.endswith("grpc-status=3 INVALID_ARGUMENT")


def test_an_answer_without_a_status_is_no_delivery():
    with HTTP2Peer([Answer(200)]) as server:
        assert isinstance(flush(server, "grpc on"), Retry)
    with HTTP2Peer([Answer(503)]) as server:
        assert isinstance(flush(server, "grpc on"), Retry)
    with HTTP2Peer([Answer(404, b"nothing here")]) as server:
        assert isinstance(flush(server, "grpc on"), Reject)


def test_a_server_may_say_how_long_to_wait():
    details = b64encode(status("full", retry_info(4))).decode().rstrip("=")
    with HTTP2Peer([call(8, grpc_status_details_bin=details)]) as server:
        assert flush(server, "grpc on").after == 4.0


def test_a_partial_success_by_grpc():
    with HTTP2Peer([call(0, partly(1, "old").body)]) as server:
        failure = flush(server, "grpc on", {"log": "a"}, {"log": "b"})
    [refusal] = failure.rejected
    assert (refusal.chunk.count, "old" in refusal.why) == (1, True)


def test_grpc_messages_are_compressed_until_the_server_does_not_know_it():
    context = FakeContext()
    with HTTP2Peer([call(), call(12), call()]) as server:
        assert flush(server, "grpc on\ncompress gzip") is None
        section = "grpc on\ncompress gzip\nbatch_size 1"
        assert flush(server, section, {"log": "b"}, {"log": "c"}, context=context) is None
    assert [request.body[0] for request in server.requests] == [1, 1, 0, 0]
    assert [request.headers.get("grpc-encoding") for request in server.requests] == [
        "gzip",
        "gzip",
        None,
        None,
    ]
    assert [message_of(request) for request in server.requests] == [["a"], ["b"], ["b"], ["c"]]
    assert any(level == "warn" and "gzip" in text for level, text in context.sink.messages)


def test_a_token_that_a_call_is_refused_for_is_replaced():
    token = Reply(200, b'{"access_token":"one","expires_in":3600}')
    other = Reply(200, b'{"access_token":"two","expires_in":3600}')
    with FakeServer([token, other]) as tokens, HTTP2Peer([call(16), call()]) as server:
        section = (
            f"grpc on\noauth2.enable on\noauth2.token_url http://127.0.0.1:{tokens.port}/token\n"
            "oauth2.client_id id\noauth2.client_secret secret"
        )
        assert flush(server, section) is None
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer one", "Bearer two"]


def test_grpc_is_negotiated_by_tls_and_a_server_of_http1_gets_otlp_by_http():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    section = "grpc on\ntls on\ntls.verify off"
    with FakeServer(tls=context) as server:
        assert flush(server, section) is None
    assert server.requests[0].path == "/v1/logs"
    context.set_alpn_protocols(["h2"])
    with HTTP2Peer([call()], tls=context) as server:
        assert flush(server, section) is None
    assert server.requests[0].path == PATH


def test_an_unknown_word_for_http2_is_an_error():
    with pytest.raises((ConfigError, InvalidConfiguration), match="http2"):
        make_plugin("output", "opentelemetry", "http2 maybe")
