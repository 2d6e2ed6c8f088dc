"""The input random."""

import asyncio

from tailrace.testing import make_plugin, run_input


def test_numbers_have_64_bit_and_differ():
    chunks = run_input("random", "", until=20)
    values = [body["rand_value"] for chunk in chunks for body in chunk.bodies]
    assert len(set(values)) == len(values)
    assert all(0 <= value < 1 << 64 for value in values)


def test_it_stops_after_the_samples():
    async def scenario(samples):
        plugin = make_plugin("input", "random", f"samples {samples}")
        chunks = []

        async def emit(chunk):
            chunks.append(chunk)

        running = asyncio.ensure_future(plugin.run(emit))
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()
        return len(chunks)

    assert [asyncio.run(scenario(samples)) for samples in (0, 2)] == [0, 2]
