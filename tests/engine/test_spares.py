"""Spent files are written anew."""

import os

import pytest

from tailrace.engine import spares
from tailrace.engine.spares import Spares


@pytest.fixture
def pool(tmp_path):
    made = Spares(tmp_path)
    made.open()
    return made


def spent(folder, name="a", size=10):
    path = folder / name
    path.write_bytes(b"x" * size)
    return path


def hidden(folder):
    return list((folder / ".spare").iterdir())


def test_without_a_spare_nothing_is_written(pool, tmp_path):
    assert not pool.write(tmp_path / "new", b"data")
    assert not (tmp_path / "new").exists()


def test_a_spent_file_becomes_a_new_one(pool, tmp_path):
    old = spent(tmp_path)
    inode = old.stat().st_ino
    assert pool.keep(old)
    assert not old.exists()
    assert pool.write(tmp_path / "new", b"other data")
    assert ((tmp_path / "new").read_bytes(), hidden(tmp_path)) == (b"other data", [])
    assert (tmp_path / "new").stat().st_ino == inode


@pytest.mark.parametrize(("size", "left"), [(20, 20), (200_000, 4)])
def test_a_file_that_is_much_longer_is_cut(pool, tmp_path, size, left):
    pool.keep(spent(tmp_path, size=size))
    pool.write(tmp_path / "new", b"data")
    assert (tmp_path / "new").stat().st_size == left
    assert (tmp_path / "new").read_bytes()[:4] == b"data"


def test_few_and_small_files_are_kept(pool, tmp_path, monkeypatch):
    monkeypatch.setattr(spares, "MOST_FILES", 2)
    monkeypatch.setattr(spares, "MOST_BYTES", 100)
    kept = [
        pool.keep(spent(tmp_path, name, size))
        for name, size in zip("abcd", (101, 5, 5, 5), strict=True)
    ]
    assert kept == [False, True, True, False]


def test_a_write_that_fails_leaves_nothing(pool, tmp_path, monkeypatch):
    pool.keep(spent(tmp_path))

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        pool.write(tmp_path / "new", b"data")
    assert (hidden(tmp_path), (tmp_path / "new").exists()) == ([], False)


def test_a_folder_that_is_not_there_is_told(pool, tmp_path):
    pool.keep(spent(tmp_path))
    with pytest.raises(FileNotFoundError):
        pool.write(tmp_path / "no" / "new", b"data")


def test_what_an_earlier_run_left_is_deleted(pool, tmp_path):
    pool.keep(spent(tmp_path))
    Spares(tmp_path).open()
    assert hidden(tmp_path) == []


def test_at_the_end_none_is_left(pool, tmp_path):
    pool.keep(spent(tmp_path))
    pool.clear()
    assert hidden(tmp_path) == []


def test_a_file_that_is_gone_is_no_spare(pool, tmp_path):
    assert not pool.keep(tmp_path / "no")
