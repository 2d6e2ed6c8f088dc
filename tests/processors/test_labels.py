"""The processor labels."""

import hashlib

import pytest

from tailrace.model.metrics import MetricKind, MetricSet, metrics_chunk
from tailrace.testing import EPOCH_NS, FakeContext, make_plugin
from tailrace.wire import metrics_text


def metric_set(**static):
    made = MetricSet(static_labels=static)
    hits = made.metric(MetricKind.COUNTER, "hits", label_keys=["path"])
    hits.set(5, EPOCH_NS, ["/a"])
    hits.set(7, EPOCH_NS, ["/b"])
    made.metric(MetricKind.COUNTER, "errors").set(1, EPOCH_NS)
    made.metric(MetricKind.GAUGE, "temp", label_keys=["room"]).set(21.5, EPOCH_NS, ["x"])
    return made


def shown(section, metrics=None, tag="t.u"):
    """The samples after the processor, without their time."""
    metrics = metrics or metric_set()
    plugin = make_plugin("processor", "labels", section)
    chunk = plugin.process(metrics_chunk(tag, metrics))
    return [line.split(" ", 1)[1] for line in metrics_text.encode(chunk.payload).splitlines()]


def test_insert_adds_a_label_behind_the_others():
    assert shown({"insert": "zone z1"}) == [
        'hits{path="/a",zone="z1"} = 5',
        'hits{path="/b",zone="z1"} = 7',
        'errors{zone="z1"} = 1',
        'temp{room="x",zone="z1"} = 21.5',
    ]


@pytest.mark.parametrize("name", ["path", "PATH", "static"])
def test_insert_leaves_alone_what_is_there(name):
    metrics = metric_set(static="s")
    before = metrics_text.encode(metrics)
    chunk = make_plugin("processor", "labels", f"insert {name} new").process(
        metrics_chunk("t", metrics)
    )
    assert metrics_text.encode(chunk.payload) == before


def test_update_changes_a_label_where_it_is():
    assert shown("update room changed")[2:] == ["errors = 1", 'temp{room="changed"} = 21.5']


def test_upsert_changes_or_adds_a_label_that_some_metric_has():
    assert shown("upsert path all") == [
        'hits{path="all"} = 5',
        'hits{path="all"} = 7',
        'errors{path="all"} = 1',
        'temp{room="x",path="all"} = 21.5',
    ]


def test_upsert_of_a_label_that_none_has_holds_for_all():
    assert shown("upsert dc main")[2:] == [
        'errors{dc="main"} = 1',
        'temp{dc="main",room="x"} = 21.5',
    ]
    assert shown("upsert DC main", metric_set(dc="old"))[2] == 'errors{dc="main"} = 1'


def test_delete_takes_a_label_away():
    assert shown("delete Path")[:2] == ["hits = 5", "hits = 7"]
    assert shown("delete dc", metric_set(dc="x"))[2] == "errors = 1"


def test_hash_replaces_a_value_by_its_digest():
    digest = hashlib.sha256(b"/a").hexdigest()
    assert shown("hash path")[0] == f'hits{{path="{digest}"}} = 5'
    assert digest in shown("hash dc", metric_set(dc="/a"))[2]


def test_several_are_done_in_their_order():
    section = {"insert": ["a 1", "b $TAG"], "delete": "room", "hash": "a"}
    digest = hashlib.sha256(b"1").hexdigest()
    assert shown(section)[3] == f'temp{{a="{digest}",b="t.u"}} = 21.5'


def test_the_set_that_came_in_is_not_changed():
    metrics = metric_set()
    before = metrics_text.encode(metrics)
    shown("upsert path all", metrics)
    assert metrics_text.encode(metrics) == before


def test_nothing_to_do_is_told():
    context = FakeContext()
    make_plugin("processor", "labels", "", context)
    assert [level for level, _ in context.sink.messages] == ["warn"]
