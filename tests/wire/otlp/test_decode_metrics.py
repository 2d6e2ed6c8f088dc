"""Requests of metrics, as protobuf and as JSON."""

import contextlib
import json

import orjson
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from tailrace.model.metrics import Aggregation, ExpHistogram, Histogram, MetricKind, Summary
from tailrace.wire import cmetrics
from tailrace.wire.otlp import decode_metrics as module
from tailrace.wire.otlp.decode_metrics import MOST_KEYS, decode_metrics, decode_metrics_json
from tailrace.wire.otlp.encode_metrics import encode_metrics
from tailrace.wire.otlp.errors import OtlpError, TooMany


def request(*metrics):
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": list(metrics)}]}]}


def metric(kind, *points, **more):
    return {"name": "m", kind: {"dataPoints": list(points), **more}}


def both(given):
    """The same request, as JSON and as protobuf."""
    message = json_format.ParseDict(given, ExportMetricsServiceRequest())
    return [decode_metrics_json(orjson.dumps(given)), decode_metrics(message.SerializeToString())]


def attribute(key, **value):
    return {"key": key, "value": value}


def the_metric(decoded):
    (made,) = decoded.sets[0].metrics
    return made


def test_a_sum_is_a_counter():
    point = {"startTimeUnixNano": "1", "timeUnixNano": "2", "asInt": "12"}
    given = request(metric("sum", point, aggregationTemporality=1, isMonotonic=True))
    for decoded in both(given):
        made = the_metric(decoded)
        (sample,) = made.samples
        assert (made.kind, made.aggregation, made.allow_reset) == (
            MetricKind.COUNTER,
            Aggregation.DELTA,
            False,
        )
        assert (sample.value, sample.time_ns, sample.start_ns) == (12, 2, 1)
        assert type(sample.value) is int


def test_attributes_are_labels_and_a_point_has_only_its_own():
    given = request(
        metric(
            "gauge",
            {"asDouble": 1.5, "attributes": [attribute("a", stringValue="x")]},
            {"asDouble": 2.5, "attributes": [attribute("b", intValue="7")]},
            {"asDouble": 3.5},
        )
    )
    for decoded in both(given):
        made = the_metric(decoded)
        assert made.label_keys == ("a", "b")
        assert [dict(made.label_pairs(sample)) for sample in made.samples] == [
            {"a": "x"},
            {"b": "7"},
            {},
        ]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ({"boolValue": True}, "1"),
        ({"doubleValue": 0.1}, "0.10000000000000001"),
        ({"bytesValue": "aGk="}, "hi"),
        ({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "b"}]}}, '[1,"b"]'),
        ({}, None),
    ],
)
def test_a_label_is_text(value, label):
    point = {"asInt": "1", "attributes": [{"key": "k", "value": value}]}
    for decoded in both(request(metric("gauge", point))):
        assert the_metric(decoded).samples[0].labels == (label,)


def test_points_that_all_have_keys_of_their_own_take_no_memory_by_the_square():
    count = 10 * MOST_KEYS
    points = [
        {"asInt": "1", "attributes": [attribute(f"k{number}", stringValue="x")]}
        for number in range(count)
    ]
    for decoded in both(request(metric("gauge", *points))):
        made = decoded.sets[0].metrics
        assert {len(each.label_keys) for each in made} == {MOST_KEYS}
        samples = [dict(each.label_pairs(sample)) for each in made for sample in each.samples]
        assert samples == [{f"k{number}": "x"} for number in range(count)]


def test_one_point_may_have_any_number_of_labels():
    pairs = [attribute(f"k{number}", stringValue="x") for number in range(2 * MOST_KEYS)]
    point = {"asInt": "1", "attributes": pairs}
    for decoded in both(request(metric("gauge", point, point))):
        assert len(the_metric(decoded).label_keys) == 2 * MOST_KEYS


def test_buckets_are_added_up():
    point = {"count": "4", "sum": 10.5, "bucketCounts": ["1", "2", "1"], "explicitBounds": [1, 5]}
    for decoded in both(request(metric("histogram", point, aggregationTemporality=2))):
        made = the_metric(decoded)
        assert made.buckets == (1.0, 5.0)
        assert made.samples[0].value == Histogram([1, 3, 4], 10.5, 4)


def test_points_of_other_bounds_are_a_metric_of_their_own():
    points = [
        {"count": "1", "sum": 1, "bucketCounts": ["1", "0"], "explicitBounds": [bound]}
        for bound in (1, 2)
    ]
    for decoded in both(request(metric("histogram", *points))):
        assert [made.buckets for made in decoded.sets[0].metrics] == [(1.0,), (2.0,)]


def test_a_histogram_may_have_no_buckets():
    for decoded in both(request(metric("histogram", {"count": "4", "sum": 8}))):
        assert the_metric(decoded).samples[0].value == Histogram([4], 8.0, 4)


def test_an_exponential_histogram():
    point = {
        "count": "9",
        "scale": 3,
        "zeroCount": "2",
        "zeroThreshold": 0.25,
        "positive": {"offset": -1, "bucketCounts": ["3", "4"]},
        "negative": {"offset": 2, "bucketCounts": []},
    }
    for decoded in both(request(metric("exponentialHistogram", point))):
        assert the_metric(decoded).samples[0].value == ExpHistogram(
            3, 2, 0.25, -1, [3, 4], 2, [], 9, None
        )


def test_a_summary():
    quantiles = [{"quantile": 0.5, "value": 1.5}, {"quantile": 0.9, "value": 3}]
    point = {"count": "4", "sum": 8, "quantileValues": quantiles}
    for decoded in both(request(metric("summary", point))):
        made = the_metric(decoded)
        assert made.quantiles == (0.5, 0.9)
        assert made.samples[0].value == Summary([1.5, 3.0], 8.0, 4)


def test_resource_and_scope_are_kept():
    scope_metrics = {"scope": {"name": "s", "version": "1"}, "metrics": [], "schemaUrl": "u"}
    resource = {"attributes": [attribute("k", stringValue="v")]}
    given = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope_metrics]}]}
    for decoded in both(given):
        (made,) = decoded.sets
        assert made.internal == {"producer": "opentelemetry"}
        assert made.external == {
            "scope": {"metadata": {"name": "s", "version": "1"}, "attributes": {}},
            "resource": {"metadata": {}, "attributes": {"k": "v"}},
            "scope_metrics": {"metadata": {"schema_url": "u"}},
        }


def test_a_point_that_says_there_is_no_value_is_passed_over():
    for decoded in both(request(metric("gauge", {"flags": 1}, {"asInt": "1"}))):
        assert len(the_metric(decoded).samples) == 1
        assert decoded.rejected == 0


def test_a_bad_point_is_left_out_and_counted():
    given = request(metric("gauge", {}, {"asInt": "1"}))
    for decoded in both(given):
        assert [sample.value for sample in the_metric(decoded).samples] == [1]
        assert decoded.rejected == 1
        assert "dataPoints[0]" in decoded.why


@pytest.mark.parametrize(
    "point",
    [{"asInt": "x"}, {"asInt": 1.5}, {"asDouble": "y"}, {"asInt": "1", "timeUnixNano": -1}, 7],
)
def test_a_point_of_wrong_types_is_left_out_and_counted(point):
    decoded = decode_metrics_json(orjson.dumps(request(metric("gauge", point, {"asInt": 1}))))
    assert [sample.value for sample in the_metric(decoded).samples] == [1]
    assert decoded.rejected == 1
    assert decoded.why.startswith("dataPoints[0]")


@pytest.mark.parametrize(
    "point",
    [
        {"count": "1", "bucketCounts": ["1", "0", "0"], "explicitBounds": [1]},
        {"count": "1", "bucketCounts": ["1", "0", "0"], "explicitBounds": [2, 1]},
    ],
)
def test_buckets_that_fit_no_bounds_are_left_out_and_counted(point):
    for decoded in both(request(metric("histogram", point))):
        assert decoded.rejected == 1


@pytest.mark.parametrize(
    "given",
    [
        {},
        [],
        {"resourceMetrics": 1},
        {"resourceMetrics": [{}]},
        {"resourceMetrics": [{"scopeMetrics": [{}]}]},
        request({"gauge": {"dataPoints": []}}),
        request({"name": "m"}),
        request({"name": 5, "gauge": {}}),
    ],
)
def test_what_is_no_request_in_json_is_refused(given):
    with pytest.raises(OtlpError):
        decode_metrics_json(orjson.dumps(given))


def test_points_have_a_limit(monkeypatch):
    monkeypatch.setattr(module, "MOST_ITEMS", 2)
    given = request(metric("gauge", *[{"asInt": "1"}] * 3))
    with pytest.raises(TooMany):
        decode_metrics_json(orjson.dumps(given))


@given(data=st.binary(max_size=60))
def test_any_bytes_give_metrics_or_an_error(data):
    with contextlib.suppress(OtlpError):
        assert decode_metrics(data).rejected >= 0


names = st.sampled_from(
    [
        "resourceMetrics",
        "scopeMetrics",
        "metrics",
        "name",
        "gauge",
        "sum",
        "histogram",
        "exponentialHistogram",
        "summary",
        "dataPoints",
        "asInt",
        "asDouble",
        "attributes",
        "key",
        "value",
        "stringValue",
        "bucketCounts",
        "explicitBounds",
    ]
)
odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 1 << 65)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(given=odd)
def test_any_json_gives_metrics_or_an_error(given):
    points = [metric(kind, given, {"attributes": given, "asInt": "1"}) for kind in KINDS]
    for each in (request(given), request(*points)):
        with contextlib.suppress(OtlpError):
            decode_metrics_json(json.dumps(each).encode())


KINDS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


EXEMPLAR = {
    "timeUnixNano": "3",
    "asInt": "7",
    "spanId": "1112131415161718",
    "traceId": "0102030405060708090a0b0c0d0e0f10",
    "filteredAttributes": [attribute("k", stringValue="v")],
}


@pytest.mark.parametrize(
    ("kind", "point", "told"),
    [
        ("gauge", {"asInt": "1", "flags": 2}, {"flags": 2}),
        ("summary", {"count": "1", "flags": 2}, {"flags": 2}),
        ("sum", {"asInt": "1", "attributes": [attribute("a", stringValue="x")]}, None),
        ("histogram", {"count": "1"}, {"has_sum": False}),
        ("histogram", {"count": "1", "sum": 2, "min": 0, "max": 3}, {"min": 0.0, "max": 3.0}),
        ("exponentialHistogram", {"count": "1", "min": -1}, {"min": -1.0}),
    ],
)
def test_what_is_said_beside_a_value_is_kept_in_storage_and_sent_on(kind, point, told):
    labelled = {**point, "attributes": [attribute("a", stringValue="x")]}
    decoded = decode_metrics_json(orjson.dumps(request(metric(kind, point, labelled))))
    (stored,) = cmetrics.decode(cmetrics.encode(decoded.sets[0]))
    sent = decode_metrics(encode_metrics(stored)).sets[0]
    for each in (decoded.sets[0], stored, sent):
        assert [sample.told for sample in each.metrics[0].samples] == [told, told]


@pytest.mark.parametrize("kind", ["gauge", "histogram", "exponentialHistogram"])
def test_exemplars_are_kept_in_storage_and_sent_on(kind):
    value = {"asInt": "1"} if kind == "gauge" else {"count": "1", "sum": 1}
    point = {**value, "timeUnixNano": "5", "exemplars": [EXEMPLAR, {"asDouble": 1.5}]}
    decoded = decode_metrics_json(orjson.dumps(request(metric(kind, point))))
    (stored,) = cmetrics.decode(cmetrics.encode(decoded.sets[0]))
    for each in (stored, decode_metrics(encode_metrics(stored)).sets[0]):
        first, second = each.metrics[0].samples[0].told["exemplars"]
        assert first == {
            "time_unix_nano": 3,
            "span_id": bytes.fromhex("1112131415161718"),
            "trace_id": bytes.fromhex("0102030405060708090a0b0c0d0e0f10"),
            "as_int": 7,
            "filtered_attributes": {"k": "v"},
        }
        assert second == {"time_unix_nano": 0, "as_double": 1.5}
        assert "datapoints" not in str(each.external)
