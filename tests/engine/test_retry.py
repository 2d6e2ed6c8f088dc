"""How long a retry waits."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.engine.retry import delay


@given(st.integers(1, 10_000), st.floats(0.01, 100), st.floats(0.01, 5_000))
def test_a_delay_lies_between_base_and_cap(attempt, base, cap):
    assert min(base, cap) <= delay(attempt, base, cap) <= cap


@pytest.mark.parametrize("attempt", [1, 2, 5])
def test_the_range_doubles_with_each_attempt(attempt, monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: (low, high))
    assert delay(attempt, 5, 2_000) == (5, 5 * 2**attempt)


def test_the_cap_ends_the_doubling(monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: (low, high))
    assert delay(20, 5, 2_000) == (5, 2_000)


def test_a_cap_below_the_base_counts(monkeypatch):
    monkeypatch.setattr(random, "uniform", lambda low, high: (low, high))
    assert delay(1, 5, 3) == (3, 3)


def test_delays_are_spread_so_that_not_all_come_back_at_once():
    random.seed(1)
    found = [delay(4, 1, 100) for _ in range(200)]
    assert len(set(found)) > 190
    assert max(found) - min(found) > 10


def test_no_attempt_is_too_late_to_count():
    assert delay(10**9, 1, 60) <= 60
