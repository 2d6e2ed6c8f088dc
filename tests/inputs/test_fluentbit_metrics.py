import asyncio

import pytest

from tailrace.model import METRICS
from tailrace.model.metrics import MetricKind
from tailrace.testing import FakeContext, make_plugin


def scraped(section, count):
    """The context and the first chunks of the input."""
    context = FakeContext()
    context.told.metric(MetricKind.COUNTER, "n").add(1, 1)
    plugin = make_plugin("input", "fluentbit_metrics", section, context)
    chunks = []

    async def emit(chunk):
        chunks.append(chunk)
        if len(chunks) == count:
            raise asyncio.CancelledError

    async def run():
        with pytest.raises(asyncio.CancelledError):
            await plugin.run(emit)

    asyncio.run(run())
    return context, chunks


def test_it_gives_what_the_agent_tells_of_itself():
    context, chunks = scraped("tag t", 2)
    assert [(chunk.tag, chunk.kind, chunk.payload) for chunk in chunks] == [
        ("t", METRICS, context.told)
    ] * 2
    assert context.clock.slept == [2.0, 2.0]


def test_it_counts_its_looks():
    context, _ = scraped("", 3)
    assert context.metrics.by_name["fluentbit_input_metrics_scrapes_total"].values == {(): 3}


@pytest.mark.parametrize(
    ("section", "slept"),
    [
        ("scrape_interval 60\nscrape_on_start on", [5.0, 55.0, 60.0]),
        ("scrape_interval 4\nscrape_on_start on", [4.0, 4.0, 4.0]),
        ("scrape_interval 60", [60.0, 60.0, 60.0]),
    ],
)
def test_the_first_look_may_come_early(section, slept):
    context, _ = scraped(section, 3)
    assert context.clock.slept == slept


def test_an_agent_that_tells_nothing_gives_no_chunk():
    context = FakeContext()
    plugin = make_plugin("input", "fluentbit_metrics", "", context)

    async def run():
        async with asyncio.timeout(0.05):
            await plugin.run(lambda chunk: pytest.fail("a chunk"))

    with pytest.raises(TimeoutError):
        asyncio.run(run())
