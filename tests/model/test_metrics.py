import pytest

from tailrace.model import METRICS
from tailrace.model.metrics import (
    ExpHistogram,
    Histogram,
    MetricKind,
    MetricSet,
    joined_sets,
    metrics_chunk,
)


def test_a_full_name_leaves_out_what_is_empty():
    metrics = MetricSet()
    full = metrics.metric(MetricKind.COUNTER, "n", namespace="ns", subsystem="sub")
    short = metrics.metric(MetricKind.COUNTER, "n", namespace="ns")
    assert (full.full_name, short.full_name) == ("ns_sub_n", "ns_n")


def test_a_metric_of_the_same_kind_and_name_is_the_same():
    metrics = MetricSet()
    one = metrics.metric(MetricKind.COUNTER, "n")
    assert metrics.metric(MetricKind.COUNTER, "n") is one
    assert metrics.metric(MetricKind.GAUGE, "n") is not one


def test_counters_add_up_by_labels_and_keep_the_last_time():
    counter = MetricSet().metric(MetricKind.COUNTER, "n", label_keys=["path"])
    counter.add(1, 10, ["/a"])
    counter.add(2, 20, ["/a"])
    counter.add(5, 30, ["/b"])
    assert [(s.labels, s.value, s.time_ns) for s in counter.samples] == [
        (("/a",), 3, 20),
        (("/b",), 5, 30),
    ]


def test_a_histogram_counts_cumulatively_and_includes_the_bound():
    metric = MetricSet().metric(MetricKind.HISTOGRAM, "h", buckets=(1.0, 5.0))
    for value in (0.5, 1.0, 3.0, 7.0):
        metric.observe(value, 1)
    assert metric.samples[0].value == Histogram([2, 3, 4], 11.5, 4)


def test_ordered_gives_the_sample_without_labels_first():
    metric = MetricSet().metric(MetricKind.GAUGE, "g", label_keys=["k"])
    metric.set(1, 0, ["x"])
    metric.set(2, 0)
    assert [sample.labels for sample in metric.ordered()] == [(), ("x",)]


def test_an_exponential_histogram_becomes_explicit():
    shape = ExpHistogram(
        scale=0, zero_count=1, positive_offset=0, positive=[2, 3], negative=[4], count=10, sum=6.0
    )
    bounds, histogram = shape.to_explicit()
    assert bounds == [-1.0, 0.0, 2.0, 4.0]
    assert histogram == Histogram([4, 5, 7, 10, 10], 6.0, 10)


def test_a_scale_without_bounds_is_refused():
    with pytest.raises(ValueError, match="scale -2000"):
        ExpHistogram(scale=-2000, positive=[1]).to_explicit()


def test_joining_brings_samples_of_one_metric_together():
    first, second = MetricSet(), MetricSet(static_labels={"site": "b"})
    first.metric(MetricKind.COUNTER, "n", label_keys=["k"]).set(1, 1, ["x"])
    second.metric(MetricKind.COUNTER, "n", label_keys=["k"]).set(2, 1, ["x"])
    joined = joined_sets([first, second])
    [metric] = joined.metrics
    assert metric.label_keys == ("k", "site")
    assert [(s.labels, s.value) for s in metric.samples] == [(("x", None), 1), (("x", "b"), 2)]


def test_joining_replaces_a_sample_of_the_same_labels():
    sets = [MetricSet(), MetricSet()]
    for number, each in enumerate(sets):
        each.metric(MetricKind.GAUGE, "g").set(number, number)
    [metric] = joined_sets(sets).metrics
    assert [sample.value for sample in metric.samples] == [1]


def test_joining_never_mixes_histograms_of_different_buckets():
    sets = [MetricSet(), MetricSet()]
    for each, bounds in zip(sets, [(1.0,), (2.0,)], strict=True):
        each.metric(MetricKind.HISTOGRAM, "h", buckets=bounds).observe(1.0, 1)
    assert [metric.buckets for metric in joined_sets(sets).metrics] == [(1.0,), (2.0,)]


def test_a_chunk_of_metrics_is_one_event():
    metrics = MetricSet()
    metrics.metric(MetricKind.GAUGE, "g").set(1, 1)
    chunk = metrics_chunk("t", metrics)
    assert (chunk.kind, chunk.count, chunk.payload) == (METRICS, 1, metrics)


def test_a_deep_copy_of_a_chunk_shares_no_metrics():
    metrics = MetricSet()
    metrics.metric(MetricKind.GAUGE, "g").set(1, 1)
    twin = metrics_chunk("t", metrics).copy(deep=True)
    twin.payload.metrics[0].set(2, 2)
    assert metrics.metrics[0].samples[0].value == 1
    assert (twin.kind, twin.count) == (METRICS, 1)
