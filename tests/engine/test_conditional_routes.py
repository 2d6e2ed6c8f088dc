"""Conditional routes in a running agent."""

import asyncio

from tailrace.config.load import load
from tailrace.engine.agent import Agent
from tailrace.model import Chunk, Receipt
from tailrace.plugin import (
    Filter,
    FilterOptions,
    Input,
    InputOptions,
    Output,
    OutputOptions,
    filter_plugin,
    input_plugin,
    joined,
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


LEVELS = ["error", "info", "error"]


@input_plugin("test_levels")
class Levels(Input[InputOptions]):
    """Three events, once; `settled` when all of them have ended."""

    settled = 0

    async def run(self, emit):
        def on_settled(_):
            Levels.settled += 1

        chunk = Chunk("t", [1, 2, 3], [{"level": each} for each in LEVELS])
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


@filter_plugin("test_later")
class Later(Filter[FilterOptions]):
    """Gives events out a moment after they came."""

    def process(self, chunk):
        held = chunk.copy()
        held.receipt = joined([chunk.receipt])
        self.context.call_later(0.001, lambda: self.context.emit(held))
        return chunk.select([False] * chunk.count)


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
        kept = {port.name: list(port.instance.plugin.kept) for port in agent.pipeline.outputs}
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


def test_a_condition_that_fails_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tailrace.model.condition.CHUNK_SECONDS", 0.02)
    endless = HEAD.replace("op: eq, value: error", "op: regex, value: '^(\\w+\\w+)+x$'")
    monkeypatch.setattr(f"{__name__}.LEVELS", ["e" * 60, "info", "e" * 60])
    kept = run(tmp_path, endless + OUTPUTS)
    assert [len(kept[name]) for name in ("alarm", "archive", "new")] == [0, 3, 0]


def test_what_a_processor_gives_out_later_is_settled_when_all_its_parts_have_ended(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(f"{__name__}.LEVELS", ["info", "error"])
    head = HEAD.partition("          - name: rest")[0]  # info goes nowhere, and that at once
    head = head.replace("flush: 0.01", "flush: 0.1")
    later = head.replace("tag: t", "tag: t\n      processors: {logs: [{name: test_later}]}")
    assert run(tmp_path, later + OUTPUTS)["alarm"] == [("t", "error")]
