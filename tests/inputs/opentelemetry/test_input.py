"""The input opentelemetry, as its clients see it: the SDK's exporters, and requests by hand."""

import asyncio
import contextlib
import socket
import sys

import orjson
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)

from tailrace.inputs import opentelemetry
from tailrace.model import LOGS, METRICS, PROFILES, TRACES
from tailrace.testing import FakeContext, make_plugin
from tailrace.wire.compression import gzip, snappy, zstd

JSON = "Content-Type: application/json"
PROTOBUF = "Content-Type: application/x-protobuf"
RECORD = {"timeUnixNano": "5", "body": {"stringValue": "hi"}}
LOGS_JSON = orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [RECORD]}]}]})
POINT = {"name": "m", "gauge": {"dataPoints": [{"asInt": "1"}]}}
METRICS_JSON = orjson.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [POINT]}]}]})
SPAN = {"name": "x"}
TRACES_JSON = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]})


def logs_protobuf():
    message = ExportLogsServiceRequest()
    record = message.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=5)
    record.body.string_value = "hi"
    return message.SerializeToString()


@contextlib.asynccontextmanager
async def running(section="", context=None, emit=None):
    """The input at a free port; `plugin.chunks` holds what it emitted, each settled at once."""
    context = context or FakeContext("opentelemetry.0")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    listen = f"listen 127.0.0.1\nport {port}\n"
    plugin = make_plugin("input", "opentelemetry", listen + section, context)
    plugin.chunks = []

    async def take(chunk):
        plugin.chunks.append(chunk)
        chunk.receipt.hold()
        chunk.receipt.release()

    await plugin.start()
    task = asyncio.ensure_future(plugin.run(emit or take))
    await asyncio.sleep(0)
    try:
        yield plugin
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await plugin.stop()


async def ask(plugin, path, body=b"", *headers, method="POST"):
    """Status, headers and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plugin.server.ports[0])
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    head = "\r\n".join([*lines, "Connection: close", *headers])
    writer.write(head.encode() + b"\r\n\r\n" + body)
    async with asyncio.timeout(10):
        reply = await reader.read()
    writer.close()
    head, _, text = reply.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), text


def asked(section, *arguments, context=None, **named):
    """The answer to one request, and the chunks that came of it."""

    async def scenario():
        async with running(section, context) as plugin:
            return await ask(plugin, *arguments, **named), plugin.chunks

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "body", "kind", "tag"),
    [
        ("/v1/logs", LOGS_JSON, LOGS, "v1_logs"),
        ("/v1/metrics", METRICS_JSON, METRICS, "v1_metrics"),
        ("/v1/traces", TRACES_JSON, TRACES, "v1_traces"),
    ],
)
def test_each_signal_has_its_path_which_makes_the_tag(path, body, kind, tag):
    (status, _, text), (chunk,) = asked("", path, body, JSON)
    assert (status, text) == (201, b"")
    assert (chunk.kind, chunk.tag, chunk.count) == (kind, tag, 1)


@pytest.mark.parametrize(
    ("section", "tag"),
    [
        ("tag fixed", "fixed"),
        ("tag_from_uri off", "opentelemetry.0"),
        ("tag_key log", "hi"),
        ("tag_key nothing", "v1_logs"),
    ],
)
def test_tags(section, tag):
    _, (chunk,) = asked(section, "/v1/logs", LOGS_JSON, JSON)
    assert chunk.tag == tag


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (logs_protobuf(), [PROTOBUF]),
        (logs_protobuf(), ["Content-Type: Application/Protobuf; v=1"]),
        (LOGS_JSON, ["Content-Type: application/json; charset=utf-8"]),
        (LOGS_JSON, []),
        (gzip(LOGS_JSON), [JSON, "Content-Encoding: gzip"]),
        (zstd(logs_protobuf()), [PROTOBUF, "Content-Encoding: zstd"]),
        (snappy(logs_protobuf()), [PROTOBUF, "Content-Encoding: snappy"]),
    ],
)
def test_logs_in_every_form(body, headers):
    (status, _, _), (chunk,) = asked("", "/v1/logs", body, *headers)
    assert status == 201
    assert (chunk.times, chunk.bodies) == ([5], [{"log": "hi"}])
    assert chunk.groups[0].metadata["schema"] == "otlp"


def test_keys_of_body_and_metadata():
    section = "logs_body_key m\nlogs_metadata_key meta"
    _, (chunk,) = asked(section, "/v1/logs", LOGS_JSON, JSON)
    assert (chunk.bodies, chunk.metadata) == ([{"m": "hi"}], [{"meta": {}}])


@pytest.mark.parametrize(
    ("arguments", "method", "answer"),
    [
        (["/v1/other", b"{}", JSON], "POST", (404, b"error: invalid endpoint\n")),
        (["/v1/logs"], "GET", (400, b"error: invalid HTTP method\n")),
        (["/v1/logs", b"", JSON], "POST", (400, b"error: invalid content-length\n")),
        (["/v1/logs", b"{", JSON], "POST", (400, b"invalid request: deserialisation error\n")),
        (["/v1/metrics", b"{}"], "POST", (400, b"invalid request: deserialisation error\n")),
        (
            ["/v1/logs", b"x", "Content-Type: text/plain"],
            "POST",
            (400, b"invalid request: deserialisation error\n"),
        ),
    ],
)
def test_what_is_not_taken(arguments, method, answer):
    (status, _, text), chunks = asked("", *arguments, method=method)
    assert (status, text, chunks) == (*answer, [])


def test_what_is_wrong_is_logged_with_its_place():
    context = FakeContext("opentelemetry.0")
    asked("", "/v1/logs", b'{"resourceLogs":[{}]}', JSON, context=context)
    assert any("resourceLogs[0].scopeLogs" in text for _, text in context.sink.messages)


@pytest.mark.parametrize(("code", "status"), [("200", 200), ("204", 204), ("299", 201)])
def test_the_status_of_success(code, status):
    answer, _ = asked(f"successful_response_code {code}", "/v1/logs", LOGS_JSON, JSON)
    assert answer[0] == status


def test_what_is_left_out_is_counted_and_said_in_the_form_of_the_request():
    context = FakeContext("opentelemetry.0")
    metric = {"name": "m", "gauge": {"dataPoints": [{"asInt": "x"}, {"asInt": "1"}]}}
    body = orjson.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
    (status, headers, text), (chunk,) = asked("", "/v1/metrics", body, JSON, context=context)
    assert (status, headers["Content-Type"]) == (201, "application/json")
    assert orjson.loads(text)["partialSuccess"]["rejectedDataPoints"] == "1"
    assert len(chunk.payload.metrics[0].samples) == 1
    assert context.dropped == [(1, "invalid")]


def test_the_partial_success_of_protobuf_is_one():
    from tailrace.inputs.opentelemetry.signals import Signal, Taken

    data = Taken(300, "é").answer(Signal.METRICS, is_json=False)
    expected = ExportMetricsPartialSuccess(rejected_data_points=300, error_message="é")
    assert ExportMetricsServiceResponse.FromString(data).partial_success == expected


@pytest.mark.parametrize(
    ("body", "made"),
    [(TRACES_JSON, orjson.loads(TRACES_JSON)), (b"[1]", {"trace": "[1]"})],
)
def test_raw_traces_are_records(body, made):
    _, (chunk,) = asked("raw_traces on", "/v1/traces", body, JSON)
    assert (chunk.kind, chunk.bodies) == (LOGS, [made])


PROFILES_SECTION = "profiles_support on\nencode_profiles_as_log on"


def test_profiles_are_records_if_wanted():
    arguments = ["/v1development/profiles", b'{"a":1}', JSON]
    (status, _, _), (chunk,) = asked(PROFILES_SECTION, *arguments)
    assert (status, chunk.tag) == (201, "v1development_profiles")
    assert chunk.bodies == [{"Profile": '{"a":1}'}]
    (status, _, _), chunks = asked("", *arguments)
    assert (status, chunks) == (404, [])


def test_profiles_are_passed_on_as_they_came():
    request = ExportProfilesServiceRequest()
    request.resource_profiles.add().scope_profiles.add().profiles.add(time_unix_nano=5)
    data = request.SerializeToString()
    arguments = ["/v1development/profiles", data, PROTOBUF]
    (status, _, _), (chunk,) = asked("profiles_support on", *arguments)
    assert (status, chunk.kind, chunk.count) == (201, PROFILES, 1)
    assert chunk.payload.data == data
    (status, _, _), (chunk,) = asked(PROFILES_SECTION, *arguments)
    assert "Start time unix nano: 5\n" in chunk.bodies[0]["Profile"]
    for wrong in (["/v1development/profiles", b"{}", JSON], [arguments[0], b"\xff", PROTOBUF]):
        (status, _, _), chunks = asked("profiles_support on", *wrong)
        assert (status, chunks) == (400, [])


def test_the_answer_comes_when_the_data_is_delivered():
    async def scenario():
        held = []

        async def emit(chunk):
            chunk.receipt.hold()
            held.append(chunk.receipt)

        async with running(emit=emit) as plugin:
            answer = asyncio.ensure_future(ask(plugin, "/v1/logs", LOGS_JSON, JSON))
            while not held:
                await asyncio.sleep(0.001)
            assert not answer.done()
            held[0].release()
            assert (await answer)[0] == 201

    asyncio.run(scenario())


def test_a_large_request_is_taken_as_any_other(monkeypatch):
    monkeypatch.setattr(opentelemetry, "LARGE_BYTES", 1)
    (status, _, _), (chunk,) = asked("", "/v1/logs", LOGS_JSON, JSON)
    assert (status, chunk.bodies) == (201, [{"log": "hi"}])
    (status, _, _), chunks = asked("", "/v1/logs", b"{}", JSON)
    assert (status, chunks) == (400, [])


def test_without_the_library_logs_are_taken_and_the_rest_is_refused_with_what_to_install(
    monkeypatch,
):
    name = "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2"
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(opentelemetry, "has_library", lambda: False)
    context = FakeContext("opentelemetry.0")
    (status, _, text), _ = asked("", "/v1/metrics", METRICS_JSON, JSON, context=context)
    assert status == 501
    assert b"pip install 'tailrace[otlp]'" in text
    assert any("can't be taken" in said for _, said in context.sink.messages)
    (status, _, _), (chunk,) = asked("", "/v1/logs", logs_protobuf(), PROTOBUF)
    assert (status, chunk.count) == (201, 1)


# Limits


def test_a_body_that_unpacks_to_too_much_is_refused():
    body = gzip(b" " * 40_000 + LOGS_JSON)
    headers = [JSON, "Content-Encoding: gzip"]
    (status, _, _), chunks = asked("buffer_max_size 2k", "/v1/logs", body, *headers)
    assert (status, chunks) == (413, [])


def test_a_body_that_is_too_large_is_refused():
    (status, _, _), chunks = asked("buffer_max_size 1k", "/v1/logs", b" " * 2000, JSON)
    assert (status, chunks) == (413, [])


def test_too_many_records_are_refused(monkeypatch):
    from tailrace.wire.otlp import decode_logs_json

    monkeypatch.setattr(decode_logs_json, "MOST_ITEMS", 0)
    (status, _, _), chunks = asked("", "/v1/logs", LOGS_JSON, JSON)
    assert (status, chunks) == (413, [])


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "snappy", "br"])
def test_a_body_that_is_not_packed_as_it_says_is_read_as_it_came(encoding):
    header = f"Content-Encoding: {encoding}"
    (status, _, _), (chunk,) = asked("", "/v1/logs", LOGS_JSON, JSON, header)
    assert (status, chunk.bodies) == (201, [{"log": "hi"}])
    (status, _, _), chunks = asked("", "/v1/logs", gzip(LOGS_JSON)[:-9], JSON, header)
    assert (status, chunks) == (400, [])
