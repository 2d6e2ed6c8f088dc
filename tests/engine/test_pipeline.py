"""The pipeline keeps its books: random pipelines, random failures, nothing unaccounted for."""

import asyncio
import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.config.errors import Place, Problems
from tailrace.config.source import Configuration, Entry, Section
from tailrace.engine.build import Builder
from tailrace.engine.metrics import MetricRegistry
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.service import ServiceOptions
from tailrace.engine.storage import Storage
from tailrace.model import LOGS, TRACES, Chunk, Group, Receipt
from tailrace.model.traces import ResourceSpans, ScopeSpans, Span, Traces, traces_chunk
from tailrace.plugin import (
    Filter,
    FilterOptions,
    Input,
    InputOptions,
    Output,
    OutputOptions,
    Partial,
    Reject,
    Retry,
    filter_plugin,
    input_plugin,
    output_plugin,
)
from tailrace.plugin.log import Log
from tailrace.plugin.tag_records import TagRecords
from tailrace.testing import ListSink
from tailrace.wire.msgpack import packed_events
from tailrace.wire.packed import decode_packed


class CountOptions(InputOptions):
    chunks: int = 5
    """How many chunks to emit."""

    form: str = "decoded"
    """In which form the events come: decoded, packed (as forward gives them), traces, or mixed."""


FORMS = ("decoded", "packed", "traces")


@input_plugin("test_source")
class CountingSource(Input[CountOptions]):
    """Emits chunks of ten numbered events and notes which were settled."""

    async def run(self, emit):
        self.settled = []
        for number in range(self.options.chunks):
            form = self.options.form
            form = FORMS[number % 3] if form == "mixed" else form
            chunk = chunk_of(f"{self.tag}.{number % 2}", number * 10, form)
            chunk.receipt = Receipt(lambda receipt, number=number: self.settled.append(number))
            await emit(chunk)


def chunk_of(tag, start, form):
    """Ten events from `start` on, of which four are in one group and three in another; of traces as many spans."""
    numbers = range(start, start + 10)
    if form == "traces":
        spans = [Span(str(number), bytes([number % 256]) * 16) for number in numbers]
        return traces_chunk(tag, Traces([ResourceSpans({}, 0, [ScopeSpans(None, spans)])]))
    bodies = [{"n": number} for number in numbers]
    first, second = (Group({}, {"first": start + at}) for at in (0, 4))
    chunk = Chunk(tag, [0] * 10, bodies)
    chunk.groups = [*[first] * 4, *[second] * 3, *[None] * 3]
    if form == "packed":
        return Chunk.of_packed(tag, packed_events(chunk), 10, decode_packed)
    return chunk


class SeedOptions(FilterOptions):
    seed: int = 0
    """Of its random choices."""


@filter_plugin("test_shuffle")
class ShufflingFilter(Filter[SeedOptions]):
    """Drops some events, doubles some, emits some anew under another tag, fails now and then."""

    def __init__(self, options):
        super().__init__(options)
        self.random = random.Random(options.seed)

    def process(self, chunk):
        choice = self.random.random
        if choice() < 0.1:
            raise RuntimeError("a bug")
        if choice() < 0.3 and not chunk.tag.startswith("again"):
            parts = chunk.split([choice() < 0.5 for _ in chunk.bodies])
            if True in parts and len(parts) == 2:
                self.context.emit(parts[True].with_tag("again"))
                return parts[False]
        chunk = chunk.select([choice() < 0.9 for _ in chunk.bodies])
        if choice() < 0.2 and chunk.count:
            chunk.times = chunk.times + chunk.times[:1]
            if chunk.groups is not None:
                chunk.groups = [*chunk.groups, chunk.groups[0]]
            chunk.bodies = [*chunk.bodies, dict(chunk.bodies[0])]
        return chunk


def group_of(number):
    """The first event of the group that an event of `test_source` is in; None if it is in none."""
    place = number % 10
    return number - place if place < 4 else number - place + 4 if place < 7 else None


class FailingOptions(OutputOptions):
    seed: int = 0
    """Of its random choices."""

    failing: float = 0.0
    """How often it fails."""


@output_plugin("test_sink")
class FailingSink(Output[FailingOptions]):
    """Takes, refuses or asks for a retry, at random."""

    handles = LOGS | TRACES

    def __init__(self, options):
        super().__init__(options)
        self.random = random.Random(options.seed)
        self.taken = []
        self.in_wrong_groups = []

    async def flush(self, chunk):
        await asyncio.sleep(0)
        if chunk.kind is TRACES:
            self.flush_spans([int(span.name) for span in chunk.payload.spans()])
            return
        groups = chunk.groups or [None] * chunk.count
        assert len(chunk.times) == chunk.count == len(chunk.bodies)
        self.in_wrong_groups += [
            body["n"]
            for body, group in zip(chunk.bodies, groups, strict=True)
            if (group.body["first"] if group else None) != group_of(body["n"])
        ]
        if self.random.random() < self.options.failing:
            if self.random.random() < 0.3:
                raise self.take_some(chunk)
            errors = [Retry("busy"), Reject("refused"), ValueError("a bug"), OSError("network")]
            raise self.random.choice(errors)
        self.taken += [body["n"] for body in chunk.bodies]

    def flush_spans(self, numbers):
        if self.random.random() < self.options.failing:
            raise self.random.choice([Retry("busy"), Reject("refused"), ValueError("a bug")])
        self.taken += numbers

    def take_some(self, chunk):
        """An answer for each event: taken, to be sent again, or refused."""
        fates = [self.random.randrange(3) for _ in chunk.bodies]
        self.taken += [
            body["n"] for body, fate in zip(chunk.bodies, fates, strict=True) if not fate
        ]
        again = chunk.copy().select([fate == 1 for fate in fates])
        refused = chunk.copy().select([fate == 2 for fate in fates])
        return Partial("some items", again, [(refused, "item refused")] if refused.count else [])


def section(kind, **values):
    place = Place("test", 1)
    return Section(
        kind,
        place,
        [
            Entry(key.rstrip("_").replace("__", "."), str(value), place)
            for key, value in values.items()
        ],
    )


def configuration(inputs, filters, outputs):
    made = Configuration(Section("service", Place("test")))
    made.inputs = [section("input", **values) for values in inputs]
    made.filters = [section("filter", **values) for values in filters]
    made.outputs = [section("output", **values) for values in outputs]
    return made


def build(made, **service):
    sink, problems = ListSink(), Problems()
    options = ServiceOptions(
        **{"flush": 0.001, "scheduler_base": 0.001, "scheduler_cap": 0.002, **service}
    )
    builder = Builder(
        made, options, Log(sink), problems, MetricRegistry(), lambda code: None, Path()
    )
    plan = builder.build()
    return plan, problems, sink


async def run_until_done(pipeline, expected_chunks):
    await pipeline.start()
    sources = [port.instance.plugin for port in pipeline.inputs]
    async with asyncio.timeout(20):
        while (
            sum(len(source.settled) for source in sources if hasattr(source, "settled"))
            < expected_chunks
        ):
            assert pipeline.books.check() == []
            await asyncio.sleep(0.001)
    left = await pipeline.stop(5)
    return left


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    inputs=st.integers(1, 2),
    filters=st.integers(0, 3),
    outputs=st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1, max_size=3),
    workers=st.integers(0, 3),
    form=st.sampled_from([*FORMS, "mixed"]),
    stored=st.booleans(),
)
def test_the_books_balance_at_every_moment(seed, inputs, filters, outputs, workers, form, stored):
    async def scenario(storage):
        kind = {"storage__type": "filesystem"} if storage else {}
        made = configuration(
            [
                {"name": "test_source", "tag": f"in{n}", "form": form, "chunks": 6, **kind}
                for n in range(inputs)
            ],
            [{"name": "test_shuffle", "match": "*", "seed": seed + n} for n in range(filters)],
            [
                {
                    "name": "test_sink",
                    "match": "*",
                    "failing": share,
                    "seed": seed + n,
                    "workers": workers,
                }
                for n, share in enumerate(outputs)
            ],
        )
        plan, problems, sink = build(made)
        assert not problems.errors
        pipeline = Pipeline(plan, Log(sink), storage)
        left = await run_until_done(pipeline, expected_chunks=6 * inputs)
        assert left == 0
        assert pipeline.books.check() == []
        assert not storage or storage.files() == []
        for port in pipeline.outputs:
            book = pipeline.books.outputs[port.name]
            assert book.delivered == len(port.instance.plugin.taken)
            assert port.instance.plugin.in_wrong_groups == []

    with TemporaryDirectory() as folder:
        storage = Storage(Path(folder), Log(ListSink())) if stored else None
        if storage is not None:
            storage.open()
        try:
            asyncio.run(scenario(storage))
        finally:
            if storage is not None:
                storage.close()


def test_the_rate_gate_holds_an_input_back():
    async def scenario():
        made = configuration(
            [
                {
                    "name": "test_source",
                    "tag": "t",
                    "chunks": 4,
                    "rate_window": "0.05",
                    "rate_gate": "on",
                    "rate_gate.max_records": 200,
                    "rate_gate.backpressure": "off",
                }
            ],
            [],
            [{"name": "test_sink", "match": "*"}],
        )
        plan, problems, sink = build(made)
        assert not problems.errors
        pipeline = Pipeline(plan, Log(sink))
        loop = asyncio.get_running_loop()
        began = loop.time()
        await run_until_done(pipeline, expected_chunks=4)
        return loop.time() - began, sink.messages

    seconds, messages = asyncio.run(scenario())
    assert seconds >= 0.09  # 40 events at 200 a second, the first window's ten at once
    assert any("rate_gate" in text for _, text in messages)


def test_a_dead_output_never_holds_up_a_healthy_one():
    async def scenario():
        made = configuration(
            [{"name": "test_source", "tag": "t", "chunks": 200}],
            [],
            [
                {"name": "test_sink", "match": "*", "failing": 0.0},
                {"name": "test_dead", "match": "*", "retry_limit": "no_limits"},
            ],
        )
        plan, problems, sink = build(made)
        assert not problems.errors
        pipeline = Pipeline(plan, Log(sink))
        await pipeline.start()
        healthy = pipeline.outputs[0].instance.plugin
        async with asyncio.timeout(20):
            while len(healthy.taken) < 2000:
                await asyncio.sleep(0.001)
        left = await pipeline.stop(0.01)
        assert left == 2000
        assert pipeline.inputs[0].instance.plugin.settled == []

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("given", "limit", "warnings"),
    [("0", 1, 1), ("-3", 1, 1), ("5", 5, 0), ("no_retries", 0, 0), ("False", None, 0)],
)
def test_a_retry_limit_below_1_is_reported_and_the_default_counts(given, limit, warnings):
    made = configuration([], [], [{"name": "test_sink", "match": "*", "retry_limit": given}])

    async def scenario():
        plan, problems, sink = build(made)
        assert not problems.errors
        pipeline = Pipeline(plan, Log(sink))
        [instance] = plan.outputs
        settings = pipeline.maker.queue_settings(instance, plan.services.options)
        return settings.retry_limit, [text for _, text in sink.messages if "retry_limit" in text]

    found, messages = asyncio.run(scenario())
    assert (found, len(set(messages))) == (limit, warnings)


@pytest.mark.parametrize("given", [{"workers": 500}, {"workers": 4, "queue_limit": 1000}])
def test_many_workers_let_no_queue_grow_beyond_its_limit(given):
    made = configuration([], [], [{"name": "test_sink", "match": "*", **given}])

    async def scenario():
        plan, _, sink = build(made, memory_limit=32 << 20)
        [port] = Pipeline(plan, Log(sink)).outputs
        return port.queue.settings.soft_limit

    assert asyncio.run(scenario()) == given.get("queue_limit", 16 << 20)


def test_a_mistake_in_a_queue_does_not_end_its_output(monkeypatch):
    monkeypatch.setattr("tailrace.engine.pipeline.QUEUE_RESTART_SECONDS", 0.01)

    async def scenario():
        made = configuration(
            [{"name": "test_source", "tag": "t"}],
            [],
            [{"name": "test_sink", "match": "*", "failing": 0.0}],
        )
        plan, _, sink = build(made)
        pipeline = Pipeline(plan, Log(sink))
        queue = pipeline.outputs[0].queue
        collect, mistakes = queue._collect_due, iter([ValueError("ours")])

        def collect_due(now):
            for mistake in mistakes:
                raise mistake
            collect(now)

        monkeypatch.setattr(queue, "_collect_due", collect_due)
        await run_until_done(pipeline, expected_chunks=5)
        assert len(pipeline.outputs[0].instance.plugin.taken) == 50
        assert any("its queue failed" in text for _, text in sink.messages)

    asyncio.run(scenario())


@output_plugin("test_dead")
class DeadSink(Output[OutputOptions]):
    async def flush(self, chunk):
        raise Retry("connection refused")


def test_events_that_no_output_wants_are_settled_and_counted():
    async def scenario():
        made = configuration(
            [{"name": "test_source", "tag": "t"}], [], [{"name": "test_sink", "match": "other.*"}]
        )
        plan, _, sink = build(made)
        pipeline = Pipeline(plan, Log(sink))
        await run_until_done(pipeline, expected_chunks=5)
        assert pipeline.books.unrouted == 50

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("inputs", "filters", "outputs", "expected"),
    [
        ([{"name": "nosuch"}], [], [], "there is no input plugin 'nosuch'"),
        ([{"tag": "t"}], [], [], "this input has no name"),
        ([{"name": "test_source", "chunk": "3"}], [], [], "Did you mean 'chunks'?"),
        ([{"name": "test_source", "chunks": "x"}], [], [], "'x' is no whole number"),
        ([], [], [{"name": "null", "retry_limit": "often"}], "is no retry limit"),
    ],
)
def test_all_problems_are_found_before_data_flows(inputs, filters, outputs, expected):
    made = configuration([*inputs, {"name": "alsobad"}], filters, outputs)
    _, problems, _ = build(made)
    texts = [str(problem) for problem in problems]
    assert any(expected in text for text in texts)
    assert any("alsobad" in text for text in texts)


def test_an_alias_names_an_input_and_not_its_tag():
    inputs = [{"name": "test_source"}, {"name": "test_source", "alias": "own"}]
    plan, _, _ = build(configuration(inputs, [], [{"name": "test_sink", "match": "*"}]))
    assert [instance.name for instance in plan.inputs] == ["test_source.0", "own"]
    assert [instance.plugin.tag for instance in plan.inputs] == ["test_source.0", "test_source.1"]


@pytest.mark.parametrize("counted", [True, False])
def test_events_are_counted_by_tag_where_that_is_asked_for(counted):
    made = configuration(
        [{"name": "test_source", "tag": "t", "chunks": "2"}], [], [{"name": "null", "match": "*"}]
    )
    switch = {"metrics": {"logs": {"tag_records": {"enabled": str(counted)}}}}
    made.inputs[0].entries.append(Entry("telemetry", switch, Place("test")))

    async def scenario():
        plan, _, sink = build(made, telemetry=TagRecords(enabled=not counted))
        pipeline = Pipeline(plan, Log(sink))
        await run_until_done(pipeline, 2)
        return pipeline.books.tags.counts

    expected = {("test_source.0", "t.0"): 10, ("test_source.0", "t.1"): 10} if counted else {}
    assert asyncio.run(scenario()) == expected
