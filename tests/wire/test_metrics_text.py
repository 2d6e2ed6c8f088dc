from tailrace.model.metrics import ExpHistogram, Metric, MetricKind, MetricSet, Summary
from tailrace.wire.metrics_text import encode, time_text

TIME = 1_700_000_000_000_000_000


def one(kind, value, static=None, labels=(), **more) -> str:
    metrics = MetricSet(static_labels=static or {})
    metric: Metric = metrics.metric(kind, "n", **more)
    metric.set(value, TIME, labels)
    return encode(metrics).removeprefix("2023-11-14T22:13:20.000000000Z ")


def test_a_line_begins_with_the_time_in_nanoseconds():
    assert time_text(TIME + 5) == "2023-11-14T22:13:20.000000005Z"


def test_a_time_beyond_the_calendar_is_given_in_seconds():
    assert time_text(10**21) == "1000000000000.000000000"


def test_numbers_have_as_many_digits_as_needed():
    assert one(MetricKind.COUNTER, 3) == "n = 3\n"
    assert one(MetricKind.GAUGE, 0.1) == "n = 0.10000000000000001\n"


def test_static_labels_come_first_and_quotes_stay():
    line = one(MetricKind.GAUGE, 1, {"s": "t"}, ('a "q"', None), label_keys=("x", "y"))
    assert line == 'n{s="t",x="a "q""} = 1\n'


def test_a_histogram():
    metrics = MetricSet()
    metrics.metric(MetricKind.HISTOGRAM, "h", buckets=(1.0, 5.0)).observe(0.5, TIME)
    assert encode(metrics).endswith("h = { buckets = { 1=1, 5=1, +Inf=1 }, sum=0.5, count=1 }\n")


def test_a_summary():
    line = one(MetricKind.SUMMARY, Summary([1.5, 2.0], 3.5, 2), quantiles=(0.5, 0.99))
    assert line == "n = { quantiles = { 0.5=1.5, 0.99=2 }, sum=3.5, count=2 }\n"


def test_an_exponential_histogram():
    line = one(MetricKind.EXP_HISTOGRAM, ExpHistogram(2, 1, 0.0, -1, [1, 2], 0, [], 4, None))
    assert line == (
        "n = { scale=2, zero_count=1, zero_threshold=0, positive={offset=-1, bucket_counts=[1, 2]}, "
        "negative={offset=0, bucket_counts=[]}, count=4, sum=unset }\n"
    )


def test_kinds_come_in_their_order():
    metrics = MetricSet()
    for kind in reversed(MetricKind):
        metrics.metric(kind, kind.name.lower()).set(0, TIME)
    names = [line.split()[1] for line in encode(metrics).splitlines()]
    assert names == ["counter", "gauge", "summary", "histogram", "exp_histogram", "untyped"]
