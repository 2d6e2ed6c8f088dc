"""The output plot."""

import pytest

from tailrace.plugin import Partial, Retry
from tailrace.testing import EPOCH_NS, run_output

SECONDS = EPOCH_NS // 1_000_000_000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_time_and_value_stand_in_the_file(folder):
    run_output("plot", "key v\nfile out.dat", {"a": 5, "v": 1}, {"v": 2.5}, {"v": -3})
    assert (folder / "out.dat").read_text().splitlines() == [
        f"{SECONDS}.000000 1",
        f"{SECONDS + 1}.000000 2.500000",
        f"{SECONDS + 2}.000000 -3",
    ]


def test_without_options_the_first_key_goes_into_a_file_named_after_the_tag(folder):
    run_output("plot", "", {"a": 5, "v": 1}, tag="my.tag")
    run_output("plot", "", {"v": 6}, tag="my.tag")
    assert [line.split()[1] for line in (folder / "my.tag").read_text().splitlines()] == ["5", "6"]


@pytest.mark.parametrize("tag", ["../../etc/x", "..", "/etc/x"])
def test_a_tag_does_not_lead_out_of_the_folder(folder, tag):
    run_output("plot", "", {"v": 1}, tag=tag)
    assert [path.parent for path in folder.rglob("*")] == [folder]


@pytest.mark.parametrize("odd", [{"v": "x"}, {"v": True}, {"other": 1}, {}])
def test_an_event_without_a_number_is_refused_and_the_others_are_written(folder, odd):
    with pytest.raises(Partial) as caught:
        run_output("plot", "key v\nfile o", {"v": 1}, odd, {"v": 3})
    [refusal] = caught.value.rejected
    assert (refusal.chunk.bodies, caught.value.retry) == ([odd], None)
    assert "'v'" in refusal.why
    assert len((folder / "o").read_text().splitlines()) == 2


def test_a_file_that_can_not_be_opened_goes_to_standard_output(folder, capsys):
    run_output("plot", "file no/such/folder", {"v": 1})
    assert capsys.readouterr().out == f"{SECONDS}.000000 1\n"


def test_a_full_disk_is_tried_again(folder):
    with pytest.raises(Retry, match="/dev/full"):
        run_output("plot", "file /dev/full", {"v": 1})
