"""The rate of an input is measured in windows, and the gate keeps the long-run average to its limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.engine.rate import RateGate, RateLimits, RateMeter
from tailrace.testing import FakeContext, make_plugin


def gate_of(limits, pressure=(0, 0), window=1.0):
    meter = RateMeter(window)
    return meter, RateGate(meter, limits, lambda: pressure)


def test_a_window_that_is_over_gives_the_rate():
    meter = RateMeter(2.0)
    meter.add(0.5, 10, 1000)
    meter.add(1.5, 10, 1000)
    assert meter.per_second(2.5) == (10.0, 1000.0)
    assert meter.per_second(9.0) == (0.0, 0.0)


def test_below_the_limit_nobody_waits():
    meter, gate = gate_of(RateLimits(records=100))
    meter.add(0.1, 100, 1)
    assert gate.seconds_to_wait(0.1) == 0
    assert not gate.limited


def test_above_the_limit_the_input_waits_for_the_end_of_the_window():
    meter, gate = gate_of(RateLimits(records=100))
    meter.add(0.25, 101, 1)
    assert gate.seconds_to_wait(0.25) == pytest.approx(0.75)
    assert gate.limited
    assert gate.seconds_to_wait(1.0) == 0


def test_bytes_count_as_records_do():
    meter, gate = gate_of(RateLimits(bytes=1000))
    meter.add(0.0, 1, 1001)
    assert gate.seconds_to_wait(0.0) == 1.0


def test_a_chunk_ten_times_too_large_is_paid_for_by_ten_windows():
    meter, gate = gate_of(RateLimits(records=100))
    meter.add(0.0, 1000, 1)
    now = 0.0
    while wait := gate.seconds_to_wait(now):
        now += wait
    assert now == pytest.approx(10, abs=1)


def test_work_under_way_lowers_the_limit():
    limits = RateLimits(records=100)
    meter, gate = gate_of(limits, pressure=(1, 2))
    meter.add(0.0, 26, 1)
    assert gate.seconds_to_wait(0.0) > 0
    assert (gate.busy_chunks, gate.retry_attempts) == (1, 2)


def test_without_backpressure_work_under_way_does_not_count():
    meter, gate = gate_of(RateLimits(records=100, backpressure=False), pressure=(5, 5))
    meter.add(0.0, 100, 1)
    assert gate.seconds_to_wait(0.0) == 0


@given(
    sizes=st.lists(st.integers(1, 500), min_size=20, max_size=60),
    limit=st.integers(50, 300),
)
def test_the_average_keeps_to_the_limit(sizes, limit):
    meter, gate = gate_of(RateLimits(records=limit))
    now = 0.0
    for size in sizes:
        meter.add(now, size, 1)
        while wait := gate.seconds_to_wait(now):
            now += wait
        now += 0.001
    assert sum(sizes) <= limit * (now + 1) + max(sizes)


@pytest.mark.parametrize("line", ["rate_window 0", "rate_gate.resume_ratio 2"])
def test_what_makes_no_sense_is_refused(line):
    from tailrace.config.errors import InvalidConfiguration

    with pytest.raises(InvalidConfiguration):
        make_plugin("input", "dummy", line, FakeContext())
