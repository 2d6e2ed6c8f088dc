import asyncio
import contextlib

from tailrace.engine.watching import watch


def test_a_change_is_told_once_it_has_settled(tmp_path):
    path = tmp_path / "a.conf"
    path.write_text("one")
    told = []

    async def run():
        task = asyncio.ensure_future(
            watch(lambda: [str(path)], lambda: told.append(path.read_text()), 0.02)
        )
        await asyncio.sleep(0.1)
        assert told == []
        path.write_text("two and more")
        async with asyncio.timeout(5):
            while not told:
                await asyncio.sleep(0.01)
        path.unlink()
        await asyncio.sleep(0.1)
        assert told == ["two and more"]
        path.write_text("three")
        async with asyncio.timeout(5):
            while len(told) < 2:
                await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert told == ["two and more", "three"]
