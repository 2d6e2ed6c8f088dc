"""JSON values as events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.events import collect_events

NOW = 1_700_000_000_000_000_007
SECOND = 1_000_000_000
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


def test_objects_get_the_present_time():
    assert collect_events([{"n": 1}, {}], NOW) == ([NOW, NOW], [{"n": 1}, {}], None, 0)


@pytest.mark.parametrize(
    ("head", "time"),
    [
        (5, 5 * SECOND),
        (1.5, 3 * SECOND // 2),
        (-0.5, -SECOND // 2),
        ([5, {}], 5 * SECOND),
    ],
)
def test_a_pair_brings_its_own_time(head, time):
    assert collect_events([[head, {"n": 1}]], NOW) == ([time], [{"n": 1}], None, 0)


def test_metadata_of_one_event_gives_each_its_map():
    found = collect_events([{"n": 1}, [[5, {"m": 1}], {"n": 2}]], NOW)
    assert found.metadata == [{}, {"m": 1}]
    assert found.times == [NOW, 5 * SECOND]


@pytest.mark.parametrize(
    "value",
    [7, "x", None, [], [5], [5, 6], [5, {}, {}], ["5", {}], [True, {}], [1e12, {}], [[5], {}]],
)
def test_what_is_no_event_is_counted_and_leaves_its_neighbours(value):
    found = collect_events([{"n": 1}, value, {"n": 2}], NOW)
    assert (found.bodies, found.refused) == ([{"n": 1}, {"n": 2}], 1)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), float("-inf")])
def test_a_time_that_is_no_number_is_refused(seconds):
    assert collect_events([[seconds, {}]], NOW).refused == 1


def test_no_values_give_no_events():
    assert collect_events([], NOW) == ([], [], None, 0)


@given(st.lists(anything, max_size=5))
def test_any_values_are_events_or_counted(values):
    found = collect_events(values, NOW)
    assert len(found.times) == len(found.bodies) == len(values) - found.refused
    assert found.metadata is None or len(found.metadata) == len(found.bodies)
    assert {type(body) for body in found.bodies} <= {dict}


@given(st.integers(0, 4_000_000_000), st.integers(0, 999_999))
def test_microseconds_of_a_float_are_right(seconds, micros):
    [time] = collect_events([[seconds + micros / 1e6, {}]], NOW).times
    assert abs(time - (seconds * SECOND + micros * 1000)) < 1000
