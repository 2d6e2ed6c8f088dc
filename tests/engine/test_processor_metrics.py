"""What the agent tells of processors; names, labels and values are those of Fluent Bit for the same configuration."""

import asyncio

from tailrace.config.load import load
from tailrace.engine.agent import Agent
from tailrace.engine.telemetry import collect
from tailrace.model import Chunk
from tailrace.plugin import (
    Input,
    InputOptions,
    Processor,
    ProcessorOptions,
    input_plugin,
    processor_plugin,
)
from tailrace.testing import ListSink

CONFIGURATION = """
service: {flush: 0.01, grace: 2}
pipeline:
  inputs:
    - name: test_processed_source
      alias: in
      processors:
        metrics:
          - {name: labels, insert: a b}
        logs:
          - {name: content_modifier, action: insert, key: k, value: v}
          - {name: grep, regex: n 1}
          - {name: test_processed_failing}
  outputs:
    - name: 'null'
      match: '*'
      alias: out
      processors:
        logs:
          - {name: content_modifier, action: insert, key: l, value: v}
"""


@input_plugin("test_processed_source")
class Source(Input[InputOptions]):
    """Two events, once."""

    padding = 0

    async def run(self, emit):
        await emit(Chunk("t", [1, 2], [{"n": "1"}, {"n": "2"}]))
        await asyncio.Event().wait()


@processor_plugin("test_processed_failing")
class Failing(Processor[ProcessorOptions]):
    """Does nothing right."""

    def process(self, chunk):
        raise ValueError("a bug")


async def metrics_after_delivery(path):
    path.write_text(CONFIGURATION)
    agent = Agent(lambda: load(str(path), None, {}), ListSink())
    agent._install_signals = lambda: None
    life = asyncio.ensure_future(agent.run())
    async with asyncio.timeout(10):
        while agent.pipeline is None or not agent.pipeline.books.outputs["out"].delivered:
            await asyncio.sleep(0.005)
    found = collect(agent)
    agent.stop()
    await life
    assert agent.pipeline.books.check() == []
    return {
        (metric.full_name, *sample.labels): sample.value
        for metric in found.metrics
        for sample in metric.samples
    }


def test_processors_are_counted_under_their_owner_and_place(tmp_path):
    told = asyncio.run(metrics_after_delivery(tmp_path / "a.yaml"))
    processors = {
        (name.removeprefix("fluentbit_processor_").removesuffix("_total"), *labels): value
        for (name, *labels), value in told.items()
        if name.startswith("fluentbit_processor_")
    }
    first = ("input", "in", "content_modifier", "0", "logs")
    second = ("input", "in", "grep", "1", "logs")
    third = ("input", "in", "test_processed_failing", "2", "logs")
    last = ("output", "out", "content_modifier", "0", "logs")
    assert processors == {
        ("invocations", *first): 1,
        ("items_in", *first): 2,
        ("items_out", *first): 2,
        ("invocations", *second): 1,
        ("items_in", *second): 2,
        ("items_out", *second): 1,
        ("items_drop", *second): 1,
        ("invocations", *third): 1,
        ("errors", *third): 1,
        ("invocations", *last): 1,
        ("items_in", *last): 1,
        ("items_out", *last): 1,
    }


def test_an_input_is_counted_behind_its_processors(tmp_path):
    """One event of `{"n": "1", "k": "v"}`, and what Fluent Bit writes longer than need be: 30 bytes."""
    told = asyncio.run(metrics_after_delivery(tmp_path / "a.yaml"))
    assert told["fluentbit_input_records_total", "in"] == 1
    assert told["fluentbit_input_bytes_total", "in"] == 13 + 9 + 8


def test_filters_alone_are_told_of_as_filters(tmp_path):
    told = asyncio.run(metrics_after_delivery(tmp_path / "a.yaml"))
    names = {labels[0] for name, *labels in told if name == "fluentbit_filter_records_total"}
    assert [name.split(".")[0] for name in names] == ["grep"]
