"""What a queue is made of."""

from tailrace.engine.lane import Batch, Item, Lane, State
from tailrace.model import Chunk, Decoded, Receipt
from tailrace.testing import chunk_of


def on_disk(count):
    stub = Chunk("t", [], [])
    stub.defer(count, lambda: Decoded([0] * count, None, [{"n": n} for n in range(count)]))
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


def test_what_lies_in_memory_is_packed_while_a_batch_waits():
    bodies = [{"n": 1, "f": 1.0, "b": b"x"}]
    chunk = chunk_of(bodies, "t")
    times = chunk.times
    batch = Batch([item(chunk)])
    batch.chunk = batch.merge()
    batch.rest()
    assert (batch.chunk, chunk.decoded, chunk.count) == (None, False, 1)
    again = batch.merge()
    assert (again.bodies, again.times, again.tag) == (bodies, times, "t")


def test_times_that_messagepack_can_not_hold_stay_as_they_are():
    chunk = Chunk("t", [-1], [{"n": 1}])
    item(chunk).rest()
    assert chunk.decoded


def test_values_that_are_too_deep_stay_as_they_are():
    deep = value = {}
    for _ in range(3000):
        value["a"] = value = {}
    chunk = Chunk("t", [1], [deep])
    item(chunk).rest()
    assert chunk.decoded


def test_the_oldest_is_what_waits_for_its_retry_but_not_what_is_being_sent():
    first, second = item(chunk_of([{}], "t"), 1), item(chunk_of([{}], "t"), 2)
    lane = Lane(("t", None, "s"), State.RETRYING, batch=Batch([first]))
    lane.items.append(second)
    assert lane.oldest is first
    lane.state = State.FLUSHING
    assert lane.oldest is second
