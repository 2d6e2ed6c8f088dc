"""What a queue is made of."""

from tailrace.engine.lane import Batch, Item, Lane, State
from tailrace.model import Chunk, Receipt
from tailrace.testing import chunk_of


def on_disk(count):
    stub = Chunk("t", [], [])
    stub.defer(count, lambda: ([0] * count, None, [{"n": n} for n in range(count)]))
    return stub


def item(chunk, order=0, disk_bytes=0):
    return Item(chunk, Receipt(), chunk.count, chunk.nbytes, chunk.nbytes, disk_bytes, order)


def test_what_lies_on_disk_does_not_come_into_memory_while_a_batch_waits():
    stub = on_disk(2)
    batch = Batch([item(stub, disk_bytes=4096)])
    for _ in range(2):
        batch.chunk = batch.merge()
        assert [body["n"] for body in batch.chunk.bodies] == [0, 1]
        batch.rest()
        assert (batch.chunk, stub.decoded) == (None, False)


def test_what_lies_in_memory_stays_made():
    batch = Batch([item(chunk_of([{"n": 1}], "t"))])
    batch.chunk = batch.merge()
    batch.rest()
    assert batch.chunk is not None


def test_the_oldest_is_what_waits_for_its_retry_but_not_what_is_being_sent():
    first, second = item(chunk_of([{}], "t"), 1), item(chunk_of([{}], "t"), 2)
    lane = Lane(("t", None, "s"), State.RETRYING, batch=Batch([first]))
    lane.items.append(second)
    assert lane.oldest is first
    lane.state = State.FLUSHING
    assert lane.oldest is second
