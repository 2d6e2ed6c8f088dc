"""The filter multiline in a running pipeline: receipts and books hold, and nothing goes round."""

import asyncio

import pytest

from tailrace.config.errors import InvalidConfiguration
from tailrace.engine.pipeline import Pipeline
from tailrace.model import Chunk, Receipt
from tailrace.plugin import Input, InputOptions, Output, OutputOptions, input_plugin, output_plugin
from tailrace.plugin.log import Log
from tests.engine.test_pipeline import build, configuration, section

RULES = {"rule": '"start_state" "/^- /" "cont"'}


class LinesOptions(InputOptions):
    lines: str = ""
    """Lines, separated by semicolons; a chunk each."""


@input_plugin("test_lines")
class Lines(Input[LinesOptions]):
    """Emits a chunk for each line and notes which were settled."""

    async def run(self, emit):
        self.settled = []
        for number, line in enumerate(self.options.lines.split(";")):
            chunk = Chunk(self.tag, [number], [{"msg": line, "seen": 0}])
            chunk.receipt = Receipt(lambda receipt, number=number: self.settled.append(number))
            await emit(chunk)


@output_plugin("test_keeper")
class Keeper(Output[OutputOptions]):
    """Keeps what it takes."""

    def __init__(self, options):
        super().__init__(options)
        self.taken = []

    async def flush(self, chunk):
        self.taken += [(chunk.tag, body) for body in chunk.bodies]


def parser_section():
    made = section("multiline_parser", name="list", type="regex")
    made.entries += section("multiline_parser", **RULES).entries
    made.entries += section("multiline_parser", rule='"cont" "/^  /" "cont"').entries
    return made


def run(lines, filters, processors=()):
    """What the output took, the receipts that were settled, and the books' complaints."""

    async def scenario():
        made = configuration(
            [{"name": "test_lines", "tag": "t", "lines": lines}],
            filters,
            [{"name": "test_keeper", "match": "*"}],
        )
        made.multiline_parsers = [parser_section()]
        made.inputs[0].children = [section("processor", **values) for values in processors]
        for child in made.inputs[0].children:
            child.group = "logs"
        plan, problems, sink = build(made)
        assert not problems.errors, problems.errors
        pipeline = Pipeline(plan, Log(sink))
        await pipeline.start()
        await asyncio.sleep(0.1)
        assert pipeline.books.check() == []
        source = pipeline.inputs[0].instance.plugin
        held = list(source.settled)
        await pipeline.stop(5.0)
        assert pipeline.books.check() == []
        return pipeline.outputs[0].instance.plugin.taken, held, source.settled

    return asyncio.run(scenario())


JOIN = {
    "name": "multiline",
    "match": "*",
    "multiline.parser": "list",
    "multiline.key_content": "msg",
}


def test_joined_events_settle_all_their_lines():
    taken, held, settled = run("- a;  b;x;- c;  d", [JOIN])
    assert [body["msg"] for _, body in taken] == ["- a\n  b", "x", "- c\n  d"]
    assert held == [0, 1, 2]
    assert sorted(settled) == [0, 1, 2, 3, 4]


def test_two_such_filters_do_not_send_events_round():
    taken, _, settled = run("- a;  b;x", [JOIN, JOIN])
    assert [body["msg"] for _, body in taken] == ["- a\n  b", "x"]
    assert sorted(settled) == [0, 1, 2]


def test_filters_before_it_see_a_joined_event_again():
    twice = {"name": "modify", "match": "*", "rename": "copied first", "copy": "msg copied"}
    taken, _, _ = run("- a;  b;x", [twice, JOIN])
    assert [(body["first"], body["copied"]) for _, body in taken] == [
        ("- a", "- a\n  b"),
        ("x", "x"),
    ]


def test_as_a_processor_it_sends_events_to_those_behind_it():
    mark = {"name": "content_modifier", "action": "upsert", "key": "marked", "value": "yes"}
    join = {key: value for key, value in JOIN.items() if key != "match"}
    taken, _, settled = run("- a;  b;x", [], [join, mark])
    assert [(body["msg"], body["marked"]) for _, body in taken] == [
        ("- a\n  b", "yes"),
        ("x", "yes"),
    ]
    assert sorted(settled) == [0, 1, 2]


def test_what_a_processor_of_an_input_holds_back_is_given_out_at_the_end():
    join = {key: value for key, value in JOIN.items() if key != "match"}
    taken, held, settled = run("x;- a;  b", [], [join])
    assert [body["msg"] for _, body in taken] == ["x", "- a\n  b"]
    assert held == [0]
    assert sorted(settled) == [0, 1, 2]


def test_as_a_processor_of_an_output_it_is_refused():
    async def scenario():
        made = configuration([{"name": "dummy"}], [], [{"name": "test_keeper", "match": "*"}])
        made.multiline_parsers = [parser_section()]
        join = {key: value for key, value in JOIN.items() if key != "match"}
        made.outputs[0].children = [section("processor", **join)]
        made.outputs[0].children[0].group = "logs"
        plan, _, sink = build(made)
        with pytest.raises(InvalidConfiguration, match="can't send events anew"):
            Pipeline(plan, Log(sink))
        made.outputs[0].children[0].entries += section("processor", buffer="off").entries
        Pipeline(build(made)[0], Log(sink))

    asyncio.run(scenario())
