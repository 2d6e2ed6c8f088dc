import pytest

from tailrace.config.errors import ConfigError
from tailrace.model import Chunk
from tailrace.model.metrics import Histogram
from tailrace.testing import FakeContext, make_plugin

HEAD = "tag m\nmetric_name n\nmetric_description d\n"


def run(section, *bodies, context=None):
    """The plugin's context after a chunk of these bodies, and what is left of it."""
    context = context or FakeContext()
    plugin = make_plugin("filter", "log_to_metrics", HEAD + section, context)
    left = plugin.process(Chunk("t", [0] * len(bodies), list(bodies)))
    return context, left.bodies


def samples(chunk):
    return {sample.labels: sample.value for sample in chunk.payload.metrics[0].samples}


def test_events_are_counted_by_label_after_each_event():
    context, left = run("label_field path", {"path": "/a"}, {"path": "/b"}, {"path": "/a"})
    assert [samples(chunk) for chunk in context.emitted] == [
        {("/a",): 1},
        {("/a",): 1, ("/b",): 1},
        {("/a",): 2, ("/b",): 1},
    ]
    assert context.emitted[0].tag == "m"
    assert context.emitted[0].payload.metrics[0].full_name == "log_metric_counter_n"
    assert len(left) == 3


def test_labels_come_in_the_order_in_which_they_are_written():
    section = "label_field s\nadd_label deep $a['l']\nlabel_field i"
    context, _ = run(section, {"s": "x", "i": 5, "a": {"l": 1.5}}, {"s": True, "i": None})
    metric = context.emitted[-1].payload.metrics[0]
    assert metric.label_keys == ("s", "deep", "i")
    assert samples(context.emitted[-1]) == {("x", "1.500000", "5"): 1, ("", "", ""): 1}


@pytest.mark.parametrize("value", [7, 7.0, "7", "7 ms"])
def test_a_gauge_has_the_last_value(value):
    context, _ = run("metric_mode gauge\nvalue_field v", {"v": 1}, {"v": value})
    assert samples(context.emitted[-1]) == {(): 7.0}


def test_a_histogram_counts_values_by_bucket():
    section = "metric_mode histogram\nvalue_field v\nbucket 5\nbucket 1"
    context, _ = run(section, {"v": 0.5}, {"v": 3}, {"v": 7})
    assert context.emitted[-1].payload.metrics[0].buckets == (1.0, 5.0)
    assert samples(context.emitted[-1]) == {(): Histogram([1, 2, 3], 10.5, 3)}


@pytest.mark.parametrize("value", [None, True, "fast", [1], {"a": 1}])
def test_what_is_no_number_is_not_counted(value):
    context, _ = run("metric_mode gauge\nvalue_field v", {"v": value}, {})
    assert context.emitted == []


def test_rules_choose_events():
    section = "regex l ^warn\nexclude h ^skip$\nlabel_field h"
    bodies = [
        {"l": "warn", "h": "a"},
        {"l": "info", "h": "b"},
        {"l": "warn", "h": "skip"},
        {"h": "c"},
    ]
    context, _ = run(section, *bodies)
    assert samples(context.emitted[-1]) == {("a",): 1}


def test_an_interval_gives_what_has_changed():
    context, _ = run("flush_interval_sec 1", {"a": 1}, {"a": 1})
    assert context.emitted == []
    context.advance(1)
    context.advance(1)
    assert [samples(chunk) for chunk in context.emitted] == [{(): 2}]


def test_what_the_interval_has_not_given_yet_comes_at_the_end():
    plugin = make_plugin("filter", "log_to_metrics", HEAD + "flush_interval_sec 9", FakeContext())
    plugin.process(Chunk("t", [0], [{}]))
    assert [samples(chunk) for chunk in plugin.drain()] == [{(): 1}]
    assert plugin.drain() == []


def test_of_many_events_only_the_last_state_is_given():
    context, _ = run("", *({} for _ in range(500)))
    assert [samples(chunk) for chunk in context.emitted] == [{(): 500}]


def test_label_values_without_end_are_limited():
    context, _ = run("label_field id\nmax_series 10", *({"id": number} for number in range(50)))
    assert len(samples(context.emitted[-1])) == 10
    assert [level for level, _ in context.sink.messages] == ["error"]


def test_labels_of_kubernetes_come_first():
    section = "kubernetes_mode on\nlabel_field x"
    context, _ = run(section, {"x": "a", "kubernetes": {"pod_name": "p", "docker_id": "d"}})
    assert samples(context.emitted[-1]) == {("", "p", "", "d", "", "a"): 1}


def test_events_may_go():
    context, left = run("discard_logs on", {"a": 1})
    assert (len(context.emitted), left) == (1, [])


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ("metric_name n\nmetric_description d", "tag"),
        ("tag m\nmetric_name n", "metric_description"),
        (HEAD + "metric_mode summary", "metric_mode"),
        (HEAD + "metric_mode gauge", "value_field"),
        (HEAD + "regex a [", "regex"),
    ],
)
def test_mistakes_are_found_at_the_start(section, what):
    with pytest.raises(ConfigError, match=what):
        make_plugin("filter", "log_to_metrics", section)
