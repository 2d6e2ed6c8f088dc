"""Standard output that is read slowly, or not at all."""

import asyncio
import os
import select
from types import SimpleNamespace

import pytest

from tailrace.plugin import console
from tailrace.plugin.console import PIPE_BYTES, write_stdout


@pytest.fixture
def pipe(monkeypatch):
    """The reading end of a pipe that is standard output."""
    source, target = os.pipe()
    with os.fdopen(source, "rb", buffering=0) as reader, os.fdopen(target, "w") as writer:
        monkeypatch.setattr(console, "sys", SimpleNamespace(stdout=writer))
        yield reader


def read(reader, size):
    data = b""
    while len(data) < size:
        data += reader.read(size - len(data))
    return data


def test_what_fits_is_written_at_once(pipe):
    asyncio.run(write_stdout(b"line\n"))
    assert pipe.read(100) == b"line\n"


def test_a_pipe_that_nobody_reads_holds_up_its_writer_alone(pipe):
    large = b"x" * 1_000_000

    async def scenario():
        first = asyncio.ensure_future(write_stdout(large))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(write_stdout(b"second"))
        for _ in range(20):
            await asyncio.sleep(0.005)  # the loop goes on
        assert not first.done()
        assert not second.done()
        found = await asyncio.to_thread(read, pipe, len(large) + 6)
        await asyncio.wait_for(asyncio.gather(first, second), 5)
        return found

    assert asyncio.run(scenario()) == large + b"second"


def test_a_pipe_that_is_full_takes_small_writes_later(pipe):
    async def scenario():
        os.set_blocking(console.sys.stdout.fileno(), False)
        filled = 0
        while select.select([], [console.sys.stdout], [], 0)[1]:
            filled += os.write(console.sys.stdout.fileno(), b"x" * PIPE_BYTES)
        os.set_blocking(console.sys.stdout.fileno(), True)
        small = asyncio.ensure_future(write_stdout(b"small"))
        await asyncio.sleep(0.02)
        assert not small.done()
        found = await asyncio.to_thread(read, pipe, filled + 5)
        await asyncio.wait_for(small, 5)
        return found

    assert asyncio.run(scenario()).endswith(b"xsmall")


def test_who_has_gone_is_told_of(pipe):
    pipe.close()
    with pytest.raises(BrokenPipeError):
        asyncio.run(write_stdout(b"x" * 1_000_000))
