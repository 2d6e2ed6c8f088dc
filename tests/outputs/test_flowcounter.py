"""The output flowcounter."""

import asyncio
import re

import pytest

from tailrace.model import Chunk
from tailrace.testing import EPOCH_NS, FakeContext, make_plugin

SECOND = 1_000_000_000
START = EPOCH_NS // SECOND
LINE = re.compile(
    r'\[out_flowcounter\] \[(\d+), \{"counts":(\d+), "bytes":(\d+), "counts/\w+":(\d+), "bytes/\w+":(\d+) \}\]'
)


@pytest.fixture
def count(capsys):
    """What is printed for chunks of so many events at these seconds after the start."""

    def run(section, *seconds, context=None):
        context = context or FakeContext()
        plugin = make_plugin("output", "flowcounter", section, context)
        for second in seconds:
            now = EPOCH_NS + int(second * SECOND)
            context.clock.now_ns = now
            asyncio.run(plugin.flush(Chunk("t", [now, now], [{"a": 1}, {"a": 2}])))
        lines = capsys.readouterr().out.splitlines()
        found = [LINE.fullmatch(line).groups() for line in lines]
        return [(int(until) - START, *map(int, rest)) for until, *rest in found]

    return run


def test_a_second_is_printed_when_it_is_over(count):
    size = 2 * len(b"\x92\x92\xd7\x00........\x80\x81\xa1a\x01")
    assert count("unit second", 0, 0.5, 1, 3) == [
        (0, 4, 2 * size, 4, 2 * size),
        (1, 2, size, 2, size),
    ]


def test_the_rate_is_a_whole_number_of_the_unit(count):
    context = FakeContext(service={"flush": 1})
    [(until, counts, _, rate, _)] = count("unit hour", 0, 0, 3601, context=context)[:1]
    assert (until, counts, rate) == (0, 4, 0)


def test_events_may_be_counted_by_their_own_time_and_late_ones_are_told(capsys):
    context = FakeContext()
    plugin = make_plugin("output", "flowcounter", "unit second\nevent_based on", context)
    times = [EPOCH_NS, EPOCH_NS - 9 * SECOND, EPOCH_NS + 2 * SECOND]
    asyncio.run(plugin.flush(Chunk("t", times, [{}, {}, {}])))
    assert capsys.readouterr().out.startswith(f'[out_flowcounter] [{START}, {{"counts":1, ')
    assert [level for level, _ in context.sink.messages] == ["warn"]


def test_a_time_far_ahead_does_not_print_for_ever(count):
    years = 3 * 365 * 86400
    lines = count("unit second\nevent_based on", 0, years, years + 2)
    assert len(lines) < 10
    assert sum(line[1] for line in lines) == 4


def test_an_unknown_unit_is_the_default():
    assert make_plugin("output", "flowcounter", "unit minutes").options.unit == "minute"
