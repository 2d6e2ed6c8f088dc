"""The beat of flushes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.engine.ticks import next_beat, process_age

seconds = st.floats(0, 1e6)


@given(seconds, seconds, st.floats(0.001, 1000))
@example(1.0, 0.0, 0.001)
def test_the_next_beat_is_ahead_and_within_one_interval(now, first, interval):
    beat = next_beat(now, first, interval)
    assert now <= beat <= now + interval * 1.001
    beats = (beat - first) / interval
    assert abs(beats - round(beats)) < 0.01 or interval < 0.1


@pytest.mark.parametrize(("now", "beat"), [(10.0, 11.0), (10.9, 11.0), (11.25, 12.0)])
def test_events_leave_together_at_whole_intervals(now, beat):
    assert next_beat(now, 3.0, 1.0) == beat


def test_this_process_has_an_age():
    before = process_age()
    assert 0 < before <= process_age()
