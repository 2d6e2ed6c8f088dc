"""Sets of MessagePack that follow one another."""

import pytest

from tailrace.wire import sets
from tailrace.wire.sets import as_float, as_int, as_list, as_map, as_text, read_sets


class BadSetError(ValueError):
    pass


def read(data):
    return read_sets(data, "sums", lambda value: sum(as_list(value, "sum")), BadSetError)


def test_all_sets_are_read():
    assert read(b"\x92\x01\x02\x91\x04") == [3, 4]
    assert read(b"") == []


def test_what_is_cut_off_is_told_with_its_place():
    with pytest.raises(BadSetError, match="the sums at byte 2 are cut off"):
        read(b"\x91\x04\x92\x01")


def test_what_can_not_be_read_is_told_with_its_place():
    with pytest.raises(BadSetError, match="the sums at byte 0 can't be read: sum is no list"):
        read(b"\x01")
    with pytest.raises(BadSetError, match="at byte 0 can't be read"):
        read(b"\x91\xa1a")


def test_more_bytes_than_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr(sets, "MOST_BYTES", 3)
    with pytest.raises(BadSetError, match="4 bytes of sums are more than 3"):
        read(b"\x91\x01\x91\x01")


@pytest.mark.parametrize("take", [as_map, as_list, as_text, as_int, as_float])
def test_another_kind_is_refused(take):
    with pytest.raises(ValueError, match="it is no"):
        take(None, "it")


def test_whole_numbers_are_numbers():
    assert type(as_float(1, "it")) is float
