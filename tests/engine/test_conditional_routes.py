"""Conditional routes in a running agent."""

import asyncio

from tailrace.config.load import load
from tailrace.engine.agent import Agent
from tailrace.model import Chunk, Receipt
from tailrace.plugin import (
    Input,
    InputOptions,
    Output,
    OutputOptions,
    input_plugin,
    output_plugin,
)
from tailrace.testing import ListSink

HEAD = """
service: {flush: 0.01}
pipeline:
  inputs:
    - name: test_levels
      tag: t
      routes:
        logs:
          - name: errors
            condition: {rules: [{field: $level, op: eq, value: error}]}
            to: {outputs: [alarm]}
          - name: rest
            condition: {default: true}
            to: {outputs: [archive]}
"""
OUTPUTS = """
  outputs:
    - {name: test_routes_keeper, alias: alarm}
    - {name: test_routes_keeper, alias: archive}
    - {name: test_routes_keeper, alias: new, match: new}
"""
FILTERS = """
  filters:
    - {name: modify, match: '*', set: level gone}
"""
REWRITE = """
  filters:
    - {name: rewrite_tag, match: t, rule: $level ^error$ new false}
"""


@input_plugin("test_levels")
class Levels(Input[InputOptions]):
    """Three events, once; `settled` when all of them have ended."""

    settled = 0

    async def run(self, emit):
        def on_settled(_):
            Levels.settled += 1

        chunk = Chunk("t", [1, 2, 3], [{"level": each} for each in ("error", "info", "error")])
        receipt = chunk.receipt = Receipt(on_settled)
        receipt.hold()
        await emit(chunk)
        receipt.release()
        await asyncio.Event().wait()


@output_plugin("test_routes_keeper")
class Keeper(Output[OutputOptions]):
    """Keeps the tag and level of each event."""

    def __init__(self, options):
        super().__init__(options)
        self.kept = []

    async def flush(self, chunk):
        self.kept += [(chunk.tag, body["level"]) for body in chunk.bodies]


def run(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    Levels.settled = 0

    async def scenario():
        sink = ListSink()
        agent = Agent(lambda: load(str(path), None, {}), sink)
        agent._install_signals = lambda: None
        life = asyncio.ensure_future(agent.run())
        async with asyncio.timeout(10):
            while not Levels.settled:
                assert not life.done(), sink.messages
                await asyncio.sleep(0.005)
        kept = {port.name: port.instance.plugin.kept for port in agent.pipeline.outputs}
        assert agent.pipeline.books.check() == []
        agent.stop()
        await life
        assert Levels.settled == 1
        return kept

    return asyncio.run(scenario())


def test_conditions_see_events_as_their_input_gave_them(tmp_path):
    kept = run(tmp_path, HEAD + FILTERS + OUTPUTS)
    assert kept["alarm"] == [("t", "gone")] * 2
    assert kept["archive"] == [("t", "gone")]


def test_an_event_that_gets_another_tag_goes_where_that_goes(tmp_path):
    kept = run(tmp_path, HEAD + REWRITE + OUTPUTS)
    assert kept == {"alarm": [], "archive": [("t", "info")], "new": [("new", "error")] * 2}


def test_joined_events_keep_their_way(tmp_path):
    joining = """
  filters:
    - {name: multiline, match: '*', multiline.parser: java, multiline.key_content: level, flush_ms: 500}
"""
    kept = run(tmp_path, HEAD + joining + OUTPUTS)
    assert kept["alarm"] == [("t", "error")] * 2
    assert kept["archive"] == [("t", "info")]
