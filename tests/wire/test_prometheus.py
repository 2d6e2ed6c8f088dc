from prometheus_client.parser import text_string_to_metric_families

from tailrace.model.metrics import ExpHistogram, MetricKind, MetricSet, Summary
from tailrace.wire.prometheus import bound_text, encode

TIME = 1_700_000_000_123_000_000


def parsed(text):
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def test_a_counter_with_its_help_and_type():
    metrics = MetricSet()
    metrics.metric(MetricKind.COUNTER, "n", "What it\nis \\").add(3, TIME)
    assert encode(metrics) == "# HELP n What it\\nis \\\\\n# TYPE n counter\nn 3\n"


def test_labels_are_escaped_so_that_a_reader_gets_them_back():
    metrics = MetricSet(static_labels={"s": "x\ny"})
    value = 'a "q"\\\n'
    metrics.metric(MetricKind.GAUGE, "g", "d", ["k"]).set(1, TIME, [value])
    assert parsed(encode(metrics)) == [("g", {"s": "x\ny", "k": value}, 1.0)]


def test_times_are_milliseconds():
    metrics = MetricSet()
    metrics.metric(MetricKind.GAUGE, "g", "d").set(1, TIME)
    assert encode(metrics, with_time=True).splitlines()[-1] == "g 1 1700000000123"


def test_a_histogram_has_buckets_sum_and_count():
    metrics = MetricSet()
    metric = metrics.metric(MetricKind.HISTOGRAM, "h", "d", ["k"], buckets=(0.5, 1.0))
    metric.observe(0.7, TIME, ["v"])
    assert encode(metrics).splitlines()[2:] == [
        'h_bucket{le="0.5",k="v"} 0',
        'h_bucket{le="1.0",k="v"} 1',
        'h_bucket{le="+Inf",k="v"} 1',
        'h_sum{k="v"} 0.69999999999999996',
        'h_count{k="v"} 1',
    ]


def test_a_summary_without_quantiles_has_sum_and_count_alone():
    metrics = MetricSet()
    metric = metrics.metric(MetricKind.SUMMARY, "s", "d", quantiles=(0.5,))
    metric.set(Summary([0.0], 2.0, 1, has_quantiles=False), TIME)
    assert [name for name, _, _ in parsed(encode(metrics))] == ["s_sum", "s_count"]
    metric.set(Summary([9.0], 2.0, 1), TIME)
    assert parsed(encode(metrics))[0] == ("s", {"quantile": "0.5"}, 9.0)


def test_an_exponential_histogram_is_shown_with_explicit_bounds():
    metrics = MetricSet()
    metric = metrics.metric(MetricKind.EXP_HISTOGRAM, "e", "d")
    metric.set(ExpHistogram(positive=[1, 2], count=3, sum=5.0), TIME)
    assert parsed(encode(metrics)) == [
        ("e_bucket", {"le": "2.0"}, 1.0),
        ("e_bucket", {"le": "4.0"}, 3.0),
        ("e_bucket", {"le": "+Inf"}, 3.0),
        ("e_sum", {}, 5.0),
        ("e_count", {}, 3.0),
    ]


def test_a_metric_without_samples_is_left_out():
    metrics = MetricSet()
    metrics.metric(MetricKind.COUNTER, "n", "d")
    assert encode(metrics) == ""


def test_bounds_are_short_where_that_is_exact():
    shown = [bound_text(bound) for bound in (1.0, 0.005, 123456789.0, 1e300, float("inf"))]
    assert shown == ["1.0", "0.005", "123456789.0", "1.0000000000000001e+300", "inf"]


def test_names_are_those_that_prometheus_allows():
    metrics = MetricSet(static_labels={"host.name": "h"})
    keys = ["http.method", "1st"]
    metrics.metric(MetricKind.GAUGE, "http.server-duration", "d", keys).set(1, TIME, ["GET", "x"])
    text = encode(metrics)
    assert parsed(text) == [
        ("http_server_duration", {"host_name": "h", "http_method": "GET", "_1st": "x"}, 1.0)
    ]
    assert "# TYPE http_server_duration gauge" in text


def test_labels_whose_keys_become_the_same_are_joined():
    metrics = MetricSet()
    metrics.metric(MetricKind.GAUGE, "g", "d", ["a_b", "a.b"]).set(1, TIME, ["x", "y"])
    assert parsed(encode(metrics)) == [("g", {"a_b": "y;x"}, 1.0)]
