"""What an output gives up is kept, or taken by another output."""

import asyncio

import pytest

from tailrace.config.errors import InvalidConfiguration
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.refused import check_secondaries
from tailrace.engine.telemetry.keeping import write_keeping
from tailrace.engine.telemetry.writer import Writer
from tailrace.model import Receipt
from tailrace.model.metrics import Metric, MetricKind, MetricSet, metrics_chunk
from tailrace.plugin import Output, OutputOptions, Reject, output_plugin
from tailrace.plugin.dead_letters import letter_files, read_letters
from tailrace.plugin.log import Log
from tests.engine.test_persistence import DEAD, SOURCE, TAKES, Life, until
from tests.engine.test_pipeline import build, configuration

REFUSES = {"name": "test_refuses", "match": "*", "alias": "refuses"}


@output_plugin("test_refuses")
class Refusing(Output[OutputOptions]):
    async def flush(self, chunk):
        raise Reject("mapping", 400)


def letters(folder):
    return [line.letter for path in letter_files(folder) for line in read_letters(path)]


def test_refused_events_become_dead_letters(tmp_path):
    async def scenario():
        async with Life(tmp_path, [SOURCE], [REFUSES], storage_keep_rejected=True) as life:
            await until(lambda: len(life.settled) == 3)

    asyncio.run(scenario())
    found = letters(tmp_path / "rejected")
    assert sorted(letter.record["n"] for letter in found) == list(range(30))
    assert {
        (each.output, each.plugin, each.reason, each.status, each.attempts) for each in found
    } == {("refuses", "test_refuses", "mapping", 400, 1)}


def test_so_do_events_whose_retries_are_used_up(tmp_path):
    async def scenario():
        dead = {**DEAD, "retry_limit": 1}
        async with Life(tmp_path, [SOURCE], [dead], storage_keep_rejected=True) as life:
            await until(lambda: len(life.settled) == 3)

    asyncio.run(scenario())
    found = letters(tmp_path / "rejected")
    assert len(found) == 30
    assert {(each.reason, each.attempts) for each in found} == {("connection refused", 2)}


def test_a_secondary_takes_what_was_given_up(tmp_path):
    async def scenario():
        takes = {**TAKES, "match": "nothing"}
        refuses = {**REFUSES, "secondary": "takes"}
        async with Life(tmp_path, [SOURCE], [refuses, takes]) as life:
            await until(lambda: len(life.settled) == 3)
            assert sorted(life.taken()) == list(range(30))

    asyncio.run(scenario())


def test_a_receipt_waits_for_the_secondary(tmp_path):
    async def scenario():
        dead = {**DEAD, "match": "nothing"}
        refuses = {**REFUSES, "secondary": "dead"}
        async with Life(tmp_path, [SOURCE], [refuses, dead]) as life:
            await until(lambda: life.pipeline.books.outputs["refuses"].rejected)
            await asyncio.sleep(0.02)
            assert life.settled == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        ({"a": "b", "b": ""}, None),
        ({"a": "x"}, "no output 'x'"),
        ({"a": "a"}, "circle: a -> a"),
        ({"a": "b", "b": "c", "c": "a"}, "circle"),
    ],
)
def test_secondaries_that_lead_nowhere_or_in_a_circle_are_found(names, wrong):
    found = check_secondaries(names)
    assert (found is None) if wrong is None else (wrong in found)


def test_a_wrong_secondary_ends_the_start():
    async def scenario():
        plan, _, sink = build(configuration([SOURCE], [], [{**REFUSES, "secondary": "x"}]))
        with pytest.raises(InvalidConfiguration, match="there is no output 'x'"):
            Pipeline(plan, Log(sink))

    asyncio.run(scenario())


def test_metrics_are_kept_packed(tmp_path):
    async def scenario():
        silent = {"name": "test_silent"}
        refuses = {**REFUSES, "match": "m"}
        async with Life(tmp_path, [silent], [refuses], storage_keep_rejected=True) as life:
            gauge = Metric(MetricKind.GAUGE, "depth")
            gauge.set(1.0, 5)
            queue = life.pipeline.outputs[0].queue
            queue.put(metrics_chunk("m", MetricSet([gauge])), Receipt(), "s")
            await until(lambda: queue.is_empty)

    asyncio.run(scenario())
    [letter] = letters(tmp_path / "rejected")
    assert (letter.kind, letter.tag, letter.packed[:2]) == ("metrics", "m", b"\xc1\x00")


def test_metrics_tell_of_dead_letters_and_the_storage(tmp_path):
    async def scenario():
        async with Life(tmp_path, [SOURCE], [REFUSES], storage_keep_rejected=True) as life:
            await until(lambda: len(life.settled) == 3)
            write = Writer(1)
            write_keeping(write, life.pipeline)
        return {metric.full_name: metric.samples[0].value for metric in write.set.metrics}

    found = asyncio.run(scenario())
    assert found.pop("tailrace_memory_limit_bytes") > 0
    assert found == {
        "tailrace_memory_held_bytes": 0,
        "tailrace_storage_full": 0,
        "tailrace_storage_damaged_files_total": 0,
        "tailrace_dead_letters_records_total": 30,
        "tailrace_dead_letters_lost_records_total": 0,
    }


def test_a_secondary_is_never_handed_what_it_does_not_take(tmp_path):
    async def scenario():
        outputs = [{**REFUSES, "match": "m", "secondary": "takes"}, {**TAKES, "match": "nothing"}]
        async with Life(tmp_path, [{"name": "test_silent"}], outputs) as life:
            queue = life.pipeline.outputs[0].queue
            queue.put(
                metrics_chunk("m", MetricSet([Metric(MetricKind.GAUGE, "g")])), Receipt(), "s"
            )
            await until(lambda: queue.is_empty)
            assert life.pipeline.books.outputs["takes"].routed == 0

    asyncio.run(scenario())
