"""Joining what many clients send."""

import asyncio

from tailrace.net.gathering import BATCH_BYTES, FLOOD_BYTES, Gatherer
from tailrace.testing import chunk_of


class Source:
    def __init__(self):
        self.calls = []

    def pause(self):
        self.calls.append("pause")

    def resume(self):
        self.calls.append("resume")


def gatherer():
    return Gatherer(lambda pieces: chunk_of([{"piece": piece} for piece in pieces]))


def test_all_that_waits_becomes_one_chunk_of_its_raw_size():
    made, source = gatherer(), Source()
    made.add(source, "a", 3)
    made.add(source, "b", 4)
    chunk = made.take()
    assert ([body["piece"] for body in chunk.bodies], chunk.nbytes) == (["a", "b"], 7)
    assert made.take() is None


def test_a_source_that_brings_more_than_a_batch_is_paused_until_it_is_taken():
    made, loud, quiet = gatherer(), Source(), Source()
    made.sources |= {loud, quiet}
    made.add(loud, "a", BATCH_BYTES + 1)
    made.add(loud, "a", 1)
    made.take()
    assert (loud.calls, quiet.calls) == (["pause", "resume"], [])


def test_a_flood_pauses_all_sources():
    made, loud, quiet = gatherer(), Source(), Source()
    made.sources |= {loud, quiet}
    made.add(loud, "a", FLOOD_BYTES + 1)
    assert quiet.calls == ["pause"]


def test_a_source_that_has_ended_is_not_resumed():
    made, source = gatherer(), Source()
    made.add(source, "a", BATCH_BYTES + 1)
    made.forget(source)
    assert made.take().count == 1
    assert source.calls == ["pause"]


def test_it_emits_what_comes_while_emit_waits_as_one_chunk_later():
    async def scenario():
        made, source, sizes, go_on = gatherer(), Source(), [], asyncio.Event()

        async def emit(chunk):
            sizes.append(chunk.count)
            await go_on.wait()

        running = asyncio.ensure_future(made.run(emit))
        made.add(source, "a", 1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        made.add(source, "b", 1)
        made.add(source, "c", 1)
        go_on.set()
        for _ in range(4):
            await asyncio.sleep(0)
        running.cancel()
        return sizes

    assert asyncio.run(scenario()) == [1, 2]
