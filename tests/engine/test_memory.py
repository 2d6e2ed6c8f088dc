"""The memory budget of the process."""

import asyncio

import pytest

from tailrace.engine.memory import LEAST_LIMIT, MemoryBudget, available_bytes, weight
from tailrace.engine.pipeline import Pipeline
from tailrace.model import Chunk
from tailrace.plugin.log import Log
from tailrace.testing import chunk_of
from tests.engine.test_persistence import DEAD, SOURCE, TAKES, until
from tests.engine.test_pipeline import build, configuration


def chunk_with(nbytes, count=10):
    chunk = chunk_of([{"n": number} for number in range(count)], "t")
    chunk.nbytes = nbytes
    return chunk


def test_decoded_events_weigh_several_times_their_raw_size():
    assert weight(chunk_with(1000)) == 6 * 1000 + 200 * 10


def test_lines_and_packed_events_weigh_about_their_size():
    assert weight(Chunk.of_lines("t", [1, 2], "log", ["a", "b"], 500)) == 700
    assert weight(Chunk.of_packed("t", b"x" * 90, 3, lambda data, count: None)) == 90


def test_what_lies_on_disk_weighs_next_to_nothing():
    stub = Chunk("t", [], [], None, 1 << 20)
    stub.defer(1000, lambda: None)
    assert weight(stub) < 1000


def test_a_limit_of_the_cgroup_counts(tmp_path):
    limit = tmp_path / "memory.max"
    whole = available_bytes([limit])
    limit.write_text("max\n")
    assert available_bytes([limit]) == whole
    limit.write_text("123456789\n")
    assert available_bytes([limit]) == 123456789


def test_without_a_setting_it_is_a_share_of_what_there_is():
    budget = MemoryBudget(0, lambda: 0, list, lambda: 0.0)
    assert LEAST_LIMIT <= budget.limit <= available_bytes() * 0.26 + LEAST_LIMIT


@pytest.mark.parametrize(("chunks", "spent"), [(1, False), (4, True)])
def test_it_is_spent_when_what_is_held_weighs_more(chunks, spent):
    held = [chunk_with(1 << 20) for _ in range(chunks)]
    raw = sum(chunk.nbytes for chunk in held)
    budget = MemoryBudget(20 << 20, lambda: raw, lambda: held, lambda: 1.0)
    assert budget.is_spent is spent


def test_a_chunk_in_several_queues_counts_once():
    chunk = chunk_with(2 << 20)
    budget = MemoryBudget(20 << 20, lambda: 8 << 20, lambda: [chunk] * 4, lambda: 1.0)
    assert not budget.is_spent


def test_it_looks_only_now_and_then():
    looks, now = [], [1.0]

    def chunks():
        looks.append(1)
        return []

    budget = MemoryBudget(16 << 20, lambda: 16 << 20, chunks, lambda: now[0])
    for _ in range(5):
        assert not budget.is_spent
    assert len(looks) == 1
    now[0] += 1
    assert not budget.is_spent
    assert len(looks) == 2


def test_inputs_wait_while_the_budget_is_spent_and_go_on_then(monkeypatch):
    async def scenario():
        outputs = [{**DEAD, "queue_limit": 10_000_000}, TAKES]
        plan, _, sink = build(configuration([{**SOURCE, "chunks": 40}], [], outputs))
        pipeline = Pipeline(plan, Log(sink))
        pipeline.budget.limit = 3_000
        await pipeline.start()
        book = pipeline.books.inputs["test_source.0"]
        await until(lambda: pipeline.inputs[0].paused)
        assert book.records < 400
        pipeline.budget.limit = 10_000_000
        await until(lambda: book.records == 400)
        await pipeline.stop(0.01)

    asyncio.run(scenario())


@pytest.mark.parametrize(("held", "spent"), [(0, False), (12 << 20, True), (1 << 40, True)])
def test_what_connections_hold_is_taken_off_the_limit(held, spent):
    chunks = [chunk_with(1 << 20) for _ in range(2)]
    raw = sum(chunk.nbytes for chunk in chunks)
    budget = MemoryBudget(20 << 20, lambda: raw, lambda: chunks, lambda: 1.0, lambda: held)
    assert budget.is_spent is spent


def test_a_quarter_stays_for_chunks_whatever_connections_hold():
    chunks = [chunk_with(1 << 19)]
    budget = MemoryBudget(20 << 20, lambda: 1 << 19, lambda: chunks, lambda: 1.0, lambda: 1 << 40)
    assert not budget.is_spent
