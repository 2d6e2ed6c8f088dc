"""What the agent tells of itself."""

from tailrace.engine.books import OutputBook
from tailrace.engine.telemetry.adding import add_up
from tailrace.engine.telemetry.books import MOST_REASONS, write_reasons
from tailrace.engine.telemetry.outputs import cumulated, lost_by
from tailrace.engine.telemetry.writer import Writer
from tailrace.model.metrics import Histogram


def test_full_names_fall_into_fluent_bits_parts():
    write = Writer(1)
    for name in (
        "fluentbit_uptime",
        "fluentbit_hot_reloaded_times",
        "fluentbit_input_records_total",
        "fluentbit_routing_logs_records_total",
        "fluentbit_input_metrics_scrapes_total",
    ):
        write.count(name, "d", 1)
    assert [(m.namespace, m.subsystem, m.name) for m in write.set.metrics] == [
        ("fluentbit", "", "uptime"),
        ("fluentbit", "", "hot_reloaded_times"),
        ("fluentbit", "input", "records_total"),
        ("fluentbit", "routing_logs", "records_total"),
        ("fluentbit", "input_metrics", "scrapes_total"),
    ]


def test_reasons_are_limited_in_number_and_length():
    write = Writer(1)
    reasons = {f"answered 400: {'x' * 200} {number}": 1 for number in range(5)}
    reasons |= {f"reason {number}": 2 for number in range(100)}
    write_reasons(write, "output", "rejected", "o", reasons)
    [metric] = write.set.metrics
    assert len(metric.samples) == MOST_REASONS + 1
    assert sum(sample.value for sample in metric.samples) == sum(reasons.values())
    assert max(len(sample.labels[1]) for sample in metric.samples) <= 80


def test_lost_events_are_those_given_up_and_those_refused():
    book = OutputBook()
    book.drop(2, "queue full")
    book.reject(3, "400")
    assert lost_by(book) == 5


def test_a_histogram_is_cumulative():
    assert cumulated([1, 0, 2], 4.5) == Histogram([1, 1, 3], 4.5, 3)


def test_engines_add_up():
    sets = []
    for uptime, records, age in ((5, 10, 1.5), (7, 20, 0.5)):
        write = Writer(1)
        write.count("fluentbit_uptime", "d", uptime, hostname="h")
        write.count("fluentbit_input_records_total", "d", records, name="a")
        write.gauge("tailrace_output_queue_age_seconds", "d", age, name="o")
        write.histogram("latency", "d", (1.0,), Histogram([1, 2], 3.0, 2), name="o")
        sets.append(write.set)
    total = {metric.full_name: metric.samples[0].value for metric in add_up(sets).metrics}
    assert total == {
        "fluentbit_uptime": 7,
        "fluentbit_input_records_total": 30,
        "tailrace_output_queue_age_seconds": 1.5,
        "latency": Histogram([2, 4], 6.0, 4),
    }
    assert sets[0].metrics[3].samples[0].value == Histogram([1, 2], 3.0, 2)
