"""Chunks that wait for the pipeline."""

import asyncio
import contextlib

from tailrace.inputs.forward.inflow import ChunkInflow
from tailrace.model import Chunk, Receipt
from tailrace.net.gathering import BATCH_BYTES, FLOOD_BYTES
from tailrace.wire.packed import decode_packed


class Connection:
    def __init__(self):
        self.is_paused = False

    def pause(self):
        self.is_paused = True

    def resume(self):
        self.is_paused = False


def chunk(tag="t", n=1, nbytes=100):
    return Chunk(tag, [n], [{"n": n}], None, nbytes)


def add(inflow, source, each):
    inflow.add(source, each, each.nbytes)


def take_all(inflow):
    found = []
    inflow.drain(found.append)
    return found


def test_small_chunks_of_one_tag_that_stand_together_become_one():
    inflow, source = ChunkInflow(), Connection()
    for n, tag in enumerate("aabba"):
        add(inflow, source, chunk(tag, n))
    assert [(each.tag, [body["n"] for body in each.bodies]) for each in take_all(inflow)] == [
        ("a", [0, 1]),
        ("b", [2, 3]),
        ("a", [4]),
    ]


def test_packed_chunks_of_one_form_become_one_that_is_packed():
    inflow, source = ChunkInflow(), Connection()
    for packed in (b"\x92\x01\x80", b"\x92\x01\x80", b"\x92\x92\x01\x80\x80"):
        add(inflow, source, Chunk.of_packed("t", packed, 1, decode_packed))
    add(inflow, source, chunk())
    found = take_all(inflow)
    assert [each.packed for each in found] == [
        b"\x92\x01\x80\x92\x01\x80",
        b"\x92\x92\x01\x80\x80",
        None,
    ]
    assert [each.count for each in found] == [2, 1, 1]


def test_the_receipts_of_all_are_settled_with_the_one():
    inflow, source, settled = ChunkInflow(), Connection(), []
    for n in range(2):
        each = chunk(n=n)
        each.receipt = Receipt(lambda _, n=n: settled.append(n), urgent=True)
        add(inflow, source, each)
    (one,) = take_all(inflow)
    assert one.receipt.urgent
    one.receipt.hold()
    assert settled == []
    one.receipt.release()
    assert settled == [0, 1]


def test_a_source_that_brings_more_than_a_batch_waits_until_it_is_taken():
    inflow, busy, quiet = ChunkInflow(), Connection(), Connection()
    inflow.sources |= {busy, quiet}
    add(inflow, busy, chunk("a", nbytes=BATCH_BYTES))
    add(inflow, busy, chunk("b"))
    assert (busy.is_paused, quiet.is_paused) == (True, False)
    inflow.take()
    assert not busy.is_paused


def test_in_a_flood_all_wait():
    inflow, first, second = ChunkInflow(), Connection(), Connection()
    inflow.sources |= {first, second}
    add(inflow, first, chunk(nbytes=FLOOD_BYTES + 1))
    assert second.is_paused
    inflow.forget(second)
    take_all(inflow)
    assert not first.is_paused


def test_chunks_come_in_order_while_it_runs():
    async def scenario():
        inflow, source, found = ChunkInflow(), Connection(), []

        async def emit(each):
            found.append(each.tag)
            await asyncio.sleep(0)

        task = asyncio.ensure_future(inflow.run(emit))
        for tag in "abc":
            add(inflow, source, chunk(tag))
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        add(inflow, source, chunk("d"))
        await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert found == ["a", "b", "c", "d"]

    asyncio.run(scenario())
