import asyncio
import time

import pytest

from tailrace.engine.busy import BusyClock, Timed

A, B = ("input", "a"), ("filter", "b")


def spin(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_time_inside_is_not_counted_twice():
    clock = BusyClock()
    clock.enter(A)
    clock.enter(B)
    spin(0.02)
    clock.leave()
    clock.leave()
    assert clock.seconds[B] >= 0.02
    assert clock.seconds[A] < 0.01


def test_waiting_is_not_busy():
    async def work():
        spin(0.01)
        await asyncio.sleep(0.05)
        return "done"

    clock = BusyClock()

    async def run():
        return await Timed(clock, A, work())

    assert asyncio.run(run()) == "done"
    assert 0.01 <= clock.seconds[A] < 0.05


def test_errors_and_cancellation_pass_through():
    async def fails():
        await asyncio.sleep(0)
        raise ValueError("no")

    async def waits(seen):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def run():
        clock, seen = BusyClock(), []
        with pytest.raises(ValueError, match="no"):
            await Timed(clock, A, fails())

        async def wrapper():
            await Timed(clock, A, waits(seen))

        task = asyncio.ensure_future(wrapper())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == ["cancelled"]

    asyncio.run(run())
