"""One try at a time for a destination that is away."""

import pytest

from tailrace.engine.breaker import LONGEST_ASKED, LONGEST_WAIT, OPENS_AFTER, Breaker


def failed(times, **options):
    breaker = Breaker(**options)
    for _ in range(times):
        breaker.fail(100.0)
    return breaker


def test_a_few_failures_leave_it_closed():
    breaker = failed(OPENS_AFTER - 1)
    assert breaker.may_start(100.0, busy=5)


def test_more_open_it_for_a_while_then_one_try_is_let_through():
    breaker = failed(OPENS_AFTER)
    assert not breaker.may_start(100.2, busy=0)
    assert breaker.may_start(100.6, busy=0)
    assert not breaker.may_start(100.6, busy=1)


def test_opening_is_told_once():
    breaker = Breaker()
    assert [breaker.fail(1.0) for _ in range(5)] == [False, False, True, False, False]


def test_the_wait_grows_up_to_a_bound():
    waits = [failed(times).open_until - 100.0 for times in (3, 5, 7, 60)]
    assert 0.25 <= waits[0] <= 0.5 < waits[2]
    assert LONGEST_WAIT / 2 <= waits[3] <= LONGEST_WAIT
    assert failed(60, cap=2.0).open_until <= 102.0


def test_a_success_closes_it_and_says_that_something_ended():
    breaker = failed(9)
    assert breaker.succeed()
    assert breaker.may_start(100.0, busy=3)
    assert not breaker.succeed()


@pytest.mark.parametrize(("asked", "wait"), [(7.0, 7.0), (-1.0, 0.0), (1e9, LONGEST_ASKED)])
def test_what_a_destination_asks_for_is_obeyed(asked, wait):
    breaker = Breaker()
    breaker.fail(100.0, asked)
    assert breaker.open_until == 100.0 + wait
    assert not breaker.may_start(99.9 + wait, busy=0)
    assert breaker.may_start(100.0 + wait, busy=0)


def test_at_the_end_it_lets_all_through():
    breaker = failed(9)
    breaker.let_through()
    assert breaker.may_start(100.0, busy=0)
