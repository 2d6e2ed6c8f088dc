"""The output stdout."""

import asyncio
import json
import re
import sys

import pytest
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)

from tailrace.config.options import describe
from tailrace.model import Chunk, Group
from tailrace.model.metrics import MetricKind, MetricSet, metrics_chunk
from tailrace.model.profiles import profiles_chunk
from tailrace.model.traces import ResourceSpans, Traces, traces_chunk
from tailrace.plugin import Reject, Retry
from tailrace.plugin.registry import find
from tailrace.testing import EPOCH_NS, FakeContext, make_plugin, options_class_of, run_output

SECONDS = EPOCH_NS // 1_000_000_000


@pytest.fixture
def printed(capfdbinary):
    """What the output prints for these bodies."""

    def run(section, *bodies, context=None):
        run_output("stdout", section, *bodies, tag="t", context=context)
        return capfdbinary.readouterr().out

    return run


def test_the_default_is_one_numbered_line_an_event(printed):
    assert printed("", {"a": 1}, {"b": "x"}) == (
        b'[0] t: [[%d.000000000, {}], {"a"=>1}]\n' % SECONDS
        + b'[1] t: [[%d.000000000, {}], {"b"=>"x"}]\n' % (SECONDS + 1)
    )


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("json", b'[{"a":1},{"a":2}]\n'),
        ("json_lines", b'{"a":1}\n{"a":2}\n'),
        ("json_stream", b'{"a":1}{"a":2}\n'),
        ("JSON_Lines", b'{"a":1}\n{"a":2}\n'),
    ],
)
def test_a_json_layout_ends_with_one_newline(printed, layout, expected):
    assert printed(f"format {layout}\njson_date_key false", {"a": 1}, {"a": 2}) == expected


def test_the_date_stands_first_under_its_key(printed):
    section = "format json_lines\njson_date_key ts\njson_date_format epoch"
    assert printed(section, {"a": 1}) == b'{"ts":%d,"a":1}\n' % SECONDS


@pytest.mark.parametrize(("escape", "text"), [(True, b'"\\u00e9"'), (False, '"é"'.encode())])
def test_the_service_says_whether_unicode_is_escaped(printed, escape, text):
    context = FakeContext(service={"json.escape_unicode": escape})
    section = "format json_lines\njson_date_key false"
    assert printed(section, {"a": "é"}, context=context) == b'{"a":' + text + b"}\n"


def test_every_date_format_that_the_help_names_is_there(printed):
    [help_text] = [
        each.help
        for each in describe(options_class_of(find("output", "stdout")))
        if each.name == "json_date_format"
    ]
    names = re.findall(r"[a-z0-9_]+", help_text.replace(" or ", " "))
    section = "format json_lines\njson_date_format"
    assert len({printed(f"{section} {name}", {"a": 1}) for name in names}) == len(names) == 6


def test_metadata_stands_beside_the_time():
    chunk = Chunk("t", [1_000_000_002], [{}], [{"m": True}])
    text = make_plugin("output", "stdout").as_text(chunk)
    assert text == b'[0] t: [[1.000000002, {"m"=>true}], {}]\n'


def test_the_group_of_an_event_stands_before_it():
    shop = Group({"schema": "otlp"}, {"resource": {"name": "shop"}})
    chunk = Chunk("t", [1_500_000_000, 2_000_000_000], [{"n": 1}, {"n": 2}], groups=[shop, None])
    assert make_plugin("output", "stdout").as_text(chunk).decode() == (
        'GROUP METADATA : \n\n{"schema"=>"otlp"}\n\n'
        'GROUP ATTRIBUTES : \n\n{"resource"=>{"name"=>"shop"}}\n\n'
        '[0] t: [[1.500000000, {}], {"n"=>1}]\n'
        '[1] t: [[2.000000000, {}], {"n"=>2}]\n'
    )


def test_bytes_that_are_no_text_are_printed_as_they_came(printed):
    assert b'"\xff"' in printed("", {"a": b"\xff".decode("utf-8", "surrogateescape")})


def test_an_unknown_format_is_the_default():
    assert make_plugin("output", "stdout", "format xml").layout == "msgpack"


def test_an_output_that_is_closed_keeps_the_chunk(monkeypatch):
    class Closed:
        def write(self, data):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", type("Stdout", (), {"buffer": Closed()}))
    context = FakeContext()
    context.is_only_output = False
    with pytest.raises(Retry, match="has gone"):
        run_output("stdout", "", {"a": 1}, context=context)
    assert context.exit_code is None


def test_the_agent_ends_when_nobody_reads_its_only_output_any_more(monkeypatch):
    class Closed:
        def write(self, data):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", type("Stdout", (), {"buffer": Closed()}))
    context = FakeContext()
    with pytest.raises(Retry):
        run_output("stdout", "", {"a": 1}, context=context)
    assert context.exit_code == 0
    assert "the agent ends" in context.sink.messages[0][1]


def test_metrics_are_printed_as_text_whatever_the_format(capfdbinary):
    metrics = MetricSet()
    metrics.metric(MetricKind.COUNTER, "hits", "d").add(3, EPOCH_NS)
    output = make_plugin("output", "stdout", "format json")
    asyncio.run(output.flush(metrics_chunk("t", metrics)))
    assert capfdbinary.readouterr().out == b"2023-11-14T22:13:20.000000000Z hits = 3\n"


def test_otlp_json_is_a_line_for_a_chunk(printed):
    [line] = printed("format otlp_json", {"log": "a"}, {"log": "b"}).splitlines()
    [resource] = json.loads(line)["resourceLogs"]
    assert len(resource["scopeLogs"][0]["logRecords"]) == 2


def test_traces_are_printed_as_text_whatever_the_format(capfdbinary):
    traces = Traces([ResourceSpans({"service.name": "shop"})])
    output = make_plugin("output", "stdout", "format json_lines")
    asyncio.run(output.flush(traces_chunk("t", traces)))
    assert b"            - service.name: 'shop'\n" in capfdbinary.readouterr().out


def test_profiles_are_printed_as_text_and_never_as_otlp_json(capfdbinary):
    request = ExportProfilesServiceRequest()
    request.resource_profiles.add(schema_url="http://r")
    chunk = profiles_chunk("t", request.SerializeToString())
    asyncio.run(make_plugin("output", "stdout", "format json").flush(chunk))
    assert b"    Schema URL :http://r\n" in capfdbinary.readouterr().out
    with pytest.raises(Reject, match="no OTLP/JSON of profiles"):
        asyncio.run(make_plugin("output", "stdout", "format otlp_json").flush(chunk))


def test_otlp_json_takes_traces_too(capfdbinary):
    traces = Traces([ResourceSpans({"service.name": "shop"})])
    output = make_plugin("output", "stdout", "format otlp_json")
    asyncio.run(output.flush(traces_chunk("t", traces)))
    [resource] = json.loads(capfdbinary.readouterr().out)["resourceSpans"]
    assert resource["resource"]["attributes"][0]["key"] == "service.name"


def test_otlp_json_takes_metrics_too(capfdbinary):
    metrics = MetricSet()
    metrics.metric(MetricKind.COUNTER, "hits", "d").add(3, EPOCH_NS)
    output = make_plugin("output", "stdout", "format otlp_json_pretty")
    asyncio.run(output.flush(metrics_chunk("t", metrics)))
    assert b'"asDouble": 3.0' in capfdbinary.readouterr().out
