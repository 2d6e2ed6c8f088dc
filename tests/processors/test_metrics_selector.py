import pytest

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.model.metrics import MetricKind, MetricSet, metrics_chunk
from tailrace.testing import make_plugin


def a_set():
    metrics = MetricSet()
    for name in ("http_requests_total", "http_errors_total", "temp", "disk_http_free"):
        metric = metrics.metric(MetricKind.GAUGE, name, "d", ["path"])
        for value in ("/a", "/b"):
            metric.set(1, 1, [value])
    return metrics


def select(section):
    return make_plugin("processor", "metrics_selector", section).process(
        metrics_chunk("t", a_set())
    )


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("metric_name http_", ["http_requests_total", "http_errors_total"]),
        ("metric_name http_\naction exclude", ["temp", "disk_http_free"]),
        (
            "metric_name http_\noperation_type substring",
            ["http_requests_total", "http_errors_total", "disk_http_free"],
        ),
        ("metric_name /_total$/", ["http_requests_total", "http_errors_total"]),
        ("metric_name /_total$/\naction EXCLUDE", ["temp", "disk_http_free"]),
    ],
)
def test_metrics_are_chosen_by_name(section, names):
    assert [metric.name for metric in select(section).payload.metrics] == names


def test_nothing_left_is_no_chunk():
    assert select("metric_name zzz").count == 0


def test_samples_with_a_label_go():
    chunk = select("context delete_label_value\nlabel path /a")
    assert {sample.labels for m in chunk.payload.metrics for sample in m.samples} == {("/b",)}


@pytest.mark.parametrize(
    "section",
    [
        "",
        "metric_name /[/",
        "metric_name a\naction keep",
        "context delete_label_value",
        "context delete_label_value\nlabel path",
        "context other\nmetric_name a",
    ],
)
def test_mistakes_are_found_at_the_start(section):
    with pytest.raises((ConfigError, InvalidConfiguration)):
        make_plugin("processor", "metrics_selector", section)
