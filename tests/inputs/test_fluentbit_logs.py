import asyncio
import contextlib

from tailrace.inputs.fluentbit_logs import MOST_LINES
from tailrace.plugin.log import Level, Log, LogSink
from tailrace.testing import FakeContext, make_plugin


def collected(write, until):
    """Bodies that come of what `write` does with the log."""
    context = FakeContext()
    sink = LogSink(Level.DEBUG)
    context.log = Log(sink, "input:x")
    sink._file = open("/dev/null", "w")  # noqa: SIM115
    context.log.info("before")
    plugin = make_plugin("input", "fluentbit_logs", "tag t", context)
    bodies = []

    async def emit(chunk):
        bodies.extend(zip(chunk.times, chunk.bodies, strict=True))

    async def run():
        task = asyncio.ensure_future(plugin.run(emit))
        await asyncio.sleep(0)
        write(context.log)
        async with asyncio.timeout(5):
            while len(bodies) < until:
                await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())
    sink._file.close()
    return context, sink, bodies


def test_lines_come_with_level_and_time_those_before_the_start_too():
    _, _, bodies = collected(lambda log: log.warn("odd"), 2)
    assert [body for _, body in bodies] == [
        {"level": "info", "message": "[input:x] before"},
        {"level": "warn", "message": "[input:x] odd"},
    ]
    assert all(time > 10**18 for time, _ in bodies)


def test_lines_below_the_level_do_not_come():
    def write(log):
        log.trace("quiet")
        log.debug("loud")

    _, _, bodies = collected(write, 2)
    assert [body["level"] for _, body in bodies] == ["info", "debug"]


def test_it_ends_listening():
    _, sink, _ = collected(lambda log: log.info("x"), 2)
    assert sink.listeners == []


def test_a_flood_is_cut_and_counted():
    def write(log):
        for _ in range(MOST_LINES + 10):
            log.info("x")

    context, _, bodies = collected(write, MOST_LINES)
    assert sum(count for count, _ in context.dropped) == MOST_LINES + 11 - len(bodies)
