"""The output opentelemetry: what it sends, and what becomes of the events."""

import asyncio
import base64
import zlib

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.model import Group
from tailrace.model.metrics import MetricKind, MetricSet, metrics_chunk
from tailrace.model.profiles import profiles_chunk
from tailrace.model.traces import ResourceSpans, ScopeSpans, Span, Traces, traces_chunk
from tailrace.plugin import Partial, Reject, Retry
from tailrace.testing import (
    CLOSE,
    EPOCH_NS,
    RESET,
    FakeContext,
    FakeServer,
    Reply,
    chunk_of,
    make_plugin,
)
from tests.wire.otlp.test_protobuf import plain


def flush(section, chunk, script=(200,), context=None):
    """Flush one chunk; the requests, and what `flush` raised."""

    async def scenario(port):
        settings = f"host 127.0.0.1\nport {port}\n{section}"
        plugin = make_plugin("output", "opentelemetry", settings, context)
        try:
            await plugin.flush(chunk)
        except (Retry, Reject, Partial) as failure:
            return failure
        finally:
            await plugin.stop()
        return None

    with FakeServer(script) as server:
        failure = asyncio.run(scenario(server.port))
        return server.requests, failure


def logs(*bodies):
    return chunk_of(bodies, "test")


def sent(request):
    """The bodies of a request of logs."""
    message = ExportLogsServiceRequest.FromString(request.body)
    return [
        plain(record.body)
        for resource in message.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def partly(rejected, why):
    partial = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=why)
    body = ExportLogsServiceResponse(partial_success=partial).SerializeToString()
    return Reply(200, body, {"Content-Type": "application/x-protobuf"})


def lines(count):
    return logs(*[{"log": str(number)} for number in range(count)])


def test_logs_are_posted_as_protobuf():
    [request], failure = flush("", logs({"log": "a"}, {"b": 1}))
    assert (request.method, request.path) == ("POST", "/v1/logs")
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["user-agent"] == "Fluent-Bit"
    assert (sent(request), failure) == (["a", {"b": 1}], None)


def test_resource_and_scope_are_those_of_the_group():
    chunk = lines(2)
    group = Group(
        {"schema": "otlp", "resource_id": 0, "scope_id": 0},
        {"resource": {"attributes": {"service.name": "shop"}}, "scope": {"name": "lib"}},
    )
    chunk.groups = [group, None]
    [request], _ = flush("", chunk)
    message = ExportLogsServiceRequest.FromString(request.body)
    assert [len(each.resource.attributes) for each in message.resource_logs] == [1, 0]
    assert message.resource_logs[0].scope_logs[0].scope.name == "lib"


def test_metrics_have_their_path_and_labels():
    metrics = MetricSet()
    metrics.metric(MetricKind.GAUGE, "m").set(1, EPOCH_NS)
    chunk = metrics_chunk("t", metrics)
    [request], _ = flush("add_label env test\nadd_label region eu\nmetrics_uri m", chunk)
    message = ExportMetricsServiceRequest.FromString(request.body)
    [point] = message.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    assert request.path == "/m"
    assert [(each.key, plain(each.value)) for each in point.attributes] == [
        ("env", "test"),
        ("region", "eu"),
    ]


def test_profiles_are_sent_as_they_came():
    [request], _ = flush("", profiles_chunk("t", b"as it came"))
    assert (request.path, request.body) == ("/v1development/profiles", b"as it came")


def spans(*names):
    scopes = [ScopeSpans(None, [Span(name) for name in names])]
    return traces_chunk("t", Traces([ResourceSpans({}, 0, scopes)]))


def test_traces_have_their_path():
    [request], _ = flush("traces_uri /t", spans("a"))
    message = ExportTraceServiceRequest.FromString(request.body)
    assert request.path == "/t"
    assert message.resource_spans[0].scope_spans[0].spans[0].name == "a"


@pytest.mark.parametrize(
    ("word", "unpack"),
    [
        ("gzip", lambda data: zlib.decompress(data, 31)),
        ("zstd", lambda data: bytes(cramjam.zstd.decompress(data))),
    ],
)
def test_a_compressed_request_says_how(word, unpack):
    [request], _ = flush(f"compress {word}", logs({"log": "a" * 1000}))
    assert request.headers["content-encoding"] == word
    message = ExportLogsServiceRequest.FromString(unpack(request.body))
    assert plain(message.resource_logs[0].scope_logs[0].log_records[0].body) == "a" * 1000


def test_headers_and_authorization():
    [request], _ = flush(
        "header X-A one\nheader X-A two words\nheader user-agent me\nhttp_user ann\nhttp_passwd pw",
        logs({"log": "a"}),
    )
    assert [value for name, value in request.header_lines if name == "X-A"] == ["two words"]
    assert request.headers["authorization"] == "Basic " + base64.b64encode(b"ann:pw").decode()
    assert [value for name, value in request.header_lines if name.lower() == "user-agent"] == ["me"]


def test_requests_are_signed_for_aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    [request], _ = flush("aws_auth on\naws_region eu-north-1", logs({"log": "a"}))
    assert "/eu-north-1/logs/aws4_request" in request.headers["authorization"]


def test_a_token_is_got_and_replaced_when_it_is_refused():
    token = Reply(200, b'{"access_token":"one","expires_in":3600}')
    other = Reply(200, b'{"access_token":"two","expires_in":3600}')
    with FakeServer([token, other]) as tokens:
        section = (
            f"oauth2.enable on\noauth2.token_url http://127.0.0.1:{tokens.port}/token\n"
            "oauth2.client_id id\noauth2.client_secret secret"
        )
        requests, failure = flush(section, logs({"log": "a"}), script=[401, 200])
    assert [each.headers["authorization"] for each in requests] == ["Bearer one", "Bearer two"]
    assert failure is None


def test_batch_size_splits_a_chunk_into_requests():
    requests, failure = flush("batch_size 2", lines(5))
    assert [sent(request) for request in requests] == [["0", "1"], ["2", "3"], ["4"]]
    assert failure is None


def test_a_large_chunk_is_sent_whole_and_in_order():
    requests, failure = flush("batch_size 700", lines(1600))
    assert [len(sent(request)) for request in requests] == [700, 700, 200]
    assert [text for request in requests for text in sent(request)] == [
        str(number) for number in range(1600)
    ]
    assert failure is None


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_tried_again(status):
    reply = Reply(status, b"later", {"Retry-After": "7"})
    _, failure = flush("", lines(1), script=[reply])
    assert isinstance(failure, Retry)
    assert (failure.status, failure.after) == (status, 7.0)
    assert "later" in failure.why


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 501, 301])
def test_other_answers_are_refusals(status):
    _, failure = flush("", lines(1), script=[Reply(status, b"no")])
    assert isinstance(failure, Reject)
    assert failure.status == status
    assert failure.why.endswith(f"HTTP status={status} no")


def test_what_the_server_says_can_be_left_out_of_the_log():
    _, failure = flush("log_response_payload off", lines(1), script=[Reply(400, b"secret")])
    assert failure.why.endswith("HTTP status=400")


@pytest.mark.parametrize("fault", [CLOSE, RESET])
def test_a_broken_connection_is_tried_again(fault):
    _, failure = flush("", lines(1), script=[fault])
    assert isinstance(failure, Retry)


def test_only_what_was_not_delivered_is_tried_again():
    requests, failure = flush("batch_size 2", lines(5), script=[200, Reply(503)])
    assert isinstance(failure, Partial)
    assert len(requests) == 2
    assert [body["log"] for body in failure.retry.bodies] == ["2", "3", "4"]
    assert failure.rejected == []


def test_a_request_that_is_refused_does_not_hold_up_the_next():
    requests, failure = flush("batch_size 2", lines(5), script=[200, 400, 200])
    assert len(requests) == 3
    assert isinstance(failure, Partial)
    assert failure.retry is None
    [refusal] = failure.rejected
    assert [body["log"] for body in refusal.chunk.bodies] == ["2", "3"]
    assert refusal.status == 400


def test_refused_requests_before_a_failure_are_told_with_it():
    _, failure = flush("batch_size 2", lines(5), script=[400, 503])
    assert [body["log"] for body in failure.retry.bodies] == ["2", "3", "4"]
    assert [refusal.chunk.count for refusal in failure.rejected] == [2]


def test_a_partial_success_counts_as_many_as_refused():
    _, failure = flush("", lines(5), script=[partly(2, "too\nold")])
    assert isinstance(failure, Partial)
    assert failure.retry is None
    [refusal] = failure.rejected
    assert refusal.chunk.count == 2
    assert refusal.why == "2 of 5 were refused (partial success): too old"


def test_more_refused_than_sent_is_all():
    _, failure = flush("", lines(2), script=[partly(99, "")])
    assert [refusal.chunk.count for refusal in failure.rejected] == [2]


STEPS = st.sampled_from([200, 400, 503, partly(1, "no"), partly(3, "no"), partly(9, "no")])


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=6), st.integers(1, 4), st.integers(1, 12))
def test_each_event_ends_in_one_way_whatever_the_answers(script, batch, count):
    requests, failure = flush(f"batch_size {batch}", lines(count), script=script)
    tried = [text for request in requests for text in sent(request)]
    again, refused = [], []
    if isinstance(failure, Retry):
        again = [str(number) for number in range(count)]
    elif isinstance(failure, Reject):
        refused = [str(number) for number in range(count)]
    elif failure is not None:
        again = [body["log"] for body in failure.retry.bodies] if failure.retry else []
        refused = [body["log"] for each in failure.rejected for body in each.chunk.bodies]
    delivered = [text for text in tried if text not in again and text not in refused]
    assert sorted([*delivered, *again, *refused], key=int) == [str(n) for n in range(count)]
    assert len(tried) == len(set(tried))


def test_a_partial_success_in_json_is_understood():
    body = b'{"partialSuccess":{"rejectedLogRecords":"1","errorMessage":"old"}}'
    reply = Reply(200, body, {"Content-Type": "application/json; charset=utf-8"})
    _, failure = flush("", lines(2), script=[reply])
    assert [refusal.chunk.count for refusal in failure.rejected] == [1]


@pytest.mark.parametrize("kind", ["text/plain", ""])
def test_an_answer_of_another_kind_is_no_partial_success(kind):
    reply = Reply(200, partly(1, "").body, {"Content-Type": kind} if kind else {})
    assert flush("", lines(2), script=[reply])[1] is None


def test_a_proxy_gets_the_whole_address():
    with FakeServer() as proxy:
        section = f"proxy http://127.0.0.1:{proxy.port}"
        _, failure = flush(section, lines(1))
        assert failure is None
        [request] = proxy.requests
    assert request.path.startswith("http://127.0.0.1:")
    assert request.path.endswith("/v1/logs")


def test_http2_goes_through_a_tunnel_of_the_proxy():
    with FakeServer(connect_status=403) as proxy:
        _, failure = flush(f"http2 on\nproxy http://127.0.0.1:{proxy.port}", lines(1))
        [request] = proxy.requests
    assert request.method == "CONNECT"
    assert isinstance(failure, Retry)


def test_a_warning_of_the_server_is_logged():
    context = FakeContext()
    _, failure = flush("", lines(1), script=[partly(0, "careful")], context=context)
    assert failure is None
    assert any(level == "warn" and "careful" in text for level, text in context.sink.messages)


def test_refused_spans_are_told_apart():
    _, failure = flush("", spans("a", "b", "c"), script=[partly(1, "no")])
    [refusal] = failure.rejected
    assert [span.name for span in refusal.chunk.payload.spans()] == ["c"]
    _, failure = flush("", spans("a", "b"), script=[partly(2, "no")])
    assert isinstance(failure, Reject)


def test_metrics_that_were_refused_in_part_are_an_error_in_the_log():
    metrics = MetricSet()
    metrics.metric(MetricKind.GAUGE, "m", label_keys=["k"]).set(1, EPOCH_NS, ["a"])
    metrics.metric(MetricKind.GAUGE, "m").set(1, EPOCH_NS, ["b"])
    context = FakeContext()
    _, failure = flush("", metrics_chunk("t", metrics), script=[partly(1, "no")], context=context)
    assert failure is None
    assert any(level == "error" and "1 of 2" in text for level, text in context.sink.messages)
    _, failure = flush("", metrics_chunk("t", metrics), script=[partly(2, "no")])
    assert isinstance(failure, Reject)


def test_an_event_that_is_nested_too_deeply_is_refused_alone():
    deep = {}
    for _ in range(5000):
        deep = {"a": deep}
    [request], failure = flush("", logs({"log": "a"}, deep, {"log": "b"}))
    assert sent(request) == ["a", "b"]
    [refusal] = failure.rejected
    assert (refusal.chunk.count, "too deeply" in refusal.why) == (1, True)
    requests, failure = flush("", logs(deep))
    assert (requests, isinstance(failure, Reject)) == ([], True)


def test_logs_body_key_may_be_given_many_times():
    section = "logs_body_key $x['y z']\nlogs_body_key msg\nlogs_body_key_attributes on"
    [request], _ = flush(section, logs({"msg": "a", "k": 1}, {"x": {"y z": "b"}}))
    message = ExportLogsServiceRequest.FromString(request.body)
    records = message.resource_logs[0].scope_logs[0].log_records
    assert [plain(record.body) for record in records] == ["a", "b"]
    assert [[each.key for each in record.attributes] for record in records] == [["k"], ["x"]]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("logs_max_scopes -1", "logs_max_scopes"),
        ("logs_max_resources -1", "logs_max_resources"),
        ("compress lzma", "compress"),
        ("logs_trace_id_message_key $a[", "logs_trace_id_message_key"),
        ("logs_body_key $a[", "logs_body_key"),
        ("add_label only", "add_label"),
    ],
)
def test_options_that_can_not_be_are_errors_that_name_them(section, words):
    with pytest.raises((ConfigError, InvalidConfiguration), match=words):
        make_plugin("output", "opentelemetry", f"host 127.0.0.1\nport 1\n{section}")


@pytest.mark.parametrize("key", ["resource", "instrumentation_scope"])
def test_an_option_without_effect_is_a_warning(key):
    context = FakeContext()
    make_plugin("output", "opentelemetry", f"logs_{key}_metadata_key other", context)
    assert any(level == "warn" and key in text for level, text in context.sink.messages)


def test_bad_identifiers_are_a_warning():
    context = FakeContext()
    flush("", logs({"TraceId": "x"}), context=context)
    assert any(level == "warn" and "trace or span" in text for level, text in context.sink.messages)
