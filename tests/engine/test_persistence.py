"""What lies on disk outlives the pipeline, and goes to each output once."""

import asyncio
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.cli.dlq import write_files
from tailrace.config.errors import InvalidConfiguration
from tailrace.engine import persistence
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.storage import REPLAY_FOLDER, Storage, StoredChunk
from tailrace.model import TRACES, Chunk
from tailrace.model.traces import ResourceSpans, ScopeSpans, Span, Traces, traces_chunk
from tailrace.plugin import (
    Input,
    InputOptions,
    Output,
    OutputOptions,
    Retry,
    input_plugin,
    output_plugin,
)
from tailrace.plugin.log import Log
from tailrace.wire import chunkfile
from tailrace.wire.dead_letter import DeadLetter
from tests.engine.test_pipeline import CountingSource, build, configuration

SOURCE = {"name": "test_source", "tag": "t", "chunks": 3}
STORED = {**SOURCE, "storage.type": "filesystem"}
TAKES = {"name": "test_sink", "match": "*", "alias": "takes"}
DEAD = {"name": "test_dead", "match": "*", "alias": "dead", "retry_limit": "no_limits"}


@input_plugin("test_silent")
class Silent(Input[InputOptions]):
    async def run(self, emit):
        await asyncio.Event().wait()


class Life:
    """One run of a pipeline over a storage folder."""

    def __init__(self, folder, inputs, outputs, filters=(), **service):
        full = service.pop("sync", "normal") == "full"
        made = configuration(inputs, list(filters), outputs)
        self.plan, problems, self.sink = build(made, **service)
        assert not problems.errors
        self.storage = Storage(folder, Log(self.sink), sync_full=full)
        self.storage_for_pipeline = self.storage
        self.grace = 0.01

    async def __aenter__(self):
        self.storage.open()
        self.pipeline = Pipeline(self.plan, Log(self.sink), self.storage_for_pipeline)
        await self.pipeline.start()
        return self

    async def __aexit__(self, *error):
        self.left = await self.pipeline.stop(self.grace)
        self.storage.close()
        assert self.pipeline.books.check() == []

    def taken(self, name="takes"):
        [port] = [port for port in self.pipeline.outputs if port.name == name]
        return port.instance.plugin.taken

    @property
    def settled(self):
        return getattr(self.pipeline.inputs[0].instance.plugin, "settled", [])


async def until(claim):
    async with asyncio.timeout(10):
        while not claim():
            await asyncio.sleep(0.001)


def files(folder):
    return [path for path in folder.rglob("*.flb") if path.is_file()]


def test_a_stored_chunk_is_settled_at_once_and_delivered_by_a_later_run(tmp_path):
    async def scenario():
        async with Life(tmp_path, [STORED], [DEAD]) as first:
            await until(lambda: len(first.settled) == 3)
        assert (first.left, len(files(tmp_path))) == (30, 3)
        async with Life(tmp_path, [{"name": "test_silent"}], [TAKES]) as second:
            await until(lambda: len(second.taken()) == 30)
        assert sorted(second.taken()) == list(range(30))
        assert files(tmp_path) == []

    asyncio.run(scenario())


RETAG = [
    {"name": "record_modifier", "match": "t*", "record": "k v"},
    {"name": "rewrite_tag", "match": "t*", "rule": "$k ^v$ again false"},
]
JOIN = [
    {"name": "record_modifier", "match": "t*", "record": "log line"},
    {"name": "multiline", "match": "t*", "multiline.parser": "go", "multiline.key_content": "log"},
]
ON_DISK = {"emitter_storage.type": "filesystem"}


@pytest.mark.parametrize(
    ("source", "filters"),
    [
        (STORED, RETAG),
        (SOURCE, [RETAG[0], {**RETAG[1], **ON_DISK}]),
        (STORED, JOIN),
        (SOURCE, [JOIN[0], {**JOIN[1], **ON_DISK}]),
    ],
)
def test_what_a_filter_emits_anew_is_stored_too(tmp_path, source, filters):
    async def scenario():
        async with Life(tmp_path, [source], [DEAD], filters) as first:
            await until(lambda: len(first.settled) == 3)
            stored = sum(stored.count for stored, _ in first.storage.backlog())
        assert (first.left, stored) == (30, 30)
        async with Life(tmp_path, [{"name": "test_silent"}], [TAKES]) as second:
            await until(lambda: len(second.taken()) == 30)
        assert sorted(second.taken()) == list(range(30))

    asyncio.run(scenario())


@pytest.mark.parametrize(("source", "count"), [(STORED, 4), (SOURCE, 0)])
def test_what_the_stream_processor_makes_is_stored_as_its_input_is(tmp_path, source, count):
    async def scenario():
        async with Life(tmp_path, [source], [DEAD]) as life:
            await until(lambda: life.pipeline.books.passed == 30)
            result = Chunk("again", [1], [{"n": 1}])
            result.stream = (life.pipeline.inputs[0].name, None)
            life.pipeline.inject(result, "s")
            assert len(files(tmp_path)) == count

    asyncio.run(scenario())


def test_a_dead_output_does_not_hold_up_the_backlog_of_another(tmp_path):
    async def scenario():
        async with Life(tmp_path, [{**STORED, "chunks": 20}], [DEAD]) as first:
            await until(lambda: len(first.settled) == 20)
        silent = [{"name": "test_silent"}]
        async with Life(tmp_path, silent, [DEAD, TAKES], storage_backlog_mem_limit=4096) as second:
            await until(lambda: len(second.taken()) == 200)
        assert len(files(tmp_path)) == 20  # the dead one's

    asyncio.run(scenario())


def test_what_memory_holds_at_the_end_is_kept_for_the_outputs_that_miss_it(tmp_path):
    async def scenario():
        async with Life(tmp_path, [SOURCE], [DEAD, TAKES]) as first:
            await until(lambda: len(first.taken()) == 30)
        assert (first.left, sorted(first.settled)) == (0, [0, 1, 2])
        assert first.pipeline.books.outputs["dead"].kept == 30
        assert any("30 events" in text and "next start" in text for _, text in first.sink.messages)
        alive = {**TAKES, "alias": "dead"}
        async with Life(tmp_path, [{"name": "test_silent"}], [TAKES, alive]) as second:
            await until(lambda: len(second.taken("dead")) == 30)
        assert second.taken() == []
        assert files(tmp_path) == []

    asyncio.run(scenario())


def test_after_the_end_a_file_is_for_the_outputs_alone_that_miss_it(tmp_path):
    async def scenario():
        async with Life(tmp_path, [STORED], [DEAD, TAKES]) as first:
            await until(lambda: len(first.taken()) == 30)
        alive = {**TAKES, "alias": "dead"}
        async with Life(tmp_path, [{"name": "test_silent"}], [TAKES, alive]) as second:
            await until(lambda: len(second.taken("dead")) == 30)
        assert second.taken() == []

    asyncio.run(scenario())


def test_what_a_full_disk_does_not_take_at_the_end_is_told_once(tmp_path, monkeypatch):
    def refuse(descriptor, data):
        raise OSError(28, "No space left on device")

    async def scenario():
        async with Life(tmp_path, [SOURCE], [DEAD, TAKES]) as life:
            await until(lambda: len(life.taken()) == 30)
            monkeypatch.setattr(os, "write", refuse)
        told = [text for _, text in life.sink.messages if "can't be kept" in text]
        assert (life.left, len(told)) == (30, 1)
        assert "30 events" in told[0]

    asyncio.run(scenario())


def test_a_full_disk_makes_inputs_wait_and_goes_on_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(persistence, "PROBE_SECONDS", 0.01)
    monkeypatch.setattr("tailrace.engine.ports.SOFT_LIMIT_BYTES", 2000)
    write, full = os.write, [True]

    def limited(descriptor, data):
        if full[0]:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    async def scenario():
        monkeypatch.setattr(os, "write", limited)
        async with Life(tmp_path, [{**STORED, "chunks": 20}], [DEAD]) as life:
            book = life.pipeline.books.inputs["test_source.0"]
            await until(lambda: life.pipeline.inputs[0].paused)
            await asyncio.sleep(0.03)
            assert (book.records < 200, life.settled) == (True, [])
            full[0] = False
            await until(lambda: book.records == 200)
        assert sorted(life.settled) == list(range(20))
        messages = [text for _, text in life.sink.messages]
        assert sum("No space left on device" in text for text in messages) == 1
        assert any("writing works again" in text for text in messages)

    asyncio.run(scenario())


def test_with_full_sync_a_receipt_waits_for_the_disk(tmp_path, monkeypatch):
    synced = []

    def note(paths):
        synced.extend(paths)

    monkeypatch.setattr("tailrace.engine.storage.sync_files", note)

    async def scenario():
        async with Life(tmp_path, [STORED], [DEAD], sync="full") as life:
            await until(lambda: len(life.settled) == 3)
            assert len(synced) == 3

    asyncio.run(scenario())


def test_chunks_beyond_the_most_in_memory_wait_on_disk(tmp_path, monkeypatch):
    stubbed = []
    stub = StoredChunk.stub
    monkeypatch.setattr(
        StoredChunk, "stub", lambda file, tag: stubbed.append(file) or stub(file, tag)
    )

    async def scenario():
        async with Life(
            tmp_path, [{**STORED, "chunks": 5}], [DEAD], storage_max_chunks_up=2
        ) as life:
            await until(lambda: len(life.settled) == 5)

    asyncio.run(scenario())
    assert len(stubbed) == 3


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), None])
def test_a_file_that_does_not_reach_the_disk_keeps_its_input_waiting(tmp_path, monkeypatch, error):
    monkeypatch.setattr("tailrace.engine.storage.sync_files", lambda paths: error)

    async def scenario():
        async with Life(tmp_path, [{**STORED, "chunks": 1}], [DEAD], sync="full") as life:
            await until(lambda: files(tmp_path))
            await asyncio.sleep(0.02)
            return list(life.settled)

    assert asyncio.run(scenario()) == ([] if error else [0])


def test_what_overflows_a_queue_waits_on_disk_in_its_order(tmp_path):
    async def scenario():
        away = {**DEAD, "queue_full": "overflow", "queue_limit": 1500}
        async with Life(tmp_path, [{**SOURCE, "chunks": 20}], [away]) as first:
            await until(lambda: len(first.settled) == 18)
            assert first.pipeline.outputs[0].queue.nbytes < 6000
            assert first.settled == list(range(2, 20))
        assert len(files(tmp_path)) == 20
        alive = {**TAKES, "alias": "dead"}
        async with Life(tmp_path, [{"name": "test_silent"}], [alive]) as second:
            await until(lambda: len(second.taken("dead")) == 200)

    asyncio.run(scenario())


def test_overflow_needs_a_folder():
    async def scenario():
        plan, _, sink = build(configuration([SOURCE], [], [{**DEAD, "queue_full": "overflow"}]))
        with pytest.raises(InvalidConfiguration, match=r"no storage\.path"):
            Pipeline(plan, Log(sink))

    asyncio.run(scenario())


def test_what_is_put_in_to_be_replayed_is_delivered_while_the_agent_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(persistence, "REPLAY_SECONDS", 0.01)

    async def scenario():
        async with Life(tmp_path, [{"name": "test_silent"}], [DEAD, TAKES]) as life:
            for number in range(3):
                letters = [DeadLetter("t", "takes", "x", "why", record={"n": number})]
                write_files(tmp_path / REPLAY_FOLDER, "t", ("takes",), letters)
                await until(lambda: files(tmp_path) == [])
            assert life.taken() == [0, 1, 2]

    asyncio.run(scenario())


@output_plugin("test_slow")
class SlowSink(Output[OutputOptions]):
    preferred_bytes = 1

    async def flush(self, chunk):
        await asyncio.sleep(0.002)


@pytest.mark.parametrize(("can_wait", "on_disk_alone"), [(True, False), (False, True)])
def test_an_output_that_works_is_waited_for_by_who_can_wait(
    tmp_path, monkeypatch, can_wait, on_disk_alone
):
    monkeypatch.setattr(persistence, "MEMORY_BYTES", 1300)
    monkeypatch.setattr("tailrace.engine.queue.SOFT_LIMIT_BYTES", 1300)
    monkeypatch.setattr("tailrace.engine.ports.SOFT_LIMIT_BYTES", 1300)
    stubbed = []
    stub = StoredChunk.stub
    monkeypatch.setattr(
        StoredChunk, "stub", lambda file, tag: stubbed.append(file) or stub(file, tag)
    )
    monkeypatch.setattr(CountingSource, "can_wait", can_wait)
    slow = {"name": "test_slow", "match": "*"}

    async def scenario():
        async with Life(tmp_path, [{**STORED, "chunks": 20}], [slow]) as life:
            await until(lambda: len(life.settled) == 20)
            await until(lambda: files(tmp_path) == [])

    asyncio.run(scenario())
    assert bool(stubbed) is on_disk_alone


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    stored=st.lists(st.sampled_from(["memory", "filesystem"]), min_size=1, max_size=2),
    outputs=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.3, 1.0]),
            st.sampled_from(["block", "drop_oldest", "drop_newest", "overflow"]),
            st.sampled_from([0, 2000]),
            st.sampled_from([0, 9000]),
            st.sampled_from(["1", "no_limits"]),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_over_two_lives_every_event_is_accounted_for(seed, stored, outputs):
    """What the first life neither delivered nor gave up comes out of the second, at the outputs that miss it."""
    names = [f"out{n}" for n in range(len(outputs))]

    async def scenario(folder):
        inputs = [
            {**SOURCE, "tag": f"in{n}", "storage.type": kind} for n, kind in enumerate(stored)
        ]
        first_outputs = [
            {
                "name": "test_sink",
                "alias": name,
                "match": "*",
                "failing": failing,
                "seed": seed,
                "queue_full": policy,
                "queue_limit": limit,
                "storage.total_limit_size": disk,
                "retry_limit": retries,
            }
            for name, (failing, policy, limit, disk, retries) in zip(names, outputs, strict=True)
        ]
        async with Life(folder, inputs, first_outputs, flush=0.003) as first:
            await asyncio.sleep(0.03)
            assert first.pipeline.books.check() == []
        emitted = sum(
            port.book.records
            for port in first.pipeline.inputs
            if not port.name.startswith("storage_backlog")
        )
        later = [{**TAKES, "alias": name} for name in names]
        async with Life(folder, [{"name": "test_silent"}], later) as second:
            await until(lambda: files(folder) == [])
            for name in names:
                book = first.pipeline.books.outputs[name]
                gone = sum(book.dropped.values()) + sum(book.rejected.values())
                assert book.delivered == len(first.taken(name))
                assert book.delivered + gone + len(second.taken(name)) == emitted

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(scenario(Path(folder)))


@pytest.mark.parametrize("flush", [True, False])
def test_the_end_waits_for_the_backlog_if_told_to(tmp_path, flush):
    async def scenario():
        async with Life(tmp_path, [{**STORED, "chunks": 30}], [DEAD]) as first:
            await until(lambda: len(first.settled) == 30)
        second = Life(
            tmp_path,
            [{"name": "test_silent"}],
            [{"name": "test_slow", "match": "*"}],
            storage_backlog_mem_limit=4096,
            storage_backlog_flush_on_shutdown=flush,
        )
        second.grace = 5
        async with second:
            await until(lambda: second.pipeline.books.outputs["test_slow.0"].routed)
            if not flush:
                second.grace = 0.001
        assert (files(tmp_path) == []) is flush

    asyncio.run(scenario())


def test_what_no_file_can_hold_stays_in_memory(tmp_path, monkeypatch):
    def refuse(file, checksum):
        raise chunkfile.ChunkFileError("a tag of 70000 bytes does not fit")

    monkeypatch.setattr(chunkfile, "encode", refuse)

    async def scenario():
        async with Life(tmp_path, [STORED], [TAKES]) as life:
            await until(lambda: len(life.taken()) == 30)
            assert any("stay in memory" in text for _, text in life.sink.messages)

    asyncio.run(scenario())


def test_with_full_sync_what_overflows_is_settled_once_it_is_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("tailrace.engine.storage.sync_files", lambda paths: OSError(5, "I/O error"))
    away = {**DEAD, "queue_full": "overflow", "queue_limit": 1500}

    async def scenario():
        async with Life(tmp_path, [{**SOURCE, "chunks": 5}], [away], sync="full") as life:
            await until(lambda: len(files(tmp_path)) == 3)
            await asyncio.sleep(0.02)
            return list(life.settled)

    assert asyncio.run(scenario()) == []


def test_a_fault_in_the_backlog_is_told_and_leaves_the_rest_alone(tmp_path, monkeypatch):
    def fail(storage):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Storage, "files", fail)

    async def scenario():
        async with Life(tmp_path, [SOURCE], [TAKES]) as life:
            await until(lambda: len(life.taken()) == 30)
            assert any("a bug" in text for _, text in life.sink.messages)

    asyncio.run(scenario())


@input_plugin("test_spans_source")
class SpansSource(Input[InputOptions]):
    """Five chunks of one span each."""

    async def run(self, emit):
        for number in range(5):
            scope = ScopeSpans(spans=[Span(f"{number}", flags=257)])
            await emit(traces_chunk("t", Traces([ResourceSpans(scope_spans=[scope])])))
        await asyncio.Event().wait()


@output_plugin("test_spans_sink")
class SpansSink(Output[OutputOptions]):
    """Away until it is told to be there."""

    handles = TRACES
    keeps_chunks = True
    is_there = False

    def __init__(self, options):
        super().__init__(options)
        self.taken = []

    async def flush(self, chunk):
        if not self.is_there:
            raise Retry("away")
        self.taken += [(span.name, span.flags) for span in chunk.payload.spans()]


def test_traces_wait_on_disk_alone_and_come_back_whole(tmp_path):
    source = {"name": "test_spans_source", "tag": "t", "storage.type": "filesystem"}
    sink = {
        "name": "test_spans_sink",
        "match": "*",
        "alias": "takes",
        "retry_limit": "no_limits",
    }

    async def scenario():
        async with Life(tmp_path, [source], [sink], storage_max_chunks_up=2) as life:
            await until(lambda: len(files(tmp_path)) == 5)
            [port] = life.pipeline.outputs
            assert [item.chunk.is_deferred for item in port.queue.items()].count(True) == 3
            port.instance.plugin.is_there = True
            await until(lambda: len(life.taken()) == 5)
            assert sorted(life.taken()) == [(f"{number}", 257) for number in range(5)]
        assert files(tmp_path) == []

    asyncio.run(scenario())


def test_a_backlog_of_traces_takes_memory_only_while_it_is_sent(tmp_path):
    source = {"name": "test_spans_source", "tag": "t", "storage.type": "filesystem"}
    sink = {"name": "test_spans_sink", "match": "*", "alias": "takes", "retry_limit": "no_limits"}

    async def scenario():
        async with Life(tmp_path, [source], [sink]):
            await until(lambda: len(files(tmp_path)) == 5)
        async with Life(tmp_path, [{"name": "test_silent"}], [sink]) as second:
            [port] = second.pipeline.outputs
            await until(lambda: len(list(port.queue.items())) == 5)
            assert all(item.chunk.is_deferred for item in port.queue.items())
            port.instance.plugin.is_there = True
            await until(lambda: len(second.taken()) == 5)
        assert files(tmp_path) == []

    asyncio.run(scenario())
