"""What a plugin asks of the engine."""

import asyncio

import pytest
import uvloop

from tailrace.engine.context import RepeatingTimer, is_over


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_timers_that_have_run_or_were_cancelled_are_over(run):
    async def scenario():
        loop = asyncio.get_running_loop()
        ran, waits, cancelled = (loop.call_later(when, int) for when in (0.001, 60, 60))
        cancelled.cancel()
        repeating = RepeatingTimer(60, int)
        await asyncio.sleep(0.01)
        found = [is_over(each) for each in (ran, waits, cancelled, repeating)]
        waits.cancel()
        repeating.cancel()
        return found

    assert run(scenario()) == [True, False, True, False]
