"""A pipe is read block by block, and only while somebody waits."""

import asyncio
import os

import pytest
import uvloop

from tailrace.plugin.pipes import blocks_of


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_blocks_come_until_the_end(run):
    async def scenario():
        source, target = os.pipe()
        os.write(target, b"abcde")
        os.close(target)
        found = [block async for block in blocks_of(source, 2)]
        assert os.get_blocking(source)
        os.close(source)
        return found

    assert run(scenario()) == [b"ab", b"cd", b"e"]


def test_a_pipe_that_nobody_waits_for_does_not_keep_the_loop_busy():
    async def scenario():
        source, target = os.pipe()
        os.write(target, b"abcde")
        blocks = blocks_of(source, 2)
        assert await anext(blocks) == b"ab"
        watched = asyncio.get_running_loop().remove_reader(source)
        await blocks.aclose()
        os.close(source)
        os.close(target)
        return watched

    assert asyncio.run(scenario()) is False
