"""The processor opentelemetry_envelope."""

import pytest

from tailrace.model import Group
from tailrace.model.metrics import MetricSet, metrics_chunk
from tailrace.testing import chunk_of, make_plugin

EMPTY = {"resource": {}, "scope": {}}


def wrapped(chunk):
    return make_plugin("processor", "opentelemetry_envelope").process(chunk)


def test_plain_events_get_one_empty_group():
    first, second = wrapped(chunk_of([{"a": 1}, {"a": 2}])).groups
    assert first is second
    assert first.metadata == {"schema": "otlp", "resource_id": 0, "scope_id": 0}
    assert first.body == EMPTY


def test_events_that_are_in_a_group_keep_it():
    known = Group({"schema": "otlp"}, {"resource": {"attributes": {"k": "v"}}})
    chunk = chunk_of([{"a": 1}, {"a": 2}])
    chunk.groups = [known, None]
    first, second = wrapped(chunk).groups
    assert first is known
    assert second.body == EMPTY


@pytest.mark.parametrize(
    ("external", "attributes"), [({}, {}), ({"resource": {"attributes": {"k": "v"}}}, {"k": "v"})]
)
def test_metrics_get_the_places_that_are_missing(external, attributes):
    made = wrapped(metrics_chunk("t", MetricSet(external=external))).payload
    assert made.internal == {"producer": "fluent-bit"}
    assert made.external["resource"] == {"attributes": attributes, "metadata": {}}
    assert made.external["scope"] == {"attributes": {}, "metadata": {}}
    assert made.external["scope_metrics"] == made.external["resource_metrics"] == {"metadata": {}}


def test_a_producer_that_is_known_stays():
    metrics = MetricSet(internal={"producer": "opentelemetry"})
    assert wrapped(metrics_chunk("t", metrics)).payload.internal == {"producer": "opentelemetry"}
