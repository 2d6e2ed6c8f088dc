import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.testing import FakeContext, chunk_of, make_plugin


def passed(plugin, count):
    return plugin.process(chunk_of([{"n": number} for number in range(count)])).count


def test_the_first_of_a_batch_pass_up_to_the_limit_of_the_window():
    plugin = make_plugin("filter", "throttle", "rate 2\nwindow 3", FakeContext())
    out = plugin.process(chunk_of([{"n": number} for number in range(10)]))
    assert [body["n"] for body in out.bodies] == [0, 1, 2, 3, 4, 5]
    assert passed(plugin, 1) == 0


def test_there_is_room_again_when_old_events_leave_the_window():
    context = FakeContext()
    plugin = make_plugin("filter", "throttle", "rate 2\nwindow 2\ninterval 1s", context)
    assert passed(plugin, 3) == 3
    context.advance(1)
    assert passed(plugin, 3) == 1
    context.advance(1)
    assert passed(plugin, 9) == 3
    context.advance(5)
    assert passed(plugin, 9) == 4


def test_the_rate_may_be_logged():
    context = FakeContext()
    plugin = make_plugin("filter", "throttle", "rate 2\nwindow 2\nprint_status on", context)
    passed(plugin, 3)
    context.advance(1)
    [(level, text)] = context.sink.messages
    assert level == "info"
    assert "1.50" in text


@pytest.mark.parametrize("section", ["rate 0.5\nwindow 5", "rate 1\nwindow 1", "rate -1\nwindow 0"])
def test_limits_that_are_too_low_count_as_fluent_bit_takes_them(section):
    context = FakeContext()
    plugin = make_plugin("filter", "throttle", section, context)
    assert passed(plugin, 10) == 5
    assert "as in Fluent Bit" in context.sink.messages[0][1]


@pytest.mark.parametrize("interval", ["0", "x"])
def test_what_is_no_interval_is_a_second(interval):
    context = FakeContext()
    section = f"rate 1\nwindow 2\ninterval {interval}"
    plugin = make_plugin("filter", "throttle", section, context)
    assert passed(plugin, 9) == 2
    context.advance(2)
    assert passed(plugin, 9) == 2


@given(
    counts=st.lists(st.integers(0, 7), max_size=20),
    rate=st.integers(1, 3),
    window=st.integers(2, 4),
)
def test_over_any_window_no_more_pass_than_the_limit(counts, rate, window):
    context = FakeContext()
    plugin = make_plugin("filter", "throttle", f"rate {rate}\nwindow {window}", context)
    through = []
    for count in counts:
        through.append(passed(plugin, count))
        context.advance(1)
    for start in range(len(through)):
        assert sum(through[start : start + window]) <= rate * window
