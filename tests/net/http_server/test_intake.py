"""From a request to the pipeline and back to the client."""

import asyncio

import pytest

from tailrace.model import Chunk
from tailrace.net.http_server.intake import Intake, Refusal
from tailrace.net.http_server.options import HttpServerOptions
from tailrace.testing import FakeMetrics


def one_chunk():
    return [Chunk("t", [1], [{"a": 1}])]


def intake(most_waiting=8, answer_timeout=0.0):
    made = Intake(HttpServerOptions(), answer_timeout)
    made.most_waiting = most_waiting
    return made


async def running(made, emit):
    task = asyncio.ensure_future(made.run(emit))
    await asyncio.sleep(0)
    return task


def test_it_returns_when_the_last_share_has_ended():
    async def scenario():
        made, held = intake(), []

        async def emit(chunk):
            chunk.receipt.hold()
            held.append(chunk.receipt)

        task = await running(made, emit)
        delivery = asyncio.ensure_future(made.deliver(one_chunk))
        while not held:
            await asyncio.sleep(0)
        assert not delivery.done()
        assert held[0].urgent
        held[0].release()
        await delivery
        task.cancel()

    asyncio.run(scenario())


def test_what_is_not_delivered_in_time_is_answered_with_503():
    async def scenario():
        made = intake(answer_timeout=0.01)

        async def emit(chunk):
            chunk.receipt.hold()

        task = await running(made, emit)
        with pytest.raises(Refusal) as caught:
            await made.deliver(one_chunk)
        assert caught.value.status == 503
        assert made.waiting == 0
        task.cancel()

    asyncio.run(scenario())


def test_more_than_may_wait_are_refused_at_once_and_nothing_is_decoded_meanwhile():
    async def scenario():
        made, decoded = intake(most_waiting=1), []
        made.has_room.clear()

        def make():
            decoded.append(1)
            return []

        first = asyncio.ensure_future(made.deliver(make))
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="queue is full"):
            await made.deliver(make)
        assert not decoded
        made.has_room.set()
        await first
        assert decoded == [1]

    asyncio.run(scenario())


def test_an_agent_that_stops_takes_nothing():
    with pytest.raises(Refusal, match="stopping"):
        asyncio.run(intake().deliver(one_chunk))


@pytest.mark.parametrize(
    ("status", "header"),
    [(401, ("WWW-Authenticate", "Bearer")), (503, ("Retry-After", "1"))],
)
def test_a_refusal_says_what_the_client_may_do(status, header):
    assert header in Refusal(status, "x").response().headers


def test_what_waits_is_told_under_fluent_bits_names():
    async def scenario():
        metrics = FakeMetrics()
        made, held = Intake(HttpServerOptions(), 0.0, metrics), []
        made.most_waiting = 1

        async def emit(chunk):
            chunk.receipt.hold()
            held.append(chunk.receipt)

        def told(name):
            return metrics.by_name[f"fluentbit_input_http_server_ingress_queue_{name}"].values[()]

        task = await running(made, emit)
        assert [told(name) for name in ("busy_total", "pending_events", "pending_bytes")] == [0] * 3
        delivery = asyncio.ensure_future(made.deliver(one_chunk, 7))
        while not held:
            await asyncio.sleep(0)
        with pytest.raises(Refusal):
            await made.deliver(one_chunk, 5)
        assert [told(name) for name in ("busy_total", "pending_events", "pending_bytes")] == [
            1,
            1,
            7,
        ]
        held.pop().release()
        await delivery
        assert [told(name) for name in ("pending_events", "pending_bytes")] == [0, 0]
        task.cancel()

    asyncio.run(scenario())
