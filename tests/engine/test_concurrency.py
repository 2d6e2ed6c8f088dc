"""The number of concurrent flushes follows how the destination answers."""

from tailrace.engine.concurrency import AdaptiveLimit


def test_it_begins_with_what_the_user_gave():
    assert [AdaptiveLimit(most).now for most in (0, 1, 8)] == [1, 1, 8]


def test_failures_halve_it_down_to_one():
    limit = AdaptiveLimit(8)
    seen = []
    for _ in range(5):
        limit.fail()
        seen.append(limit.now)
    assert seen == [4, 2, 1, 1, 1]


def test_successes_bring_it_back_step_by_step_and_never_above_the_most():
    limit = AdaptiveLimit(4)
    limit.fail()
    limit.fail()
    for _ in range(2):
        limit.succeed(0.01)
    assert limit.now == 2
    for _ in range(50):
        limit.succeed(0.01)
    assert limit.now == 4


def test_answers_that_are_far_slower_than_usual_lower_it():
    limit = AdaptiveLimit(10)
    for _ in range(10):
        limit.succeed(0.05)
    for _ in range(3):
        limit.succeed(1.0)
    assert limit.now < 10


def test_fast_answers_are_never_slow():
    limit = AdaptiveLimit(10)
    limit.succeed(0.001)
    for _ in range(5):
        limit.succeed(0.09)
    assert limit.now == 10
