"""Traces in the agent: from an input through its processors to the outputs that take them."""

import asyncio
import contextlib

import pytest

from tailrace.config.load import load
from tailrace.engine.agent import Agent
from tailrace.model import LOGS, METRICS, TRACES, Receipt
from tailrace.model.traces import ResourceSpans, ScopeSpans, Span, Traces, traces_chunk
from tailrace.plugin import (
    Input,
    InputOptions,
    Output,
    OutputOptions,
    input_plugin,
    output_plugin,
)
from tailrace.testing import ListSink

KEPT, SETTLED, LOST, CHOSEN = [], [], [], []


@input_plugin("test_traces_source")
class Source(Input[InputOptions]):
    """Three spans of two traces, once."""

    async def run(self, emit):
        ids = (b"\1" * 16, b"\2" * 16, b"\1" * 16)
        spans = [Span(name, trace_id) for name, trace_id in zip("abc", ids, strict=True)]
        chunk = traces_chunk("t", Traces([ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])]))
        chunk.receipt = Receipt(SETTLED.append)
        if not SETTLED:
            await emit(chunk)
        await asyncio.Event().wait()


@output_plugin("test_traces_keeper")
class Keeper(Output[OutputOptions]):
    """Keeps the names of spans."""

    handles = TRACES

    async def flush(self, chunk):
        KEPT.extend(span.name for span in chunk.payload.spans())


@output_plugin("test_traces_chosen")
class Chosen(Output[OutputOptions]):
    """Keeps the names of spans apart."""

    handles = TRACES

    async def flush(self, chunk):
        CHOSEN.extend(span.name for span in chunk.payload.spans())


@output_plugin("test_traces_other")
class Other(Output[OutputOptions]):
    """Takes all but traces."""

    handles = LOGS | METRICS

    async def flush(self, chunk):
        LOST.append(chunk)


@pytest.fixture(autouse=True)
def clean():
    for each in (KEPT, SETTLED, LOST, CHOSEN):
        each.clear()


def configuration(processors, alias="one", routes="{}"):
    return f"""
service: {{flush: 0.01, grace: 2, hot_reload: on}}
pipeline:
  inputs:
    - {{name: test_traces_source, alias: {alias}, processors: {processors}, routes: {routes}}}
  outputs:
    - {{name: test_traces_keeper, match: '*'}}
    - {{name: test_traces_other, match: '*'}}
"""


@contextlib.asynccontextmanager
async def running(path, text):
    path.write_text(text)
    sink = ListSink()
    agent = Agent(lambda: load(str(path), None, {}), sink)
    agent._install_signals = lambda: None
    life = asyncio.ensure_future(agent.run())
    async with asyncio.timeout(10):
        while agent.pipeline is None or not agent.pipeline.books.inputs["one"].records:
            await asyncio.sleep(0.005)
    try:
        yield agent, sink
    finally:
        agent.stop()
        async with asyncio.timeout(10):
            await life
        assert agent.pipeline.books.check() == []


async def until(holds):
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


def test_traces_go_to_outputs_that_take_them_and_count_their_spans(tmp_path):
    async def scenario():
        async with running(tmp_path / "a.yaml", configuration("{}")) as (agent, _):
            await until(lambda: SETTLED)
            assert KEPT == ["a", "b", "c"]
            assert agent.pipeline.books.inputs["one"].records == 3
        assert LOST == []

    asyncio.run(scenario())


def test_processors_of_logs_leave_traces_alone(tmp_path):
    processors = (
        "{logs: [{name: content_modifier, action: insert, key: k, value: v}], "
        "traces: [{name: sampling, type: probabilistic, sampling_settings: {sampling_percentage: 0}}]}"
    )

    async def scenario():
        async with running(tmp_path / "a.yaml", configuration(processors)):
            await until(lambda: SETTLED)
        assert KEPT == []

    asyncio.run(scenario())


TAIL = (
    "{traces: [{name: sampling, type: tail, "
    "conditions: [{type: span_count, min_spans: 2, max_spans: 9}]}]}"
)


def test_what_a_sampler_holds_is_decided_at_the_end(tmp_path):
    async def scenario():
        async with running(tmp_path / "a.yaml", configuration(TAIL)):
            assert KEPT == SETTLED == []
        assert KEPT == ["a", "c"]
        assert [receipt.refused for receipt in SETTLED] == [0]

    asyncio.run(scenario())


def test_what_a_sampler_holds_is_decided_before_a_reload_waits_for_its_input(tmp_path):
    async def scenario():
        path = tmp_path / "a.yaml"
        async with running(path, configuration(TAIL)) as (agent, sink):
            path.write_text(configuration(TAIL, alias="two"))
            async with asyncio.timeout(10):
                assert (await agent.reload_and_wait()).status == 0
            assert KEPT == ["a", "c"]
            assert not [text for _, text in sink.messages if "not delivered" in text]

    asyncio.run(scenario())


@pytest.mark.parametrize("processors", ["{}", TAIL])
def test_traces_go_by_the_routes_of_their_input(tmp_path, processors):
    routes = "{traces: [{to: {outputs: [chosen]}}]}"
    text = configuration(processors, routes=routes)
    text += "    - {name: test_traces_chosen, alias: chosen}\n"

    async def scenario():
        async with running(tmp_path / "a.yaml", text):
            pass
        assert KEPT == []
        assert (["a", "c"] if processors == TAIL else ["a", "b", "c"]) == CHOSEN

    asyncio.run(scenario())
