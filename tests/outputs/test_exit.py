"""The output exit."""

import asyncio

import pytest

from tailrace.testing import FakeContext, chunk_of, make_plugin


@pytest.mark.parametrize(
    ("section", "flushes"),
    [
        ("", 1),
        ("flush_count 3", 3),
        ("record_count 5", 3),
        ("time_count 2", 4),
        ("record_count 100\nflush_count 2", 2),
    ],
)
def test_it_ends_the_agent_when_enough_has_come(section, flushes):
    context = FakeContext()
    plugin = make_plugin("output", "exit", section, context)
    for number in range(1, 6):
        asyncio.run(plugin.flush(chunk_of([{}, {}])))
        assert (context.exit_code == 0) == (number >= flushes)
        context.clock.advance(1)


def test_a_count_that_is_not_reached_ends_nothing():
    context = FakeContext()
    plugin = make_plugin("output", "exit", "flush_count 2", context)
    asyncio.run(plugin.flush(chunk_of([{}])))
    assert context.exit_code is None
