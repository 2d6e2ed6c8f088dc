"""The output file: what it writes, where, and what it refuses."""

import asyncio
import gzip
import io
import os
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError
from tailrace.model.metrics import MetricKind, MetricSet, metrics_chunk
from tailrace.outputs.file import append
from tailrace.outputs.file.formats import seconds_text
from tailrace.outputs.file.names import is_fit, name_of_tag
from tailrace.outputs.file.rotation import compress
from tailrace.plugin import Partial, Reject, Retry
from tailrace.testing import EPOCH_NS, chunk_of, make_plugin, run_output
from tailrace.wire.msgpack import decode_events

SECONDS = EPOCH_NS // 1_000_000_000


def written(folder, section, *bodies, tag="t"):
    """The text of the one file that these bodies make."""
    run_output("file", {"path": str(folder), **section}, *bodies, tag=tag)
    [path] = [each for each in folder.rglob("*") if each.is_file()]
    return path.read_bytes().decode()


def names_in(folder):
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({}, f't: [{SECONDS}.000000000, {{"a":"x","n":1}}]\n'),
        ({"format": "plain"}, '{"a":"x","n":1}\n'),
        ({"format": "csv"}, f'{SECONDS}.000000000,"x",1\n'),
        ({"format": "csv", "delimiter": "tab"}, f'{SECONDS}.000000000\t"x"\t1\n'),
        ({"format": "ltsv"}, f'"time":{SECONDS}.000000\t"a":"x"\t"n":1\n'),
        ({"format": "template", "template": "{a}-{n} {none}"}, "x-1 {none}\n"),
    ],
)
def test_each_format_has_its_line(tmp_path, section, text):
    assert written(tmp_path, section, {"a": "x", "n": 1}) == text


def test_the_time_of_a_template_is_the_events_also_where_the_record_has_one(tmp_path):
    section = {"format": "template", "template": "{time} {a}"}
    assert written(tmp_path, section, {"time": "mine", "a": 1}) == f"{SECONDS}.000000 1\n"


@pytest.mark.parametrize(
    ("path", "file", "name"),
    [
        ("logs", "$a.txt", "logs/.txt"),
        ("logs/y$a.z/x", "b", "logs/y.z/x/b"),
        ("logs", "$a", "logs/fallback"),
        ("logs", ".$a.", "logs/fallback"),
        ("logs/.$a./x", "b", "logs/fallback"),
    ],
)
def test_an_empty_value_names_what_is_left_unless_only_dots_are(tmp_path, path, file, name):
    section = {"path": f"{tmp_path}/{path}", "file": file, "fallback_file": "fallback"}
    section |= {"fallback_path": f"{tmp_path}/logs", "on_missing_field": "fallback", "mkdir": "on"}
    run_output("file", section, {"a": ""}, tag="t")
    assert names_in(tmp_path) == [name]


def test_msgpack_is_read_back_as_it_was(tmp_path):
    run_output("file", {"path": str(tmp_path), "format": "msgpack"}, {"a": 1}, tag="t")
    events = decode_events((tmp_path / "t").read_bytes())
    assert (events.times, events.bodies) == ([EPOCH_NS], [{"a": 1}])


def test_column_names_stand_only_at_the_top(tmp_path):
    section = {"format": "csv", "csv_column_names": "on"}
    written(tmp_path, section, {"a": 1})
    lines = written(tmp_path, section, {"a": 2}).splitlines()
    assert lines[0] == 'timestamp,"a"'
    assert [line.rsplit(",", 1)[1] for line in lines[1:]] == ["1", "2"]


def test_record_and_time_name_the_file(tmp_path):
    section = {
        "path": f"{tmp_path}/$app",
        "file": "%Y.log",
        "fallback_file": "other",
        "enable_strftime": "on",
        "mkdir": "on",
    }
    run_output("file", section, {"app": "a"}, {"app": "b"})
    assert names_in(tmp_path) == ["a/2023.log", "b/2023.log"]


@pytest.mark.parametrize("app", ["..", "../up", "/etc", "a\\b", "", "x\0y"])
def test_a_field_unfit_for_a_name_is_refused_alone(tmp_path, app):
    section = {"path": str(tmp_path), "file": "$app", "fallback_file": "other"}
    with pytest.raises(Partial) as caught:
        run_output("file", section, {"app": "good"}, {"app": app})
    [(refused, _, _)] = caught.value.rejected
    assert refused.bodies == [{"app": app}]
    assert names_in(tmp_path) == ["good"]


def test_a_chunk_without_any_name_is_rejected_whole(tmp_path):
    section = {"path": str(tmp_path), "file": "$app", "fallback_file": "other"}
    with pytest.raises(Reject, match="missing"):
        run_output("file", section, {"n": 1})


def test_the_fallback_takes_what_is_missing_or_beyond_the_limit(tmp_path):
    section = {
        "path": str(tmp_path),
        "file": "$app",
        "fallback_file": "other",
        "format": "plain",
        "max_dynamic_files": "1",
        "on_missing_field": "fallback",
        "on_limit_reached": "fallback",
    }
    run_output("file", section, {"app": "a"}, {"n": 1}, {"app": "b"})
    assert (tmp_path / "other").read_text() == '{"n":1}\n{"app":"b"}\n'
    assert names_in(tmp_path) == ["a", "other"]


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ("path $app\nfallback_file other", "begins with a variable"),
        ("path logs\nfile $app", "fallback_file is missing"),
        ("path logs\nfile $a\nfallback_file o\nmax_dynamic_files 0", "max_dynamic_files"),
        ("path logs\nfile $a[\nfallback_file o", "no accessor"),
    ],
)
def test_names_that_can_not_work_are_refused_at_the_start(section, what):
    with pytest.raises(ConfigError, match=what):
        make_plugin("output", "file", section)


def test_a_missing_folder_keeps_the_chunk_and_says_how_to_make_it(tmp_path):
    with pytest.raises(Retry, match="mkdir on"):
        run_output("file", {"path": str(tmp_path / "none")}, {"n": 1})


def test_what_a_full_disk_cut_short_is_taken_back():
    class FullDisk(io.BytesIO):
        def write(self, data):
            if self.tell() >= 12:
                raise OSError(28, "No space left on device")
            return super().write(data[: 12 - self.tell()])

    disk = FullDisk(b'{"n":1}\n')
    disk.seek(0, io.SEEK_END)
    with pytest.raises(OSError, match="No space left"):
        append(disk, b'{"n":2}\n')
    assert disk.getvalue() == b'{"n":1}\n'


def test_a_short_write_is_gone_on_with():
    class Slow(io.BytesIO):
        def write(self, data):
            return super().write(data[:3])

    disk = Slow()
    append(disk, b"0123456789")
    assert disk.getvalue() == b"0123456789"


def test_rotation_loses_nothing(tmp_path):
    section = {
        "path": str(tmp_path),
        "format": "plain",
        "rotate": "on",
        "rotate_max_size": "1",
        "rotate_max_files": "10",
    }
    plugin = make_plugin("output", "file", section)
    for number in range(4):
        asyncio.run(plugin.flush(chunk_of([{"n": number}], "t")))
    moved = [gzip.decompress(each.read_bytes()) for each in tmp_path.glob("t.*.gz")]
    assert sorted([*moved, (tmp_path / "t").read_bytes()]) == [b'{"n":%d}\n' % n for n in range(4)]


def test_a_file_is_compressed_beside_the_loop(tmp_path, monkeypatch):
    threads = []
    monkeypatch.setattr(
        "tailrace.outputs.file.rotation.compress",
        lambda path: threads.append(threading.current_thread()),
    )
    (tmp_path / "t").write_bytes(b"full\n")
    section = {"path": str(tmp_path), "rotate": "on", "rotate_max_size": "1"}
    run_output("file", section, {"n": 1}, tag="t")
    [thread] = threads
    assert thread is not threading.main_thread()


def test_no_more_moved_files_than_asked_for(tmp_path):
    for stamp in ("20200101_000000_00000000", "20200102_000000_00000000"):
        (tmp_path / f"t.{stamp}").touch()
    (tmp_path / "t").write_bytes(b"full\n")
    (tmp_path / "t.notes").touch()
    section = {"rotate": "on", "rotate_max_size": "1", "rotate_max_files": "2"}
    run_output("file", {"path": str(tmp_path), "rotate_gzip": "off", **section}, {"n": 1}, tag="t")
    left = names_in(tmp_path)
    assert "t.20200101_000000_00000000" not in left
    assert {"t", "t.notes", "t.20200102_000000_00000000"} < set(left)
    assert len(left) == 4


def test_a_letter_beyond_ascii_becomes_as_many_underlines_as_it_has_bytes():
    assert name_of_tag("é/€ b") == "__/____b"


@given(st.text(st.sampled_from("./\\a\0é"), max_size=12) | st.text(max_size=12))
def test_no_tag_leads_out_of_the_folder(tag):
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.normpath(Path(folder, name_of_tag(tag)))
        assert target.startswith(folder + os.sep)


@given(st.text(st.sampled_from("./\\a\0"), max_size=6) | st.text(max_size=6))
def test_a_value_fit_for_a_name_is_one_part_of_a_path(text):
    if is_fit(text):
        assert os.path.normpath(os.path.join("folder", text)) == f"folder/{text}"


def hits():
    metrics = MetricSet()
    metrics.metric(MetricKind.COUNTER, "hits", "d").add(3, EPOCH_NS)
    return metrics_chunk("t", metrics)


@pytest.mark.parametrize(
    ("section", "name"),
    [({"file": "m.txt", "format": "csv"}, "m.txt"), ({"file": "$a", "fallback_file": "f"}, "f")],
)
def test_metrics_are_written_as_text_whatever_the_format(tmp_path, section, name):
    output = make_plugin("output", "file", {"path": str(tmp_path), **section})
    asyncio.run(output.flush(hits()))
    assert (tmp_path / name).read_text() == "2023-11-14T22:13:20.000000000Z hits = 3\n"


def test_a_compression_that_fails_leaves_the_moved_file_alone(tmp_path, monkeypatch):
    def fail(source, target, size):
        target.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", fail)
    path = tmp_path / "t.1"
    path.write_bytes(b"whole")
    with pytest.raises(OSError, match="No space"):
        compress(path)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"t.1": b"whole"}


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [(1_700_000_004_123_456_716, "1700000004.123457"), (-500_000_000, "-0.500000")],
)
def test_the_time_in_seconds_is_rounded(time_ns, text):
    assert seconds_text(time_ns) == text
