from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.metrics import (
    Aggregation,
    ExpHistogram,
    Histogram,
    Metric,
    MetricKind,
    MetricSet,
    Sample,
    Summary,
)
from tailrace.wire.cmetrics import MetricsError, decode, encode

words = st.text(max_size=6)
counts = st.integers(0, 2**63)
finite = st.floats(allow_nan=False)


@st.composite
def metric(draw):
    kind = draw(st.sampled_from(MetricKind))
    bounds = tuple(draw(st.lists(finite, max_size=3)))
    keys = tuple(draw(st.lists(words, max_size=2)))
    values = {
        MetricKind.HISTOGRAM: st.builds(
            Histogram,
            st.lists(counts, min_size=len(bounds) + 1, max_size=len(bounds) + 1),
            finite,
            counts,
        ),
        MetricKind.SUMMARY: st.builds(
            Summary, st.lists(finite, max_size=3), finite, counts, st.booleans()
        ),
        MetricKind.EXP_HISTOGRAM: st.builds(
            ExpHistogram,
            st.integers(-10, 20),
            counts,
            finite,
            st.integers(-99, 99),
            st.lists(counts, max_size=3),
            st.integers(-99, 99),
            st.lists(counts, max_size=3),
            counts,
            st.none() | finite,
        ),
    }.get(kind, finite | st.integers(2**54, 2**64 - 1))
    labels = st.tuples(*(st.none() | words for _ in keys))
    samples = st.builds(Sample, labels, values, counts, st.none() | counts)
    is_summed = kind in (MetricKind.COUNTER, MetricKind.HISTOGRAM, MetricKind.EXP_HISTOGRAM)
    return Metric(
        kind,
        draw(words),
        draw(words),
        keys,
        draw(words),
        draw(words),
        draw(words),
        draw(st.sampled_from(Aggregation)) if is_summed else Aggregation.UNSPECIFIED,
        bounds if kind is MetricKind.HISTOGRAM else (),
        bounds if kind is MetricKind.SUMMARY else (),
        draw(st.lists(samples, max_size=3)),
    )


sets = st.builds(
    MetricSet,
    st.lists(metric(), max_size=3),
    st.dictionaries(words, words, max_size=2),
    st.dictionaries(words, words, max_size=1),
    st.dictionaries(words, st.integers(0, 9), max_size=1),
)


@given(st.lists(sets, max_size=3))
def test_what_was_written_is_read(given_sets):
    found = decode(b"".join(map(encode, given_sets)))
    assert len(found) == len(given_sets)
    for read, written in zip(found, given_sets, strict=True):
        assert sorted(map(repr, read.metrics)) == sorted(map(repr, written.metrics))
        assert read.static_labels == written.static_labels
        assert (read.internal, read.external) == (written.internal, written.external)


@given(st.binary(max_size=200))
def test_any_bytes_give_metrics_or_an_error(data):
    with suppress(MetricsError):
        decode(data)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["meta", "metrics", "values", "opts", "type", "labels", "ts", "buckets", "summary"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_like)
def test_any_shape_gives_metrics_or_an_error(value):
    with suppress(MetricsError):
        decode(msgpack.packb(value))


def test_the_layout_is_that_of_cmetrics():
    metrics = MetricSet(static_labels={"s": "t"})
    metric = metrics.metric(MetricKind.COUNTER, "n", "d", ["k"], namespace="a", subsystem="b")
    metric.add(2, 5, ["v"])
    assert msgpack.unpackb(encode(metrics)) == {
        "meta": {"cmetrics": {}, "external": {}, "processing": {"static_labels": [["s", "t"]]}},
        "metrics": [
            {
                "meta": {
                    "ver": 2,
                    "type": 0,
                    "opts": {"ns": "a", "ss": "b", "name": "n", "desc": "d", "unit": ""},
                    "labels": ["k"],
                    "aggregation_type": 0,
                },
                "values": [{"ts": 5, "value": 2.0, "labels": ["v"], "hash": 0}],
            }
        ],
    }


def test_metrics_that_are_cut_off_are_an_error():
    with pytest.raises(MetricsError, match="cut off"):
        decode(encode(MetricSet())[:-3])


def test_counts_must_fit_the_buckets():
    metrics = MetricSet()
    metric = metrics.metric(MetricKind.HISTOGRAM, "h", buckets=(1.0,))
    metric.set(Histogram([1, 2, 3]), 1)
    with pytest.raises(MetricsError, match="3 counts for 1 buckets"):
        decode(encode(metrics))
