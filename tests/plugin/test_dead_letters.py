"""The folder of dead letters."""

import os

from tailrace.plugin import dead_letters
from tailrace.plugin.dead_letters import (
    DeadLetters,
    finish,
    give_back,
    letter_files,
    read_letters,
    take,
)
from tailrace.plugin.log import Log
from tailrace.testing import ListSink
from tailrace.wire.dead_letter import DeadLetter


class Folder:
    def __init__(self, path, limit=0):
        self.sink = ListSink()
        self.letters = DeadLetters(path / "rejected", limit, Log(self.sink))
        self.path = path / "rejected"

    def add(self, *numbers, tag="a/b:c", status=400, output="es.0"):
        self.letters.add(
            [
                DeadLetter(tag, output, "es", "why", status, record={"n": number})
                for number in numbers
            ]
        )

    def read(self):
        return [
            line.letter.record["n"]
            for path in letter_files(self.path)
            for line in read_letters(path)
        ]


def test_letters_of_one_kind_go_into_one_file_with_a_telling_name(tmp_path):
    folder = Folder(tmp_path)
    folder.add(1)
    folder.add(2, 3)
    [path] = letter_files(folder.path)
    assert path.name.startswith("a_b_c_400_es.0_")
    assert folder.read() == [1, 2, 3]
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.letters.kept == 3


def test_other_reasons_have_other_files(tmp_path):
    folder = Folder(tmp_path)
    folder.add(1)
    folder.add(2, status=500)
    folder.add(3, tag="../../etc")
    assert len(letter_files(folder.path)) == 3


def test_a_long_file_is_followed_by_another(tmp_path, monkeypatch):
    monkeypatch.setattr(dead_letters, "FILE_BYTES", 10)
    folder = Folder(tmp_path)
    folder.add(1)
    folder.add(2)
    assert len(letter_files(folder.path)) == 2


def test_at_the_limit_no_more_are_kept_and_that_is_told_once(tmp_path):
    folder = Folder(tmp_path, limit=30)
    for number in range(4):
        folder.add(number)
    assert folder.read() == [0]
    assert folder.letters.lost == 3
    [(level, message)] = folder.sink.messages
    assert level == "error"
    assert "storage.rejected.limit" in message


def test_what_was_kept_by_an_earlier_run_counts(tmp_path):
    Folder(tmp_path).add(1)
    later = Folder(tmp_path, limit=30)
    later.add(2)
    assert later.letters.lost == 1


def test_a_disk_that_takes_nothing_is_told(tmp_path, monkeypatch):
    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    folder = Folder(tmp_path)
    folder.add(1)
    assert folder.letters.lost == 1
    assert "No space left" in folder.sink.messages[0][1]


def test_who_takes_a_file_has_it_alone(tmp_path):
    folder = Folder(tmp_path)
    folder.add(1)
    [path] = letter_files(folder.path)
    taken = take(path)
    assert (letter_files(folder.path), take(path)) == ([], None)
    folder.add(2)
    assert folder.read() == [2]
    give_back(taken)
    assert sorted(folder.read()) == [1] or sorted(folder.read()) == [1, 2]


def test_lines_that_nobody_wanted_stand_in_their_place_again(tmp_path):
    folder = Folder(tmp_path)
    folder.add(1)
    [path] = letter_files(folder.path)
    taken = take(path)
    finish(taken, [path_line(taken)], [b"oops"])
    assert folder.read() == [1]
    assert path.with_name(f"{path.name}.bad").read_bytes() == b"oops\n"


def path_line(path):
    return path.read_bytes().splitlines()[0]
