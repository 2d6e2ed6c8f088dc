import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.metrics import (
    Aggregation,
    ExpHistogram,
    Histogram,
    MetricKind,
    MetricSet,
    metrics_chunk,
)
from tailrace.processors.cumulative_to_delta import difference
from tailrace.testing import EPOCH_NS, FakeContext, make_plugin


def counter_chunk(value, time_ns, labels=(), **more):
    metrics = MetricSet()
    metric = metrics.metric(
        MetricKind.COUNTER, "c", "d", ["k"], aggregation=Aggregation.CUMULATIVE, **more
    )
    metric.set(value, time_ns, labels)
    return metrics_chunk("t", metrics)


def run(section, *chunks, context=None):
    """Value, start and time of what each chunk becomes; None if it is gone."""
    processor = make_plugin("processor", "cumulative_to_delta", section, context)
    found = []
    for chunk in chunks:
        done = processor.process(chunk)
        sample = done.payload.metrics[0].samples[0] if done.count else None
        found.append(sample and (sample.value, sample.start_ns, sample.time_ns))
    return found


def test_values_become_differences_and_the_first_only_begins():
    chunks = [counter_chunk(5.0, 10), counter_chunk(8.0, 20), counter_chunk(8.5, 30)]
    assert run("", *chunks) == [None, (3.0, 10, 20), (0.5, 20, 30)]


@pytest.mark.parametrize("section", ["initial_value keep", "drop_first off"])
def test_the_first_may_stay_as_it_is(section):
    assert run(section, counter_chunk(5.0, 10), counter_chunk(8.0, 20)) == [
        (5.0, None, 10),
        (3.0, 10, 20),
    ]


def test_auto_keeps_series_that_began_after_the_agent():
    chunks = [counter_chunk(5.0, EPOCH_NS - 1, ["old"]), counter_chunk(6.0, EPOCH_NS + 1, ["new"])]
    assert run("initial_value auto", *chunks) == [None, (6.0, None, EPOCH_NS + 1)]


def test_a_fall_begins_anew():
    chunks = [counter_chunk(5.0, 10), counter_chunk(2.0, 20), counter_chunk(6.0, 30)]
    assert run("", *chunks) == [None, None, (4.0, 20, 30)]


def test_a_fall_may_be_shown():
    assert run("drop_on_reset off", counter_chunk(5.0, 10), counter_chunk(2.0, 20))[1] == (
        2.0,
        20,
        20,
    )


def test_older_samples_are_dropped():
    assert (
        run("", counter_chunk(5.0, 20), counter_chunk(8.0, 20), counter_chunk(9.0, 10))
        == [None] * 3
    )


def test_series_are_told_apart_by_their_labels():
    chunks = [counter_chunk(5.0, 10, ["a"]), counter_chunk(8.0, 20, ["b"])]
    assert run("", *chunks) == [None, None]


@pytest.mark.parametrize(
    "more",
    [
        {"aggregation": Aggregation.DELTA},
        {"allow_reset": True},
        {"aggregation": Aggregation.UNSPECIFIED},
    ],
)
def test_what_is_not_cumulative_stays(more):
    metrics = MetricSet()
    fields = {"aggregation": Aggregation.CUMULATIVE, **more}
    metrics.metric(MetricKind.COUNTER, "c", **fields).set(5.0, 10)
    assert run("", metrics_chunk("t", metrics)) == [(5.0, None, 10)]


def test_only_so_many_series_are_remembered():
    chunks = [counter_chunk(1.0, 10, [k]) for k in "abc"] + [counter_chunk(3.0, 20, ["a"])]
    assert run("max_series 2", *chunks)[-1] is None


def test_stale_series_are_forgotten():
    context = FakeContext()
    processor = make_plugin("processor", "cumulative_to_delta", "max_staleness 10", context)
    processor.process(counter_chunk(1.0, 10, ["a"]))
    context.clock.advance(11)
    processor.process(counter_chunk(1.0, 10, ["b"]))
    assert processor.process(counter_chunk(3.0, 20, ["a"])).count == 0


def test_a_histogram_is_less_the_one_before():
    assert difference(Histogram([3, 5], 9.0, 5), Histogram([1, 2], 4.0, 2)) == Histogram(
        [2, 3], 5.0, 3
    )
    assert difference(Histogram([0, 5], 9.0, 5), Histogram([1, 2], 4.0, 2)) is None


def test_an_exponential_histogram_whose_buckets_moved():
    before = ExpHistogram(0, 1, 0.0, 2, [1, 1], count=3, sum=2.0)
    now = ExpHistogram(0, 1, 0.0, 1, [4, 3, 2], count=10, sum=5.0)
    found = difference(now, before)
    assert (found.positive_offset, found.positive, found.count, found.sum) == (1, [4, 2, 1], 7, 3.0)
    assert difference(ExpHistogram(1, count=9), before) is None


@given(st.lists(st.integers(0, 100), min_size=1, max_size=20))
def test_deltas_add_up_to_the_last_value(steps):
    total, chunks = 0, []
    for number, step in enumerate(steps, 1):
        total += step
        chunks.append(counter_chunk(total, number))
    found = run("initial_value keep", *chunks)
    assert sum(value for value, _, _ in found) == total
