"""The last words say what was left where."""

import asyncio

import pytest

from tailrace.engine.agent import ending_grace
from tailrace.engine.ending import last_line, left_of
from tailrace.plugin import input_plugin
from tests.engine.test_persistence import DEAD, SOURCE, STORED, TAKES, Life, until
from tests.engine.test_pipeline import CountingSource


@input_plugin("test_replaying")
class Replaying(CountingSource):
    replays = True


async def end(tmp_path, source, *outputs, storage=True):
    life = Life(tmp_path, [source], list(outputs))
    if not storage:
        life.storage_for_pipeline = None
    async with life:
        await until(lambda: life.pipeline.books.outputs["dead"].routed == 30)
    return life.pipeline


@pytest.mark.parametrize(
    ("source", "storage", "words", "sums"),
    [
        (
            STORED,
            True,
            "30 wait on disk for the next start",
            "30 on disk, 0 to come again, 0 lost",
        ),
        (
            SOURCE,
            True,
            "30 wait on disk for the next start",
            "30 on disk, 0 to come again, 0 lost",
        ),
        (SOURCE, False, "30 are lost", "0 on disk, 0 to come again, 30 lost"),
        (
            {**SOURCE, "name": "test_replaying"},
            False,
            "30 come again from their source",
            "0 on disk, 30 to come again, 0 lost",
        ),
    ],
)
def test_it_says_where_undelivered_events_are(tmp_path, source, storage, words, sums):
    pipeline = asyncio.run(end(tmp_path, source, DEAD, storage=storage))
    [left] = left_of(pipeline)
    assert (left.output, str(left).endswith(words)) == ("dead", True)
    assert last_line(pipeline, [left]) == f"the end: 0 events delivered, {sums}"


def test_it_says_that_all_is_delivered(tmp_path):
    async def scenario():
        async with Life(tmp_path, [SOURCE], [TAKES]) as life:
            await until(lambda: len(life.settled) == 3)
        return life.pipeline

    pipeline = asyncio.run(scenario())
    assert left_of(pipeline) == []
    assert last_line(pipeline, []) == "everything is delivered (30 events), the end"


def test_it_says_what_was_given_up(tmp_path):
    async def scenario():
        async with Life(tmp_path, [SOURCE], [TAKES]) as life:
            await until(lambda: len(life.settled) == 3)
        [book] = life.pipeline.books.outputs.values()
        book.drop(2, "full")
        book.reject(3, "400")
        return life.pipeline

    line = last_line(asyncio.run(scenario()), [])
    assert line == "the end: 30 events delivered, 5 given up, nothing waits"


def test_the_end_has_a_second_at_the_least():
    assert (ending_grace(0), ending_grace(3), ending_grace(-1)) == (1.0, 3.0, None)
