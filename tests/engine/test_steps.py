"""Filters and processors as steps of a pipeline."""

from types import SimpleNamespace

from tailrace.engine.books import FilterBook
from tailrace.engine.busy import BusyClock
from tailrace.engine.steps import FilterStep, apply_step
from tailrace.model import LOGS, METRICS, Group
from tailrace.model.metrics import MetricSet, metrics_chunk
from tailrace.plugin import filter  # noqa: A004  # as users write it
from tailrace.testing import FakeContext, chunk_of, make_plugin
from tailrace.wire.size import packed_size


def step_of(signal):
    settings = {
        "action": "insert",
        "key": "k",
        "value": "v",
        "context": "body" if signal is LOGS else "otel_resource_attributes",
    }
    plugin = make_plugin("processor", "content_modifier", settings, FakeContext(signal=signal))
    section = SimpleNamespace(group=signal.name.lower())
    instance = SimpleNamespace(
        kind="processor", name="p", plugin=plugin, condition=None, section=section
    )
    return FilterStep(instance, FilterBook(), BusyClock())


def test_a_processor_is_handed_the_signal_alone_that_it_stands_under():
    external = {"resource": {"attributes": {}}}
    for signal, body, attributes in [(LOGS, {"k": "v"}, {}), (METRICS, {}, {"k": "v"})]:
        step = step_of(signal)
        assert apply_step(chunk_of([{}]), step).bodies == [body]
        metrics = metrics_chunk("t", MetricSet([], external=external))
        metrics.count = 1
        assert apply_step(metrics, step).payload.external["resource"]["attributes"] == attributes


def test_what_comes_out_of_a_filter_came_the_way_of_what_went_in():
    """A filter that has done with events knows them again, also behind one that gives out another chunk."""
    context = FakeContext()
    plugin = make_plugin("filter", "rewrite_tag", "rule $n ^3$ new true", context)
    instance = SimpleNamespace(
        kind="filter", name="r", plugin=plugin, condition=None, section=SimpleNamespace(group="")
    )
    book = FilterBook()
    chunk = chunk_of([{"n": "1"}, {"n": "3"}])
    chunk.passed_by, chunk.stream, chunk.hops, chunk.padding = ("joiner",), "file", 2, 4
    result = apply_step(chunk, FilterStep(instance, book, BusyClock()))
    assert result is not chunk
    assert (result.passed_by, result.stream, result.hops) == (("joiner",), "file", 2)
    [emitted] = context.emitted
    assert (emitted.passed_by, emitted.stream, emitted.padding) == ((), "file", 4)
    assert book.bytes == packed_size(result) == 2 * 22


@filter("test_doubles")
def doubles(chunk):
    chunk.times = chunk.times * 2
    chunk.bodies = chunk.bodies * 2


def test_events_that_nobody_put_into_groups_are_in_none():
    context = FakeContext()
    plugin = make_plugin("filter", "test_doubles", "", context)
    instance = SimpleNamespace(
        kind="filter",
        name="f",
        plugin=plugin,
        condition=None,
        context=context,
        section=SimpleNamespace(group=""),
    )
    step = FilterStep(instance, FilterBook(), BusyClock())
    for _ in range(2):
        chunk = chunk_of([{"n": 1}, {"n": 2}])
        chunk.groups = [Group({}, {"resource": {}}), None]
        result = apply_step(chunk, step)
        assert (result.count, result.groups) == (4, None)
    assert len(context.sink.messages) == 1
