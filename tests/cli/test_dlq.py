"""tailrace dlq."""

import json
import time

import pytest

from tailrace.cli import dlq
from tailrace.engine.storage import Storage
from tailrace.model import Group
from tailrace.plugin.dead_letters import DeadLetters, letter_files
from tailrace.plugin.log import Log
from tailrace.testing import ListSink
from tailrace.wire.dead_letter import DeadLetter

DAY_NS = 86_400 * 10**9


@pytest.fixture
def folder(tmp_path):
    letters = DeadLetters(tmp_path / "rejected", 0, Log(ListSink()))
    now = time.time_ns()
    for number, output, reason, age in (
        (1, "es.0", "mapping", 0),
        (2, "es.0", "too large", 0),
        (3, "http.0", "HTTP status=400", 10),
    ):
        letters.add(
            [DeadLetter("app", output, "es", reason, 400, 1, now - age * DAY_NS, 5, {"n": number})]
        )
    return tmp_path


def remaining(folder):
    paths = letter_files(folder / "rejected")
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return sorted(json.loads(line)["record"]["n"] for line in lines)


def replayed(folder):
    storage = Storage(folder, Log(ListSink()))
    return {
        (file.tag, file.routes, body["n"])
        for stored, file in storage.backlog()
        for body in stored.load()[2]
    }


def test_a_replayed_letter_is_in_its_group(tmp_path):
    shop = Group({"schema": "otlp"}, {"resource": {"name": "shop"}})
    letters = [
        DeadLetter("app", "es.0", "es", "mapping", time=number, record={"n": number}, group=group)
        for number, group in enumerate([shop, Group(*shop), None])
    ]
    DeadLetters(tmp_path / "rejected", 0, Log(ListSink())).add(letters)
    assert dlq.run(["replay", str(tmp_path)]) == 0
    [(stored, _)] = Storage(tmp_path, Log(ListSink())).backlog()
    groups = stored.load().groups
    assert groups == [shop, shop, None]
    assert groups[0] is groups[1]


def test_list_counts_by_output_and_reason(folder, capsys):
    assert dlq.run(["list", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["1", "es.0", "app", "400", "mapping"]
    assert lines[-1].startswith("3 letters in")


def test_list_tells_of_lines_that_are_none(folder, capsys):
    (folder / "rejected" / "x.jsonl").write_text("oops\n")
    assert dlq.run(["list", str(folder / "rejected")]) == 1
    assert "1 lines are none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("choice", "shown"),
    [
        ([], [1, 2, 3]),
        (["--output", "es.0"], [1, 2]),
        (["--reason", "^too"], [2]),
        (["--tag", "other"], []),
        (["--older-than", "7d"], [3]),
        (["-n", "2"], [1, 2]),
    ],
)
def test_show_prints_the_chosen_letters(folder, capsys, choice, shown):
    assert dlq.run(["show", str(folder), *choice]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(json.loads(line)["record"]["n"] for line in lines) == shown


def test_replay_hands_letters_to_the_output_that_gave_them_up(folder, capsys):
    assert dlq.run(["replay", str(folder), "--output", "es.0"]) == 0
    assert replayed(folder) == {("app", ("es.0",), 1), ("app", ("es.0",), 2)}
    assert remaining(folder) == [3]
    assert "2 letters" in capsys.readouterr().out


@pytest.mark.parametrize(("choice", "routes"), [(["--to", "x"], ("x",)), (["--by-tag"], ())])
def test_replay_to_elsewhere(folder, choice, routes):
    assert dlq.run(["replay", str(folder), *choice]) == 0
    assert {found[1] for found in replayed(folder)} == {routes}


def test_a_mended_letter_is_sent_as_mended(folder):
    [path] = [path for path in letter_files(folder / "rejected") if "http" in path.name]
    path.write_text(path.read_text().replace('"n": 3', '"n": 33'))
    dlq.run(["replay", str(folder)])
    assert 33 in {found[2] for found in replayed(folder)}


def test_nothing_to_replay_is_told(folder, capsys):
    assert dlq.run(["replay", str(folder), "--output", "nosuch"]) == 0
    assert "no letter to replay" in capsys.readouterr().out
    assert replayed(folder) == set()


def test_replay_leaves_bad_lines_beside(folder, capsys):
    [path] = [path for path in letter_files(folder / "rejected") if "http" in path.name]
    path.write_text("oops\n" + path.read_text())
    assert dlq.run(["replay", str(folder)]) == 1
    assert "line 1" in capsys.readouterr().err
    assert path.with_name(f"{path.name}.bad").read_text() == "oops\n"


def test_purge_deletes_what_is_chosen(folder):
    assert dlq.run(["purge", str(folder), "--older-than", "7d"]) == 0
    assert remaining(folder) == [1, 2]
    assert dlq.run(["purge", str(folder), "--all"]) == 0
    assert remaining(folder) == []


def test_purge_wants_a_choice(folder, capsys):
    assert dlq.run(["purge", str(folder)]) == 2
    assert "--all" in capsys.readouterr().err
    assert remaining(folder) == [1, 2, 3]


def test_the_folder_may_come_from_a_configuration(folder, capsys):
    config = folder / "agent.conf"
    config.write_text(f"[SERVICE]\n    storage.path {folder}\n")
    assert dlq.run(["list", "-c", str(config)]) == 0
    assert "3 letters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["list"], "give a folder"),
        (["list", "/no/such"], "is no folder"),
        (["list", ".", "--reason", "("], "--reason"),
        (["list", ".", "--older-than", "x"], "--older-than"),
    ],
)
def test_arguments_that_lead_nowhere_are_told(arguments, what, capsys):
    assert dlq.run(arguments) == 2
    assert what in capsys.readouterr().err
