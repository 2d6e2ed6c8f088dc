"""The stream processor: SQL tasks over what comes through the filters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import Place
from tailrace.config.source import Section
from tailrace.engine import streams
from tailrace.engine.streams import StreamProcessor, make_tasks
from tailrace.model import METRICS, Chunk, Receipt
from tailrace.plugin.log import Log
from tailrace.testing import EPOCH_NS, ListSink, chunk_of, entries_of

SECOND = 1_000_000_000


class Bench:
    """Tasks at work; `emitted` holds pairs of chunk and stream."""

    def __init__(self, *queries, text_is_number=True):
        self.sink, self.emitted = ListSink(), []
        sections = [
            Section("stream_task", Place("f"), entries_of(f"name t{number}\nexec {query}"))
            for number, query in enumerate(queries)
        ]
        self.tasks = make_tasks(sections, text_is_number, Log(self.sink))
        self.processor = StreamProcessor(self.tasks, self.emit)

    def emit(self, chunk, name, /, **way):
        self.emitted.append((chunk, name))
        self.way = way

    def watch(self, *bodies, tag="app", source="in"):
        self.processor.watch(chunk_of(bodies, tag), source)
        return self.bodies()

    def bodies(self):
        return [body for chunk, _ in self.emitted for body in chunk.bodies]


def select(what, rest=""):
    return f"CREATE STREAM s AS SELECT {what} FROM STREAM:in {rest};"


def test_a_stream_gets_the_chosen_keys_in_the_order_of_the_record():
    bench = Bench(select("c AS x, a, m['k']"))
    [body] = bench.watch({"a": 1, "b": 2, "m": {"k": 3}, "c": 4})
    assert list(body.items()) == [("a", 1), ("m['k']", 3), ("x", 4)]


def test_results_go_the_way_of_the_chunk_that_they_are_of():
    bench = Bench(select("*"))
    chunk = chunk_of([{"a": 1}])
    chunk.receipt, chunk.hops, chunk.stream = Receipt(), 2, ("in", "file")
    bench.processor.watch(chunk, "in")
    [(result, _)] = bench.emitted
    assert (result.receipt, result.hops, result.stream) == (chunk.receipt, 2, ("in", "file"))


def test_a_star_takes_the_body_and_leaves_the_original_alone():
    original = {"a": 1}
    bench = Bench(select("*"))
    [body] = bench.watch(original)
    body["b"] = 2
    assert original == {"a": 1}


def test_events_keep_their_times_and_those_without_a_chosen_key_are_left_out():
    bench = Bench(select("a"))
    bench.watch({"b": 1}, {"a": 1})
    [(chunk, stream)] = bench.emitted
    assert (chunk.times, chunk.bodies, stream) == ([EPOCH_NS + SECOND], [{"a": 1}], "s")


def test_a_condition_leaves_out_what_it_does_not_hold_for():
    assert Bench(select("a", "WHERE a > 1")).watch({"a": 1}, {"a": 2}) == [{"a": 2}]


@pytest.mark.parametrize(
    ("query", "tag", "source", "taken"),
    [
        ("SELECT * FROM STREAM:in;", "app", "in", True),
        ("SELECT * FROM STREAM:in;", "app", "other", False),
        ("SELECT * FROM TAG:'a*';", "app", "other", True),
        ("SELECT * FROM TAG:'a*';", "db", "in", False),
    ],
)
def test_a_task_reads_the_source_that_it_names(query, tag, source, taken):
    bench = Bench(f"CREATE STREAM s AS {query}")
    assert bool(bench.watch({"n": 1}, tag=tag, source=source)) is taken


def test_a_stream_does_not_read_itself():
    bench = Bench("CREATE STREAM s AS SELECT * FROM TAG:'*';")
    assert bench.watch({"n": 1}, source="s") == []


def test_the_tag_of_a_stream_is_its_name_unless_given():
    with_tag = select("*").replace("s AS", "s WITH (tag='x.y') AS")
    bench = Bench(select("*"), with_tag)
    bench.watch({"n": 1})
    assert [chunk.tag for chunk, _ in bench.emitted] == ["s", "x.y"]


@pytest.mark.parametrize(
    ("properties", "way"),
    [
        ("tag='x'", {"routable": True, "is_stored": False}),
        ("routable='false'", {"routable": False, "is_stored": False}),
        ("storage.type='filesystem'", {"routable": True, "is_stored": True}),
    ],
)
def test_a_stream_goes_where_its_properties_say(properties, way):
    bench = Bench(f"CREATE STREAM s WITH ({properties}) AS SELECT * FROM STREAM:in;")
    bench.watch({"a": 1})
    assert bench.way == way


def test_a_stream_carries_the_receipt_and_the_hops_of_its_source():
    bench = Bench(select("*"))
    chunk = chunk_of([{"n": 1}])
    chunk.receipt, chunk.hops = Receipt(), 3
    bench.processor.watch(chunk, "in")
    [(made, _)] = bench.emitted
    assert (made.receipt, made.hops) == (chunk.receipt, 3)


def test_aggregates_are_made_for_each_group():
    bench = Bench(select("k, COUNT(*), SUM(v), AVG(v), MIN(v), MAX(v)", "GROUP BY k"))
    rows = bench.watch({"k": "a", "v": 1}, {"k": "b", "v": 5}, {"k": "a", "v": 3}, {"v": 9})
    a, b = (
        dict(zip(("k", "n", "sum", "avg", "min", "max"), row.values(), strict=True)) for row in rows
    )
    assert a == {"k": "a", "n": 2, "sum": 4, "avg": 2.0, "min": 1, "max": 3}
    assert b == {"k": "b", "n": 1, "sum": 5, "avg": 5.0, "min": 5, "max": 5}


@pytest.mark.parametrize(("text_is_number", "total"), [(True, 3.5), (False, 1)])
def test_numbers_in_text_count_if_the_service_says_so(text_is_number, total):
    bench = Bench(select("SUM(v) AS t"), text_is_number=text_is_number)
    assert bench.watch({"v": 1}, {"v": "2.5"}, {"v": "no"}, {"v": None}) == [{"t": total}]


def test_a_forecast_goes_on_along_the_line():
    [row] = Bench(select("TIMESERIES_FORECAST(v, 10) AS f")).watch(
        *({"v": 2 * n} for n in range(5))
    )
    assert row["f"] == pytest.approx(28)


def test_a_hopping_window_forecasts_as_a_tumbling_one_does():
    hopping = Bench(
        select("TIMESERIES_FORECAST(v, 10) AS f", "WINDOW HOPPING (3 SECOND, ADVANCE BY 1 SECOND)")
    )
    tumbling = Bench(select("TIMESERIES_FORECAST(v, 10) AS f", "WINDOW TUMBLING (3 SECOND)"))
    for second in range(3):
        times = [EPOCH_NS + second * SECOND, EPOCH_NS + second * SECOND + SECOND // 2]
        for bench in (hopping, tumbling):
            values = [{"v": 2 * second}, {"v": 2 * second + 1}]
            bench.processor.watch(Chunk("app", times, values), "in")
        [_, rows] = hopping.tasks[0].tick()
    assert rows == [{"f": pytest.approx(25)}]
    assert tumbling.tasks[0].tick()[1] == [{"f": pytest.approx(25)}]


def test_a_group_beyond_the_most_is_left_out_and_told_once(monkeypatch):
    monkeypatch.setattr(streams, "MOST_GROUPS", 2)
    bench = Bench(select("k, COUNT(*) AS n", "GROUP BY k"))
    rows = bench.watch({"k": 1}, {"k": 2}, {"k": 3}, {"k": 4}, {"k": 1})
    assert rows == [{"k": 1, "n": 2}, {"k": 2, "n": 1}]
    assert [level for level, _ in bench.sink.messages] == ["error"]


def test_a_tumbling_window_gives_its_sum_and_begins_anew():
    bench = Bench(select("SUM(v) AS t", "WINDOW TUMBLING (5 SECOND)"))
    [task] = bench.tasks
    bench.watch({"v": 1}, {"v": 2})
    assert bench.watch({"v": 3}) == []
    assert task.tick()[1] == [{"t": 6}]
    bench.watch({"v": 10})
    assert task.tick()[1] == [{"t": 10}]
    assert task.tick()[1] == []


def test_a_hopping_window_looks_back_over_its_size():
    bench = Bench(select("SUM(v) AS t", "WINDOW HOPPING (3 SECOND, ADVANCE BY 1 SECOND)"))
    [task] = bench.tasks
    results = []
    for value in (1, 2, 4, 8, 16):
        bench.watch({"v": value})
        results.append(task.tick()[1])
    assert results == [[], [], [{"t": 7}], [{"t": 14}], [{"t": 28}]]


def test_a_snapshot_keeps_the_newest_until_it_is_flushed():
    bench = Bench(
        "CREATE SNAPSHOT snap AS SELECT * FROM STREAM:in LIMIT 2;",
        "FLUSH SNAPSHOT snap AS SELECT * FROM STREAM:in WHERE go = 1;",
    )
    assert bench.watch({"n": 1}, {"n": 2}, {"n": 3}) == []
    assert bench.watch({"go": 1}) == [{"n": 3}, {"go": 1}]
    bench.emitted.clear()
    assert bench.watch({"go": 1}) == [{"go": 1}]


def test_a_task_without_a_stream_prints(capsys):
    bench = Bench("SELECT n FROM STREAM:in;")
    assert bench.watch({"n": 1}) == []
    assert capsys.readouterr().out == f'[0] [[{EPOCH_NS // SECOND}.000000000, {{}}], {{"n"=>1}}]\n'


def test_printed_rows_are_numbered_within_one_result(capsys):
    Bench("SELECT n FROM STREAM:in;").watch({"n": 1}, {"n": 2})
    Bench("SELECT n, COUNT(*) FROM STREAM:in GROUP BY n;").watch({"n": 1}, {"n": 2})
    assert [line[:3] for line in capsys.readouterr().out.splitlines()] == [
        "[0]",
        "[0]",
        "[0]",
        "[1]",
    ]


def test_metrics_are_passed_over():
    bench = Bench("CREATE STREAM s AS SELECT * FROM TAG:'*';")
    bench.processor.watch(Chunk.of_payload("app", METRICS, object(), 1, 1), "in")
    assert bench.emitted == []


def test_a_task_that_can_not_be_read_leaves_the_others_alone():
    bench = Bench("SELECT FROM;", select("*"))
    assert bench.watch({"n": 1}) == [{"n": 1}]
    [(level, message)] = bench.sink.messages
    assert (level, "task 't0' is left out" in message) == ("error", True)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=8), st.data())
def test_batches_of_a_window_add_up_to_one(values, data):
    bench = Bench(select("SUM(v) AS s, COUNT(*) AS n", "WINDOW TUMBLING (5 SECOND)"))
    cut = data.draw(st.integers(0, len(values)))
    for part in (values[:cut], values[cut:]):
        bench.watch(*({"v": value} for value in part))
    assert bench.tasks[0].tick()[1] == [{"s": sum(values), "n": len(values)}]
