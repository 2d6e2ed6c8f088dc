"""tailrace chunks."""

import json

import pytest
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)

from tailrace.cli import chunks
from tailrace.engine.storage import Storage
from tailrace.model import Chunk, Group
from tailrace.model.metrics import Metric, MetricKind, MetricSet, metrics_chunk
from tailrace.model.profiles import profiles_chunk
from tailrace.model.traces import ResourceSpans, ScopeSpans, Span, Traces, traces_chunk
from tailrace.plugin.log import Log
from tailrace.testing import ListSink, chunk_of
from tailrace.wire import chunkfile


@pytest.fixture
def folder(tmp_path):
    storage = Storage(tmp_path, Log(ListSink()), checksum=True)
    storage.write("tail.0", chunk_of([{"n": 1}, {"n": 2}], "app"), ("out.0",))
    storage.write("tail.0", chunk_of([{"n": 3, "b": b"\xff"}], "sys"))
    return tmp_path


def files(folder):
    return sorted((folder / "tail.0").iterdir())


def tear(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_list_says_what_each_file_holds(folder, capsys):
    assert chunks.run(["list", str(folder)]) == 0
    first, second, total = capsys.readouterr().out.splitlines()
    assert "logs 'app', 2 events" in first
    assert first.endswith("to out.0")
    assert "logs 'sys', 1 event," in second
    assert total.startswith("2 files, 3 events,")


def test_list_as_json(folder, capsys):
    chunks.run(["list", "--json", "--tag", "app", str(folder)])
    [line] = capsys.readouterr().out.splitlines()
    report = json.loads(line)
    assert (report["tag"], report["events"], report["routes"]) == ("app", 2, ["out.0"])
    assert (report["kind"], report["checksum"], report["damage"]) == ("logs", True, None)


def test_check_tells_damage_with_its_reason(folder, capsys):
    assert chunks.run(["check", str(folder)]) == 0
    tear(files(folder)[0])
    flip(files(folder)[1])
    assert chunks.run(["check", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "damaged: its end is missing" in lines[1]
    assert "CRC32" in lines[2]
    assert "2 damaged" in lines[3]


def test_dump_prints_events(folder, capsys):
    assert chunks.run(["dump", str(folder)]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["record"] for event in events] == [
        {"n": 1},
        {"n": 2},
        {"n": 3, "b": {"$bytes": "/w=="}},
    ]
    assert events[0]["tag"] == "app"


def test_dump_shows_the_group_of_an_event(tmp_path, capsys):
    chunk = Chunk("app", [1, 2], [{"n": 1}, {"n": 2}])
    chunk.groups = [Group({"schema": "otlp"}, {"resource": {"name": "shop"}}), None]
    Storage(tmp_path, Log(ListSink())).write("in.0", chunk)
    assert chunks.run(["dump", str(tmp_path)]) == 0
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first["group"] == {
        "metadata": {"schema": "otlp"},
        "attributes": {"resource": {"name": "shop"}},
    }
    assert "group" not in second


def test_traces_and_metrics_are_listed_and_dumped(tmp_path, capsys):
    storage = Storage(tmp_path, Log(ListSink()))
    spans = [Span("a", b"\1" * 16), Span("b")]
    storage.write(
        "in", traces_chunk("t", Traces([ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])]))
    )
    gauge = Metric(MetricKind.GAUGE, "depth")
    gauge.set(1.0, 5)
    storage.write("in", metrics_chunk("m", MetricSet([gauge])))
    assert chunks.run(["list", str(tmp_path)]) == 0
    first, second, _ = capsys.readouterr().out.splitlines()
    assert "traces 't', 2 events" in first
    assert "metrics 'm', 1 event," in second
    assert chunks.run(["dump", str(tmp_path)]) == 0
    traces, metrics = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    shown = traces["traces"]["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (traces["tag"], shown[0]["traceId"], shown[1]["name"]) == ("t", "01" * 16, "b")
    shown = metrics["metrics"]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    assert (metrics["tag"], shown[0]["name"]) == ("m", "depth")


def test_profiles_are_dumped_as_text(tmp_path, capsys):
    storage = Storage(tmp_path, Log(ListSink()))
    request = ExportProfilesServiceRequest()
    request.resource_profiles.add(schema_url="http://r")
    storage.write("in", profiles_chunk("p", request.SerializeToString()))
    assert chunks.run(["dump", str(tmp_path)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["tag"] == "p"
    assert "Schema URL :http://r" in shown["profiles"]


def test_dump_of_a_torn_file_gives_its_sound_events(folder, capsys):
    tear(files(folder)[0])
    assert chunks.run(["dump", str(files(folder)[0])]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert "its end is missing" in err


def test_repair_keeps_sound_events_and_the_original(folder, capsys):
    torn = files(folder)[0]
    tear(torn)
    damaged = torn.read_bytes()
    assert chunks.run(["repair", str(folder)]) == 0
    assert chunks.run(["check", str(folder)]) == 0
    file = chunkfile.decode(torn.read_bytes(), checksum=True)
    assert (file.tag, file.routes) == ("app", ("out.0",))
    assert (folder / ".damaged" / "tail.0" / torn.name).read_bytes() == damaged
    assert "1 sound events are kept" in capsys.readouterr().out


def test_repair_gives_a_stale_checksum_its_right_value(folder):
    path = files(folder)[0]
    flip(path, at=3)
    chunks.run(["repair", str(folder)])
    assert len(chunkfile.decode(path.read_bytes(), checksum=True).events) > 0


def test_repair_moves_what_can_not_be_read_and_removes_what_is_empty(folder):
    broken, empty = files(folder)
    broken.write_bytes(b"no chunk")
    empty.write_bytes(b"")
    assert chunks.run(["repair", str(folder)]) == 0
    assert files(folder) == []
    kept = folder / ".damaged" / "tail.0" / broken.name
    assert kept.read_bytes() == b"no chunk"
    assert "header alone" in kept.with_name(f"{broken.name}.reason").read_text()


def test_repair_leaves_a_folder_alone_that_an_agent_uses(folder, capsys):
    storage = Storage(folder, Log(ListSink()))
    storage.open()
    tear(files(folder)[0])
    assert chunks.run(["repair", str(folder)]) == 1
    assert "used by a running agent" in capsys.readouterr().err
    storage.close()


def test_a_folder_that_is_not_there_is_told(tmp_path, capsys):
    assert chunks.run(["list", str(tmp_path / "no")]) == 1
    assert "can't be read" in capsys.readouterr().err
