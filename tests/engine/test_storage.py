"""Chunks on disk: what is written is read back, and damage costs no more than what is damaged."""

import asyncio
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)

from tailrace.config.errors import ConfigError
from tailrace.engine.storage import Storage, age
from tailrace.model import METRICS, PROFILES, TRACES, Chunk, Group
from tailrace.model.metrics import Metric, MetricKind, MetricSet, metrics_chunk
from tailrace.model.profiles import profiles_chunk
from tailrace.model.traces import ResourceSpans, ScopeSpans, Span, Traces, traces_chunk
from tailrace.plugin.log import Log
from tailrace.testing import ListSink, chunk_of
from tailrace.wire import chunkfile
from tailrace.wire.chunkfile import ChunkFile
from tailrace.wire.msgpack import END_MARK, begin_mark, encode_events


class Disk:
    """A storage with its log."""

    def __init__(self, path, **settings):
        self.sink = ListSink()
        self.storage = Storage(path, Log(self.sink), **settings)
        self.storage.open()

    def backlog(self):
        return [(stored, file, stored.load()[:3]) for stored, file in self.storage.backlog()]

    def bodies(self):
        return [bodies for _, _, (_, _, bodies) in self.backlog()]


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "store")
    yield made
    made.storage.close()


def chunk(*numbers, tag="app"):
    return chunk_of([{"n": number} for number in numbers], tag)


def test_a_chunk_is_read_back_with_its_tag_and_routes(disk):
    written = disk.storage.write("tail.0", chunk(1, 2), ("out.0", "out.1"))
    [(stored, file, (times, metadata, bodies))] = disk.backlog()
    assert (stored.path, stored.size, stored.count) == (written.path, 4096, 2)
    assert (file.tag, file.routes) == ("app", ("out.0", "out.1"))
    assert (times, metadata, bodies) == (chunk(1, 2).times, None, [{"n": 1}, {"n": 2}])


def test_a_file_of_a_group_without_events_is_removed(disk):
    marks = begin_mark(Group({}, {"resource": {}})) + END_MARK
    folder = disk.storage.path / "opentelemetry.0"
    folder.mkdir()
    (folder / "1-1.000000001.flb").write_bytes(chunkfile.encode(ChunkFile("t", marks), False))
    assert disk.backlog() == []
    assert list(folder.iterdir()) == []
    assert disk.storage.damaged_files == 0


def test_groups_of_events_are_read_back(disk):
    shop, other = Group({"schema": "otlp"}, {"resource": {"name": "shop"}}), Group({}, {})
    some = chunk(1, 2, 3, 4)
    some.groups = [shop, shop, None, other]
    stored = disk.storage.write("opentelemetry.0", some)
    assert stored.count == 4
    [(found, _, _)] = disk.backlog()
    assert found.count == 4
    assert found.stub("t").groups == [shop, shop, None, other]


def test_packed_events_are_written_without_being_decoded(disk):
    packed = encode_events([5], None, [{"n": 1}])
    disk.storage.write(
        "in", Chunk.of_packed("t", packed, 1, lambda data, count: pytest.fail("decoded"))
    )
    assert disk.bodies() == [[{"n": 1}]]


def test_what_is_delivered_is_gone_and_may_go_twice(disk):
    stored = disk.storage.write("in", chunk(1))
    stored.remove()
    stored.remove()
    assert (disk.backlog(), disk.sink.messages) == ([], [])


def test_the_backlog_comes_oldest_first(disk):
    for number in range(5):
        disk.storage.write(f"in.{number % 2}", chunk(number))
    assert disk.bodies() == [[{"n": number}] for number in range(5)]


def test_two_chunks_at_one_time_have_two_files(disk, monkeypatch):
    monkeypatch.setattr("time.time_ns", lambda: 1_700_000_000_000_000_000)
    paths = {disk.storage.write("in", chunk(number)).path for number in range(3)}
    assert len(paths) == 3
    assert disk.bodies() == [[{"n": 0}], [{"n": 1}], [{"n": 2}]]


def test_a_file_that_is_in_use_is_no_backlog(disk):
    mine = disk.storage.write("in", chunk(1)).path
    disk.storage.write("in", chunk(2))
    assert len(list(disk.storage.backlog(own=lambda path: path == mine))) == 1


def test_a_stub_takes_no_memory_until_somebody_looks(disk):
    stub = disk.storage.write("in", chunk(1, 2)).stub("other")
    assert (stub.tag, len(stub), stub.decoded) == ("other", 2, False)
    assert stub.bodies == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("stream", ["../up", "/etc", "..", ".hidden", ""])
def test_no_stream_leads_out_of_the_folder(disk, stream):
    path = disk.storage.write(stream, chunk(1)).path
    assert path.resolve().parent.parent == disk.storage.path.resolve()
    assert disk.bodies() == [[{"n": 1}]]


def test_files_are_for_the_owner_alone(disk):
    path = disk.storage.write("in", chunk(1)).path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_agents_never_share_a_folder(disk):
    with pytest.raises(ConfigError, match="used by another agent"):
        Disk(disk.storage.path)
    disk.storage.close()
    disk.storage.close()
    Disk(disk.storage.path).storage.close()


def test_a_folder_that_can_not_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="can't be used"):
        Disk(tmp_path / "file" / "store")


def test_a_write_that_fails_leaves_no_file(disk, monkeypatch):
    disk.storage.write("in", chunk(1)).remove()
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        disk.storage.write("in", chunk(1))
    assert list((disk.storage.path / "in").iterdir()) == []


def test_a_damaged_file_leaves_the_others_alone_and_stays(disk):
    bad = disk.storage.write("in", chunk(1)).path
    disk.storage.write("in", chunk(2))
    bad.write_bytes(b"no chunk")
    assert disk.bodies() == [[{"n": 2}]]
    assert bad.exists()
    [(level, message)] = disk.sink.messages
    assert level == "error"
    assert str(bad) in message
    assert disk.storage.damaged_files == 1


def test_a_damaged_file_is_deleted_if_told_to(tmp_path):
    disk = Disk(tmp_path, delete_damaged=True)
    bad = disk.storage.write("in", chunk(1)).path
    bad.write_bytes(b"no chunk")
    assert (disk.bodies(), bad.exists()) == ([], False)
    disk.storage.close()


def test_a_torn_end_costs_the_torn_event_alone(disk):
    path = disk.storage.write("in", chunk(1, 2, 3)).path
    path.write_bytes(path.read_bytes()[:-2])
    assert disk.bodies() == [[{"n": 1}, {"n": 2}]]
    assert "its 2 sound events" in disk.sink.messages[0][1]


def test_a_torn_end_is_no_wrong_checksum(tmp_path):
    disk = Disk(tmp_path, checksum=True)
    path = disk.storage.write("in", chunk(1, 2, 3)).path
    path.write_bytes(path.read_bytes()[:-2])
    assert disk.bodies() == [[{"n": 1}, {"n": 2}]]
    disk.storage.close()


def test_a_bad_event_in_the_middle_costs_no_other(disk):
    path = disk.storage.write("in", chunk(1, 2, 3)).path
    data = path.read_bytes()
    second = data.index(b"\x81\xa1n\x02")
    path.write_bytes(data[:second] + b"\xc1" * 4 + data[second + 4 :])
    assert disk.bodies() == [[{"n": 1}, {"n": 3}]]


def test_a_damaged_file_is_set_aside_once_its_sound_events_are_delivered(disk):
    path = disk.storage.write("in", chunk(1, 2, 3)).path
    path.write_bytes(path.read_bytes()[:-2])
    damaged = path.read_bytes()
    [(stored, _, _)] = disk.backlog()
    stored.remove()
    kept = disk.storage.path / ".damaged" / "in" / path.name
    assert kept.read_bytes() == damaged
    assert kept.with_name(f"{path.name}.reason").read_text() == "its end is missing\n"
    assert disk.backlog() == []


def test_the_set_aside_are_deleted_if_told_to(tmp_path):
    disk = Disk(tmp_path, delete_damaged=True)
    path = disk.storage.write("in", chunk(1, 2)).path
    path.write_bytes(path.read_bytes()[:-2])
    [(stored, _, _)] = disk.backlog()
    stored.remove()
    assert [each for each in tmp_path.rglob("*.flb*") if each.is_file()] == []
    disk.storage.close()


def test_a_file_is_restricted_to_some_outputs(disk):
    stored = disk.storage.write("in", chunk(1), ("a", "b"))
    stored.restrict(("b",))
    [(_, file, (_, _, bodies))] = disk.backlog()
    assert (file.routes, bodies) == (("b",), [{"n": 1}])


def test_files_of_padding_alone_are_gone(disk):
    path = disk.storage.write("in", chunk(1)).path
    path.write_bytes(chunkfile.encode(ChunkFile("t", b"")) + bytes(4000))
    assert (disk.bodies(), path.exists(), disk.sink.messages) == ([], False, [])


def test_the_size_of_a_file_is_what_it_takes_on_the_disk(disk):
    assert disk.storage.write("in", chunk(1)).size == 4096


def test_full_sync_tells_when_a_file_is_on_the_disk(tmp_path):
    async def scenario():
        disk = Disk(tmp_path, sync_full=True)
        gone = disk.storage.write("in", chunk(1))
        told = []
        for stored in (gone, disk.storage.write("in", chunk(2))):
            disk.storage.syncs.add(stored.path, told.append)
        gone.remove()
        assert told == []
        async with asyncio.timeout(5):
            while len(told) < 2:
                await asyncio.sleep(0.001)
        disk.storage.close()
        return told

    assert asyncio.run(scenario()) == [None, None]


def test_a_full_disk_is_known_by_trying(disk, monkeypatch):
    assert disk.storage.has_room()
    monkeypatch.setattr(os, "write", full)
    assert not disk.storage.has_room()


def full(descriptor, data):
    raise OSError(28, "No space left on device")


def test_a_checksum_that_is_wrong_is_damage(tmp_path):
    disk = Disk(tmp_path, checksum=True)
    path = disk.storage.write("in", chunk(1)).path
    assert disk.bodies() == [[{"n": 1}]]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert disk.bodies() == []
    disk.storage.close()


def test_metrics_are_read_back(disk):
    metrics = MetricSet([Metric(MetricKind.GAUGE, "depth")])
    metrics.metrics[0].set(-3.0, 5)
    disk.storage.write("in", metrics_chunk("m", metrics))
    [(stored, file)] = disk.storage.backlog()
    [read] = stored.chunks(file.tag)
    assert (read.kind, read.tag, stored.count) == (METRICS, "m", 1)
    assert [sample.value for sample in read.payload.metrics[0].samples] == [-3.0]


def test_traces_are_read_back(disk):
    spans = [Span("a", b"\1" * 16), Span("b")]
    traces = Traces([ResourceSpans({"service.name": "s"}, scope_spans=[ScopeSpans(spans=spans)])])
    disk.storage.write("in", traces_chunk("t", traces))
    [(stored, file)] = disk.storage.backlog()
    [read] = stored.chunks(file.tag)
    assert (read.kind, read.tag, stored.count, read.count) == (TRACES, "t", 2, 2)
    assert read.payload == traces


def test_traces_that_can_not_be_read_are_passed_over(disk):
    path = disk.storage.write("in", chunk(1)).path
    path.write_bytes(chunkfile.encode(ChunkFile("t", b"\x90", kind=chunkfile.TRACES)))
    assert disk.bodies() == []
    assert path.exists()
    assert disk.storage.damaged_files == 1


def test_profiles_are_read_back(disk):
    request = ExportProfilesServiceRequest()
    request.resource_profiles.add().scope_profiles.add().profiles.add(time_unix_nano=5)
    disk.storage.write("in", profiles_chunk("p", request.SerializeToString()))
    [(stored, file)] = disk.storage.backlog()
    [read] = stored.chunks(file.tag)
    assert (read.kind, read.tag, stored.count) == (PROFILES, "p", 1)
    assert read.payload.data == request.SerializeToString()


def test_profiles_of_fluent_bit_are_left_where_they_are(disk):
    path = disk.storage.write("in", chunk(1)).path
    path.write_bytes(chunkfile.encode(ChunkFile("t", b"\x81\xa1a\x01", kind=chunkfile.PROFILES)))
    assert disk.bodies() == []
    assert path.exists()


def test_files_without_a_time_in_their_name_come_last():
    names = ["other", "7-20.000000001.flb", "9-3.5.flb", "1-20.000000000.flb"]
    ordered = sorted(map(Path, names), key=age)
    assert list(map(str, ordered)) == [names[2], names[3], names[1], names[0]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=60), st.data())
def test_any_file_is_delivered_or_set_aside(disk, junk, data):
    whole = chunkfile.encode(ChunkFile("t", encode_events([1, 2], None, [{"n": 1}, {"n": 2}])))
    cut = data.draw(st.integers(0, len(whole)))
    folder = disk.storage.path / "in"
    folder.mkdir(exist_ok=True)
    (folder / "1-1.000000000.flb").write_bytes(whole[:cut] + junk)
    for stored, _, (_, _, bodies) in disk.backlog():
        assert 0 < len(bodies) == stored.count


def test_a_folder_that_can_not_be_read_is_told_and_leaves_the_others_alone(disk, monkeypatch):
    disk.storage.write("closed", chunk(1))
    disk.storage.write("open", chunk(2))
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert disk.bodies() == [[{"n": 2}]]
    assert "closed can't be read: Permission denied" in disk.sink.messages[0][1]
