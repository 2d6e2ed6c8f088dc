"""One output's queue: order, merging, retries, limits, shutdown."""

import asyncio
import contextlib

import pytest

from tailrace.engine.books import OutputBook
from tailrace.engine.queue import OutputQueue, QueueSettings
from tailrace.model import METRICS, TRACES, Chunk, Decoded, Receipt
from tailrace.model.metrics import MetricKind, MetricSet, metrics_chunk
from tailrace.model.traces import ResourceSpans, ScopeSpans, Span, Traces, traces_chunk
from tailrace.plugin import Output, OutputOptions, Partial, Reject, Retry
from tailrace.plugin.log import Log
from tailrace.testing import ListSink, chunk_of


class Recorder(Output[OutputOptions]):
    """Keeps what it is given; `answers` are raised in turn, None delivers, the last one repeats."""

    preferred_bytes = 1000

    def __init__(self, *answers):
        super().__init__(OutputOptions())
        self.answers = list(answers)
        self.flushed = []

    async def flush(self, chunk):
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else (self.answers or [None])[0]
        if callable(answer):
            answer = answer(chunk)
        if answer is not None:
            raise answer
        self.flushed.append([body["n"] for body in chunk.bodies])


def chunk(*numbers, tag="t", nbytes=100):
    made = chunk_of([{"n": number} for number in numbers], tag)
    made.nbytes = nbytes
    return made


class Bench:
    """A queue with its output, book and log."""

    def __init__(self, output, prepare=None, **settings):
        defaults = {"flush_interval": 0.01, "retry_base": 0.01, "retry_cap": 0.02}
        self.output, self.book, self.sink = output, OutputBook(), ListSink()
        self.refused = []
        self.queue = OutputQueue(
            output,
            QueueSettings(**{**defaults, **settings}),
            self.book,
            Log(self.sink, "output"),
            lambda: None,
            prepare,
            on_refused=lambda part, why, status, tries, receipts: self.refused.append(
                (part.count, why, tries)
            ),
        )
        self.settled = []

    def put(self, part, urgent=False):
        receipt = Receipt(lambda each: self.settled.append((each.refused, each.reason)), urgent)
        receipt.hold()
        self.queue.put(part, receipt, "source")
        receipt.release()

    async def until_empty(self):
        task = asyncio.ensure_future(self.queue.run())
        async with asyncio.timeout(5):
            while not self.queue.is_empty:
                await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert self.book.remainder == 0
        assert self.queue.nbytes == 0


def test_small_chunks_of_one_tag_are_merged_in_order():
    async def scenario():
        bench = Bench(Recorder())
        for number in range(3):
            bench.put(chunk(number))
        await bench.until_empty()
        assert bench.output.flushed == [[0, 1, 2]]
        assert bench.settled == [(0, ""), (0, ""), (0, "")]

    asyncio.run(scenario())


def test_all_that_is_due_is_flushed_though_it_takes_several_flushes():
    """Metrics are not merged: each of their chunks is a flush of its own, at the same beat."""

    class Names(Recorder):
        handles = METRICS

        async def flush(self, chunk):
            self.flushed.append(chunk.payload.metrics[0].name)

    async def scenario():
        beat = asyncio.get_running_loop().time() + 0.01
        bench = Bench(Names(), first_beat=beat, flush_interval=3600)
        for name in "abc":
            metrics = MetricSet()
            metrics.metric(MetricKind.GAUGE, name)
            bench.put(metrics_chunk("t", metrics))
        await bench.until_empty()
        assert bench.output.flushed == ["a", "b", "c"]

    asyncio.run(scenario())


def test_small_chunks_of_traces_are_merged_in_order():
    class Spans(Recorder):
        handles = TRACES

        async def flush(self, chunk):
            self.flushed.append(([span.name for span in chunk.payload.spans()], chunk.count))

    async def scenario():
        bench = Bench(Spans())
        for name in "abc":
            scope = ScopeSpans(spans=[Span(name)])
            bench.put(traces_chunk("t", Traces([ResourceSpans(scope_spans=[scope])]), nbytes=10))
        await bench.until_empty()
        assert bench.output.flushed == [(["a", "b", "c"], 3)]
        assert bench.settled == [(0, ""), (0, ""), (0, "")]

    asyncio.run(scenario())


def test_chunks_of_different_tags_stay_apart():
    async def scenario():
        bench = Bench(Recorder())
        bench.put(chunk(1, tag="a"))
        bench.put(chunk(2, tag="b"))
        bench.put(chunk(3, tag="a"))
        await bench.until_empty()
        assert bench.output.flushed == [[1, 3], [2]]

    asyncio.run(scenario())


def test_a_retry_keeps_the_order_of_its_tag_and_lets_other_tags_pass():
    async def scenario():
        bench = Bench(Recorder(Retry("busy"), None), retry_limit=5, retry_base=0.05, retry_cap=0.05)
        bench.put(chunk(1, tag="a"))
        bench.put(chunk(2, tag="b"))
        task = asyncio.ensure_future(bench.queue.run())
        await until(lambda: bench.book.retries == 1)
        bench.put(chunk(3, tag="a"))
        await until(lambda: bench.queue.is_empty)
        task.cancel()
        assert bench.output.flushed == [[2], [1], [3]]

    asyncio.run(scenario())


def test_an_exhausted_retry_limit_drops_with_a_reason_and_settles_the_receipt():
    async def scenario():
        bench = Bench(Recorder(Retry("busy")), retry_limit=2)
        bench.put(chunk(1, 2))
        await bench.until_empty()
        assert bench.book.dropped == {"retries exhausted": 2}
        assert bench.settled == [(2, "retries exhausted")]
        assert bench.refused == [(2, "busy", 3)]

    asyncio.run(scenario())


def test_without_retries_no_retry_has_failed():
    async def scenario():
        bench = Bench(Recorder(Retry("no")), retry_limit=0)
        bench.put(chunk(1, 2))
        await bench.until_empty()
        assert bench.book.dropped == {"retries exhausted": 2}
        assert (bench.book.retries, bench.book.retries_failed) == (0, 0)

    asyncio.run(scenario())


def test_a_rejected_chunk_is_counted_and_the_next_one_is_delivered():
    async def scenario():
        bench = Bench(Recorder(Reject("400"), None))
        bench.put(chunk(1, tag="a"))
        bench.put(chunk(2, tag="b"))
        await bench.until_empty()
        assert bench.book.rejected == {"400": 1}
        assert bench.output.flushed == [[2]]

    asyncio.run(scenario())


def test_a_bug_in_an_output_gives_up_the_chunk_only():
    async def scenario():
        bench = Bench(Recorder(KeyError("oops"), None))
        bench.put(chunk(1, tag="a"))
        bench.put(chunk(2, tag="b"))
        await bench.until_empty()
        assert sum(bench.book.rejected.values()) == 1
        assert bench.output.flushed == [[2]]
        assert any("KeyError" in text for _, text in bench.sink.messages)

    asyncio.run(scenario())


def test_a_partial_result_sends_only_the_rest_again():
    async def scenario():
        def partly(part):
            again = part.copy().select([body["n"] == 2 for body in part.bodies])
            refused = part.copy().select([body["n"] == 3 for body in part.bodies])
            return Partial("bulk", again, [(refused, "mapping")])

        bench = Bench(Recorder(partly, None), retry_limit=3)
        bench.put(chunk(1, 2, 3))
        await bench.until_empty()
        assert bench.output.flushed == [[2]]
        assert bench.book.delivered == 2
        assert bench.book.rejected == {"mapping": 1}
        assert bench.refused == [(1, "mapping", 1)]

    asyncio.run(scenario())


@pytest.mark.parametrize(("policy", "kept"), [("drop_oldest", [2, 3]), ("drop_newest", [1, 2])])
def test_a_full_queue_drops_by_policy_and_counts(policy, kept):
    async def scenario():
        bench = Bench(Recorder(), when_full=policy, hard_limit=250)
        for number in (1, 2, 3):
            bench.put(chunk(number))
        await bench.until_empty()
        assert bench.output.flushed == [kept]
        assert bench.book.dropped == {"queue full": 1}

    asyncio.run(scenario())


def test_block_is_full_at_the_soft_limit_but_a_failing_output_may_hold_more():
    async def scenario():
        bench = Bench(Recorder(), soft_limit=150, hard_limit=1000)
        bench.put(chunk(1))
        assert not bench.queue.is_full
        bench.put(chunk(2))
        assert bench.queue.is_full
        bench.queue.breaker.failures = 1
        assert not bench.queue.is_full
        for number in range(10):
            bench.put(chunk(number))
        assert bench.queue.is_full

    asyncio.run(scenario())


def test_an_urgent_receipt_does_not_wait_for_the_interval():
    async def scenario():
        bench = Bench(Recorder(), flush_interval=1000)
        bench.put(chunk(1), urgent=True)
        await bench.until_empty()
        assert bench.output.flushed == [[1]]

    asyncio.run(scenario())


def test_draining_flushes_at_once_and_tries_waiting_retries_again():
    async def scenario():
        bench = Bench(
            Recorder(Retry("busy"), None), flush_interval=1000, retry_base=1000, retry_cap=2000
        )
        bench.put(chunk(1), urgent=True)
        task = asyncio.ensure_future(bench.queue.run())
        await asyncio.sleep(0.01)
        bench.put(chunk(2, tag="b"))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        bench.queue.drain()
        await bench.until_empty()
        assert sorted(bench.output.flushed) == [[1], [2]]

    asyncio.run(scenario())


def test_undecoded_lines_are_merged_without_decoding():
    async def scenario():
        class Lines(Recorder):
            async def flush(self, chunk):
                self.flushed.append((list(chunk.lines), chunk.decoded))

        bench = Bench(Lines())
        bench.put(Chunk.of_lines("t", [1, 2], "log", ["a", "b"], 10))
        bench.put(Chunk.of_lines("t", [3], "log", ["c"], 10))
        await bench.until_empty()
        assert bench.output.flushed == [(["a", "b", "c"], False)]

    asyncio.run(scenario())


def test_each_source_has_its_own_book_with_latencies():
    async def scenario():
        bench = Bench(Recorder())
        bench.put(chunk(1, 2))
        await bench.until_empty()
        route = bench.book.routes["source"]
        assert (route.records, route.dropped_records, sum(route.latency)) == (2, 0, 1)
        assert route.bytes == bench.book.delivered_bytes > 0

    asyncio.run(scenario())


def test_new_data_brings_an_early_try_of_the_oldest_that_does_not_count():
    async def scenario():
        bench = Bench(
            Recorder(Retry("away"), Retry("away"), None),
            retry_base=1000,
            retry_cap=1000,
            retry_limit=1,
        )
        bench.put(chunk(1))
        task = asyncio.ensure_future(bench.queue.run())
        await until(lambda: bench.book.retries == 1)
        bench.put(chunk(2))
        await until(lambda: bench.book.retries == 2)
        bench.put(chunk(3))
        await until(lambda: bench.queue.is_empty)
        task.cancel()
        assert bench.output.flushed == [[1], [2, 3]]
        assert bench.book.dropped == {}

    asyncio.run(scenario())


def test_a_dead_destination_sees_one_try_at_a_time_and_all_goes_on_once_it_answers():
    async def scenario():
        away = [True]

        def answer(part):
            return Retry("away") if away[0] else None

        bench = Bench(Recorder(answer), retry_base=1000, retry_cap=1000, retry_limit=None)
        task = asyncio.ensure_future(bench.queue.run())
        for number in range(50):
            bench.put(chunk(number, tag=f"t{number}"))
        await until(lambda: not bench.queue.breaker.is_closed)
        tries = bench.book.retries
        await asyncio.sleep(0.05)
        assert bench.book.retries == tries == 3
        away[0] = False
        await until(lambda: bench.queue.is_empty)
        task.cancel()
        assert sorted(bench.output.flushed) == [[number] for number in range(50)]
        assert bench.book.retries == 3

    asyncio.run(scenario())


def test_a_destination_that_asks_for_time_is_left_alone_by_all_lanes():
    async def scenario():
        bench = Bench(Recorder(Retry("busy", after=0.1), None), retry_base=0.001, retry_cap=0.001)
        began = asyncio.get_running_loop().time()
        bench.put(chunk(1, tag="a"))
        bench.put(chunk(2, tag="b"))
        await bench.until_empty()
        assert asyncio.get_running_loop().time() - began >= 0.1
        assert sorted(bench.output.flushed) == [[1], [2]]

    asyncio.run(scenario())


def test_what_is_dropped_is_counted_by_source_too():
    async def scenario():
        bench = Bench(Recorder(), when_full="drop_newest", hard_limit=1)
        bench.put(chunk(1))
        route = bench.book.routes["source"]
        assert (route.records, route.dropped_records) == (0, 1)
        assert route.dropped_bytes > 0

    asyncio.run(scenario())


def test_an_error_of_the_network_is_tried_again():
    async def scenario():
        bench = Bench(Recorder(ConnectionResetError("by peer"), None))
        bench.put(chunk(1))
        await bench.until_empty()
        assert bench.output.flushed == [[1]]
        assert any("ConnectionResetError: by peer" in text for _, text in bench.sink.messages)

    asyncio.run(scenario())


def test_what_waits_can_be_looked_at():
    async def scenario():
        bench = Bench(Recorder())
        bench.put(chunk(1))
        [item] = bench.queue.items()
        assert (item.source, item.count, bench.queue.waiting_retries) == ("source", 1, 0)

    asyncio.run(scenario())


def test_the_oldest_chunk_of_all_lanes_makes_room():
    async def scenario():
        bench = Bench(Recorder(), when_full="drop_oldest", hard_limit=350)
        for number, tag in ((1, "b"), (2, "a"), (3, "a"), (4, "b"), (5, "a")):
            bench.put(chunk(number, tag=tag))
        await bench.until_empty()
        assert sorted(bench.output.flushed) == [[3, 5], [4]]

    asyncio.run(scenario())


def test_the_age_of_a_queue_is_that_of_its_oldest_chunk():
    async def scenario():
        bench = Bench(Recorder())
        assert bench.queue.oldest_age() == 0.0
        bench.put(chunk(1))
        await asyncio.sleep(0.02)
        bench.put(chunk(2))
        assert bench.queue.oldest_age() >= 0.02

    asyncio.run(scenario())


async def until(claim):
    async with asyncio.timeout(5):
        while not claim():
            await asyncio.sleep(0.001)


def test_a_destination_that_takes_some_items_is_not_away():
    async def scenario():
        def partly(part):
            if part.count < 2:
                return None
            taken, again = part.bodies[0]["n"], part.copy()
            bench.output.flushed.append([taken])
            return Partial("busy", again.select([body["n"] != taken for body in part.bodies]))

        bench = Bench(Recorder(partly), retry_limit=None)
        bench.put(chunk(*range(6)))
        await bench.until_empty()
        assert bench.queue.breaker.is_closed
        assert bench.book.retries == 5
        assert not any("one try at a time" in text for _, text in bench.sink.messages)

    asyncio.run(scenario())


def test_a_time_that_has_passed_is_no_problem_under_uvloop():
    uvloop = pytest.importorskip("uvloop")

    async def scenario():
        bench = Bench(Recorder(), flush_interval=1e-6)
        for number in range(50):
            bench.put(chunk(number))
            await bench.until_empty()
            bench.queue._wake_at(0.0)
            bench.queue._wake_at(-1.0)
        return bench.output.flushed

    assert uvloop.run(scenario()) == [[number] for number in range(50)]


def test_a_file_that_can_not_be_read_costs_no_neighbour_and_stays():
    def gone():
        raise FileNotFoundError(2, "No such file or directory")

    def on_disk(count, load):
        stub = Chunk("t", [], [], None, 100)
        stub.defer(count, load)
        return stub

    async def scenario():
        bench = Bench(Recorder())
        loads = [
            lambda: Decoded([0], None, [{"n": 1}]),
            gone,
            lambda: Decoded([0], None, [{"n": 3}]),
        ]
        for load in loads:
            receipt = Receipt(lambda each: bench.settled.append(each.refused))
            bench.queue.put(on_disk(1, load), receipt, "source", 100, 4096)
        await bench.until_empty()
        assert bench.output.flushed == [[1, 3]]
        assert bench.settled == [0, 0]  # the file of the one that can't be read stays
        assert bench.book.rejected == {"storage can't be read": 1}

    asyncio.run(scenario())


class Slow(Recorder):
    """Takes a chunk only when `enough` flushes run at once, or after a moment; `most` ran at once."""

    def __init__(self, enough):
        super().__init__()
        self.enough = enough
        self.running = self.most = 0
        self.arrived = asyncio.Event()

    async def flush(self, chunk):
        self.running += 1
        self.most = max(self.most, self.running)
        if self.running >= self.enough:
            self.arrived.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.02 if self.enough == 1 else 5):
                await self.arrived.wait()
        self.running -= 1
        self.flushed.append([body["n"] for body in chunk.bodies])


@pytest.mark.parametrize(("workers", "most"), [(1, 1), (3, 3)])
def test_one_tag_is_sent_by_as_many_workers_as_there_are(workers, most):
    async def scenario():
        bench = Bench(Slow(most), workers=workers)
        for number in range(6):
            bench.put(chunk(number, nbytes=1000))
        await bench.until_empty()
        assert bench.output.most == most
        numbers = [number for numbers in bench.output.flushed for number in numbers]
        assert sorted(numbers) == list(range(6))
        if workers == 1:
            assert numbers == list(range(6))

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer", [Retry("busy"), lambda chunk: Partial("some", chunk.copy())], ids=["all", "some"]
)
@pytest.mark.parametrize("moved", [False, True])
def test_processors_see_events_once_though_they_are_sent_again(answer, moved):
    def prepare(made):
        made = made.copy(deep=True)
        for body in made.bodies:
            body["n"] += 100
        return made

    async def scenario():
        bench = Bench(Recorder(answer, None), prepare)
        bench.put(chunk(1))
        if moved:
            running = asyncio.ensure_future(bench.queue.run())
            async with asyncio.timeout(5):
                while not bench.book.retries:
                    await asyncio.sleep(0)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            bench.queue.take_over(bench.queue.release_waiting())
            bench.put(chunk(2))
        await bench.until_empty()
        sent = [number for each in bench.output.flushed for number in each]
        assert sorted(sent) == ([101, 102] if moved else [101])

    asyncio.run(scenario())


def test_a_stateful_processor_sees_metrics_on_disk_once():
    seen = []

    class Names(Recorder):
        handles = METRICS
        retried = False

        async def flush(self, chunk):
            if not self.retried:
                self.retried = True
                raise Retry("busy")

    def prepare(made):
        seen.append(made.payload)
        return made.copy(deep=True)

    async def scenario():
        bench = Bench(Names(), prepare)
        bench.put(Chunk.of_stub("t", METRICS, 1, MetricSet))
        await bench.until_empty()
        assert len(seen) == 1

    asyncio.run(scenario())


def test_a_worker_may_find_that_its_chunks_were_taken_away():
    """As at a reload, when a successor takes them between the choice of a lane and the worker's first step."""

    async def scenario():
        bench = Bench(Recorder(), workers=2)
        running = asyncio.ensure_future(bench.queue.run())
        await asyncio.sleep(0)
        bench.put(chunk(1), urgent=True)
        released = []
        next_lane = bench.queue._next_lane

        def choose():
            lane = next_lane()
            if lane is not None:
                released.extend(bench.queue.release_waiting())
            return lane

        bench.queue._next_lane = choose
        async with asyncio.timeout(5):
            while not released or bench.queue._busy:
                await asyncio.sleep(0)
        assert not running.done()
        bench.queue._next_lane = next_lane
        bench.queue.take_over(released)
        async with asyncio.timeout(5):
            while not bench.queue.is_empty:
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert bench.output.flushed == [[1]]

    asyncio.run(scenario())


def test_small_chunks_are_merged_also_with_several_workers():
    async def scenario():
        bench = Bench(Recorder(), workers=3)
        for number in range(3):
            bench.put(chunk(number))
        await bench.until_empty()
        assert bench.output.flushed == [[0, 1, 2]]

    asyncio.run(scenario())
