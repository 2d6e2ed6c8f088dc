"""Metrics as OTLP protobuf, read back by the library."""

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tailrace.model.metrics import (
    Aggregation,
    ExpHistogram,
    Histogram,
    MetricKind,
    MetricSet,
    Summary,
)
from tailrace.testing import EPOCH_NS
from tailrace.wire.otlp.encode_metrics import encode_metrics
from tests.wire.otlp.test_protobuf import plain


def resources_of(metrics, labels=()):
    return list(
        ExportMetricsServiceRequest.FromString(encode_metrics(metrics, labels)).resource_metrics
    )


def metrics_of(metrics, labels=()):
    [resource] = resources_of(metrics, labels)
    [scope] = resource.scope_metrics
    return list(scope.metrics)


def one(kind, value, labels=(), **more):
    metrics = MetricSet()
    metrics.metric(kind, "m", "what", ["k"], **more).set(value, EPOCH_NS, ["v"])
    [made] = metrics_of(metrics, labels)
    return made


def pairs(point):
    return [(each.key, plain(each.value)) for each in point.attributes]


def test_a_counter_is_a_sum():
    metric = one(MetricKind.COUNTER, 3.0, [("env", "test")], unit="By")
    assert (metric.name, metric.description, metric.unit) == ("m", "what", "By")
    assert (metric.sum.aggregation_temporality, metric.sum.is_monotonic) == (2, True)
    [point] = metric.sum.data_points
    assert (point.as_double, point.time_unix_nano) == (3.0, EPOCH_NS)
    assert pairs(point) == [("env", "test"), ("k", "v")]


def test_a_counter_that_may_fall_is_not_monotonic():
    metric = one(MetricKind.COUNTER, 3, aggregation=Aggregation.DELTA, allow_reset=True)
    assert (metric.sum.aggregation_temporality, metric.sum.is_monotonic) == (1, False)


@pytest.mark.parametrize("kind", [MetricKind.GAUGE, MetricKind.UNTYPED])
def test_gauges_and_untyped_values_are_gauges(kind):
    metric = one(kind, -1.5, [("env", "test")])
    [point] = metric.gauge.data_points
    assert (point.as_double, pairs(point)) == (-1.5, [("env", "test"), ("k", "v")])


def test_a_value_of_0_is_there():
    [point] = one(MetricKind.GAUGE, 0.0).gauge.data_points
    assert point.WhichOneof("value") == "as_double"


@pytest.mark.parametrize(
    ("number", "field"),
    [
        (1.0, "as_double"),
        (1, "as_int"),
        (2**53 + 1, "as_int"),
        (-(2**63), "as_int"),
        (2**63, "as_double"),
    ],
)
def test_integers_stay_integers(number, field):
    [point] = one(MetricKind.GAUGE, number).gauge.data_points
    assert point.WhichOneof("value") == field
    assert getattr(point, field) == number


def test_metadata_of_a_metric_is_passed_on_without_its_place():
    told = {"metadata": {"a": "b", "scope_flat_index": 0}}
    metrics = MetricSet(external={"otlp": {"metrics": {"gauge": {"m": told}}}})
    metrics.metric(MetricKind.GAUGE, "m").set(1.0, EPOCH_NS)
    [metric] = metrics_of(metrics)
    assert [(each.key, plain(each.value)) for each in metric.metadata] == [("a", "b")]


def test_the_buckets_of_a_histogram_are_counted_each_by_itself():
    value = Histogram([1, 1, 3, 4], 12.5, 4)
    metric = one(MetricKind.HISTOGRAM, value, [("env", "test")], buckets=(0.5, 1.0, 10.0))
    assert metric.histogram.aggregation_temporality == 2
    [point] = metric.histogram.data_points
    assert list(point.bucket_counts) == [1, 0, 2, 1]
    assert list(point.explicit_bounds) == [0.5, 1.0, 10.0]
    assert (point.count, point.sum, pairs(point)) == (4, 12.5, [("env", "test"), ("k", "v")])


def test_an_exponential_histogram():
    value = ExpHistogram(-2, 3, 0.25, -5, [1, 0, 2], 4, [7], 13, 1.5)
    metric = one(MetricKind.EXP_HISTOGRAM, value, [("env", "test")], aggregation=Aggregation.DELTA)
    [point] = metric.exponential_histogram.data_points
    assert metric.exponential_histogram.aggregation_temporality == 1
    assert (point.scale, point.zero_count, point.zero_threshold) == (-2, 3, 0.25)
    assert (point.count, point.sum, pairs(point)) == (13, 1.5, [("env", "test"), ("k", "v")])
    assert (point.positive.offset, list(point.positive.bucket_counts)) == (-5, [1, 0, 2])
    assert (point.negative.offset, list(point.negative.bucket_counts)) == (4, [7])


def test_an_exponential_histogram_without_a_sum_has_none():
    [point] = one(MetricKind.EXP_HISTOGRAM, ExpHistogram(count=1)).exponential_histogram.data_points
    assert not point.HasField("sum")


def test_a_summary():
    metric = one(
        MetricKind.SUMMARY, Summary([1.5, 9.0], 20.0, 7), [("env", "test")], quantiles=(0.5, 0.99)
    )
    [point] = metric.summary.data_points
    assert (point.count, point.sum, pairs(point)) == (7, 20.0, [("env", "test"), ("k", "v")])
    assert [(each.quantile, each.value) for each in point.quantile_values] == [
        (0.5, 1.5),
        (0.99, 9.0),
    ]


def test_a_summary_of_sum_and_count_alone_has_no_quantiles():
    value = Summary([0.0], 20.0, 7, has_quantiles=False)
    [point] = one(MetricKind.SUMMARY, value, quantiles=(0.5,)).summary.data_points
    assert not point.quantile_values


def test_start_times_and_static_labels_are_there():
    metrics = MetricSet(static_labels={"host": "web"})
    metrics.metric(MetricKind.COUNTER, "m").set(1, EPOCH_NS).start_ns = 5
    [point] = metrics_of(metrics)[0].sum.data_points
    assert (point.start_time_unix_nano, pairs(point)) == (5, [("host", "web")])


def test_metrics_without_samples_are_left_out():
    metrics = MetricSet()
    metrics.metric(MetricKind.GAUGE, "empty")
    assert metrics_of(metrics) == []


def test_resource_and_scope_of_the_set_are_passed_on():
    metrics = MetricSet(
        external={
            "resource": {
                "attributes": {"service.name": "shop"},
                "metadata": {"dropped_attributes_count": 1},
            },
            "resource_metrics": {"metadata": {"schema_url": "https://r"}},
            "scope": {"attributes": {"a": 1}, "metadata": {"name": "lib", "version": "2"}},
            "scope_metrics": {"metadata": {"schema_url": "https://s"}},
        }
    )
    metrics.metric(MetricKind.GAUGE, "m").set(1, EPOCH_NS)
    [resource] = resources_of(metrics)
    [scope] = resource.scope_metrics
    assert pairs(resource.resource) == [("service.name", "shop")]
    assert (resource.schema_url, resource.resource.dropped_attributes_count) == ("https://r", 1)
    assert (scope.scope.name, scope.scope.version, pairs(scope.scope)) == ("lib", "2", [("a", 1)])
    assert (scope.schema_url, len(scope.metrics)) == ("https://s", 1)


def test_each_metric_goes_to_its_own_resource_and_scope():
    def scope(name):
        return {"scope": {"attributes": {}, "metadata": {"name": name}}}

    def told(**place):
        return {"metadata": place}

    metrics = MetricSet(
        external={
            "resource_metrics_list": [
                {
                    "resource": {"attributes": {"r": 0}},
                    "scope_metrics_list": [scope("a"), scope("b")],
                },
                {"resource": {"attributes": {"r": 1}}, "scope_metrics_list": [scope("c")]},
            ],
            "otlp": {
                "metrics": {
                    "gauge": {
                        "one": told(scope_flat_index=1),
                        "two": told(resource_index=1, scope_index=0),
                        "bad": told(scope_flat_index=99),
                        "worse": told(resource_index=7, scope_index="x"),
                    }
                }
            },
        }
    )
    for name in ("one", "two", "bad", "worse", "unknown"):
        metrics.metric(MetricKind.GAUGE, name).set(1, EPOCH_NS)
    found = [
        (
            pairs(resource.resource),
            [(s.scope.name, [m.name for m in s.metrics]) for s in resource.scope_metrics],
        )
        for resource in resources_of(metrics)
    ]
    assert found == [
        ([("r", 0)], [("a", ["bad", "worse", "unknown"]), ("b", ["one"])]),
        ([("r", 1)], [("c", ["two"])]),
    ]
