"""OTLP in JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Chunk, Group
from tailrace.model.metrics import (
    Aggregation,
    ExpHistogram,
    Histogram,
    MetricKind,
    MetricSet,
    Summary,
)
from tailrace.model.traces import (
    Link,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    SpanEvent,
    Traces,
)
from tailrace.testing import EPOCH_NS, chunk_of
from tailrace.wire.otlp.encode_json import any_value
from tailrace.wire.otlp.encode_json_logs import logs_json
from tailrace.wire.otlp.encode_json_metrics import metrics_json
from tailrace.wire.otlp.encode_json_traces import traces_json

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def records(chunk, **options):
    [resource] = json.loads(logs_json(chunk, **options))["resourceLogs"]
    return resource["scopeLogs"][0]["logRecords"]


def metrics_in(metrics):
    [resource] = json.loads(metrics_json(metrics))["resourceMetrics"]
    return resource["scopeMetrics"][0]["metrics"]


def one_metric(kind, value, **options):
    metrics = MetricSet()
    metrics.metric(kind, "m", "what", ["k"], **options).set(value, EPOCH_NS, ["v"])
    return metrics_in(metrics)[0]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ({"log": "a", "message": "b"}, {"stringValue": "a"}),
        ({"n": 1, "message": "b"}, {"stringValue": "b"}),
        ({"n": 1}, {"kvlistValue": {"values": [{"key": "n", "value": {"intValue": "1"}}]}}),
        ({}, {"kvlistValue": {"values": []}}),
    ],
)
def test_the_body_is_log_or_message_or_all(body, value):
    assert records(chunk_of([body])) == [{"timeUnixNano": str(EPOCH_NS), "body": value}]


def test_a_log_of_null_has_no_body():
    assert records(chunk_of([{"log": None}])) == [{"timeUnixNano": str(EPOCH_NS)}]


@pytest.mark.parametrize(
    ("value", "made"),
    [
        (None, {}),
        (True, {"boolValue": True}),
        (-7, {"intValue": "-7"}),
        (2.5, {"doubleValue": 2.5}),
        (b"\x00\xff", {"bytesValue": "AP8="}),
        ([None, 1], {"arrayValue": {"values": [{}, {"intValue": "1"}]}}),
    ],
)
def test_each_type_has_its_own_field(value, made):
    assert any_value(value) == made


def test_the_fields_of_opentelemetry_come_back_from_the_metadata():
    otlp = {
        "timestamp": 5,
        "observed_timestamp": 7,
        "severity_number": 9,
        "severity_text": "INFO",
        "attributes": {"k": 1},
        "trace_id": bytes(range(16)),
        "span_id": bytes(8),
    }
    chunk = Chunk("t", [EPOCH_NS], [{"log": "x"}], [{"otlp": otlp}])
    assert records(chunk) == [
        {
            "timeUnixNano": "5",
            "observedTimeUnixNano": "7",
            "severityNumber": 9,
            "severityText": "INFO",
            "attributes": [{"key": "k", "value": {"intValue": "1"}}],
            "traceId": "000102030405060708090a0b0c0d0e0f",
            "spanId": "0000000000000000",
            "body": {"stringValue": "x"},
        }
    ]


def test_fields_of_a_wrong_type_are_left_out():
    otlp = {"timestamp": "5", "severity_number": True, "trace_id": b"short", "attributes": [1]}
    chunk = Chunk("t", [EPOCH_NS], [{"log": "x"}], [{"otlp": otlp}])
    assert records(chunk) == [{"timeUnixNano": str(EPOCH_NS), "body": {"stringValue": "x"}}]


def test_pretty_is_the_same_indented():
    text = logs_json(chunk_of([{"a": 1.5}]), pretty=True)
    assert text.startswith(b'{\n  "resourceLogs": [\n    {\n      "resource": {},')
    assert json.loads(text) == json.loads(logs_json(chunk_of([{"a": 1.5}])))


@given(st.dictionaries(st.text(), values, max_size=4))
def test_any_body_can_be_written(body):
    assert len(records(chunk_of([body]))) == 1


def placed(resource_id, scope_id, **body):
    return Group({"schema": "otlp", "resource_id": resource_id, "scope_id": scope_id}, body)


def test_resources_and_scopes_are_those_of_the_groups():
    shop = {"attributes": {"service.name": "shop"}, "dropped_attributes_count": 1}
    one = placed(0, 0, resource={**shop, "schema_url": "https://r"}, scope={"name": "a"})
    two = placed(
        0,
        1,
        resource={**shop, "schema_url": "https://r"},
        scope={"version": "2", "schema_url": "s"},
    )
    other = Group({"schema": "mine"}, {"resource": shop})
    chunk = chunk_of([{"log": text} for text in "abcde"], "t")
    chunk.groups = [one, two, one, None, other]
    [first, second] = json.loads(logs_json(chunk))["resourceLogs"]
    assert first["resource"] == {
        "attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}],
        "droppedAttributesCount": 1,
    }
    assert first["schemaUrl"] == "https://r"
    assert [(each["scope"], each.get("schemaUrl")) for each in first["scopeLogs"]] == [
        ({"name": "a"}, None),
        ({"version": "2"}, "s"),
    ]
    found = [
        [record["body"]["stringValue"] for record in scope["logRecords"]]
        for resource in (first, second)
        for scope in resource["scopeLogs"]
    ]
    assert found == [["a", "c"], ["b"], ["d", "e"]]
    assert second["resource"] == second["scopeLogs"][0]["scope"] == {}


def test_metrics_stand_under_their_resource_and_scope_with_all_that_is_said_of_them():
    metrics = MetricSet(
        external={
            "resource": {"attributes": {"a": 1}, "metadata": {"dropped_attributes_count": 2}},
            "resource_metrics": {"metadata": {"schema_url": "https://r"}},
            "scope": {"attributes": {}, "metadata": {"name": "lib", "version": "1"}},
            "otlp": {"metrics": {"gauge": {"m": {"metadata": {"k": "v", "scope_index": 0}}}}},
        }
    )
    exemplar = {
        "as_int": 5,
        "time_unix_nano": 6,
        "span_id": b"s" * 8,
        "trace_id": b"t" * 16,
        "filtered_attributes": {"x": True},
    }
    sample = metrics.metric(MetricKind.GAUGE, "m").set(1.5, EPOCH_NS)
    sample.told = {"flags": 2, "exemplars": [exemplar, {"as_double": 1.5}]}
    [resource] = json.loads(metrics_json(metrics))["resourceMetrics"]
    assert resource["resource"] == {
        "attributes": [{"key": "a", "value": {"intValue": "1"}}],
        "droppedAttributesCount": 2,
    }
    assert resource["schemaUrl"] == "https://r"
    [scope] = resource["scopeMetrics"]
    assert scope["scope"] == {"name": "lib", "version": "1"}
    [metric] = scope["metrics"]
    assert metric["metadata"] == [{"key": "k", "value": {"stringValue": "v"}}]
    [point] = metric["gauge"]["dataPoints"]
    assert point["flags"] == 2
    assert point["exemplars"] == [
        {
            "timeUnixNano": "6",
            "spanId": (b"s" * 8).hex(),
            "traceId": (b"t" * 16).hex(),
            "asInt": "5",
            "filteredAttributes": [{"key": "x", "value": {"boolValue": True}}],
        },
        {"asDouble": 1.5},
    ]


def test_a_histogram_without_a_sum_has_none_but_its_bounds():
    metrics = MetricSet()
    sample = metrics.metric(MetricKind.HISTOGRAM, "m").set(Histogram([1], 0.0, 1), EPOCH_NS)
    sample.told = {"has_sum": False, "min": 0.5, "max": 7.0}
    [point] = metrics_in(metrics)[0]["histogram"]["dataPoints"]
    assert ("sum" in point, point["min"], point["max"]) == (False, 0.5, 7.0)


def test_an_integer_is_one():
    assert one_metric(MetricKind.GAUGE, 3)["gauge"]["dataPoints"][0]["asInt"] == "3"


def test_a_counter_is_a_cumulative_sum():
    assert one_metric(MetricKind.COUNTER, 3.0) == {
        "name": "m",
        "description": "what",
        "sum": {
            "dataPoints": [
                {
                    "attributes": [{"key": "k", "value": {"stringValue": "v"}}],
                    "timeUnixNano": str(EPOCH_NS),
                    "asDouble": 3.0,
                }
            ],
            "aggregationTemporality": 2,
            "isMonotonic": True,
        },
    }


def test_a_gauge_is_a_gauge():
    [point] = one_metric(MetricKind.GAUGE, 2.5)["gauge"]["dataPoints"]
    assert point["asDouble"] == 2.5


def test_a_histogram_has_the_count_of_each_bucket():
    made = one_metric(
        MetricKind.HISTOGRAM,
        Histogram([1, 1, 4], 9.5, 4),
        buckets=(1.0, 2.0),
        aggregation=Aggregation.DELTA,
    )
    [point] = made["histogram"]["dataPoints"]
    assert point["bucketCounts"] == ["1", "0", "3"]
    assert (point["count"], point["sum"], point["explicitBounds"]) == ("4", 9.5, [1.0, 2.0])
    assert made["histogram"]["aggregationTemporality"] == 1


def test_a_summary_has_its_quantiles():
    made = one_metric(MetricKind.SUMMARY, Summary([1.0, 2.0], 3.0, 2), quantiles=(0.5, 0.9))
    [point] = made["summary"]["dataPoints"]
    assert point["quantileValues"] == [
        {"quantile": 0.5, "value": 1.0},
        {"quantile": 0.9, "value": 2.0},
    ]


def test_an_exponential_histogram_keeps_its_buckets():
    value = ExpHistogram(1, 2, 0.5, 3, [4, 5], -1, [6], 17, 8.0)
    [point] = one_metric(MetricKind.EXP_HISTOGRAM, value)["exponentialHistogram"]["dataPoints"]
    assert (point["scale"], point["zeroCount"], point["zeroThreshold"]) == (1, "2", 0.5)
    assert point["positive"] == {"offset": 3, "bucketCounts": ["4", "5"]}
    assert point["negative"] == {"offset": -1, "bucketCounts": ["6"]}


def test_metrics_without_samples_are_left_out():
    metrics = MetricSet()
    metrics.metric(MetricKind.GAUGE, "none", "d")
    assert metrics_in(metrics) == []


def test_a_span_with_all_it_can_have():
    span = Span(
        "GET",
        b"\x0a" * 16,
        b"\x0b" * 8,
        b"\x0c" * 8,
        2,
        17,
        18,
        {"i": 200, "b": b"hi", "l": ["x", None]},
        [SpanEvent("miss", 55, {"k": "v"}, 3)],
        [Link(b"\x01" * 16, b"\x02" * 8, "z=1", {"a": 1.5}, 4, 1)],
        2,
        "bad",
        "a=b",
        257,
        dropped_attributes=1,
        dropped_events=2,
        dropped_links=3,
    )
    scope = ScopeSpans(Scope("lib", "1", {"s": True}, 5), [span], "http://scope")
    traces = Traces([ResourceSpans({"service.name": "shop"}, 6, [scope], "http://res")])
    assert json.loads(traces_json(traces)) == {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}],
                    "droppedAttributesCount": 6,
                },
                "scopeSpans": [
                    {
                        "scope": {
                            "name": "lib",
                            "version": "1",
                            "attributes": [{"key": "s", "value": {"boolValue": True}}],
                            "droppedAttributesCount": 5,
                        },
                        "spans": [
                            {
                                "traceId": "0a" * 16,
                                "spanId": "0b" * 8,
                                "name": "GET",
                                "parentSpanId": "0c" * 8,
                                "traceState": "a=b",
                                "flags": 257,
                                "kind": 2,
                                "startTimeUnixNano": "17",
                                "endTimeUnixNano": "18",
                                "attributes": [
                                    {"key": "i", "value": {"intValue": "200"}},
                                    {"key": "b", "value": {"bytesValue": "aGk="}},
                                    {
                                        "key": "l",
                                        "value": {
                                            "arrayValue": {"values": [{"stringValue": "x"}, {}]}
                                        },
                                    },
                                ],
                                "droppedAttributesCount": 1,
                                "events": [
                                    {
                                        "name": "miss",
                                        "timeUnixNano": "55",
                                        "attributes": [{"key": "k", "value": {"stringValue": "v"}}],
                                        "droppedAttributesCount": 3,
                                    }
                                ],
                                "droppedEventsCount": 2,
                                "links": [
                                    {
                                        "traceId": "01" * 16,
                                        "spanId": "02" * 8,
                                        "traceState": "z=1",
                                        "attributes": [{"key": "a", "value": {"doubleValue": 1.5}}],
                                        "droppedAttributesCount": 4,
                                        "flags": 1,
                                    }
                                ],
                                "droppedLinksCount": 3,
                                "status": {"code": "ERROR", "message": "bad"},
                            }
                        ],
                        "schemaUrl": "http://scope",
                    }
                ],
                "schemaUrl": "http://res",
            }
        ]
    }


def test_what_a_span_has_not_is_left_out():
    traces = Traces([ResourceSpans(scope_spans=[ScopeSpans(spans=[Span("x")])])])
    assert json.loads(traces_json(traces)) == {
        "resourceSpans": [
            {"resource": {}, "scopeSpans": [{"scope": {}, "spans": [{"name": "x", "kind": 1}]}]}
        ]
    }


def test_pretty_traces_are_the_same_document():
    traces = Traces([ResourceSpans({"a": 1.0})])
    pretty = traces_json(traces, pretty=True)
    assert b'\n  "resourceSpans": [' in pretty
    assert json.loads(pretty) == json.loads(traces_json(traces))


def test_text_beyond_ascii_stands_as_it_is():
    assert '"ünï"'.encode() in traces_json(Traces([ResourceSpans({"ünï": "x"})]))
