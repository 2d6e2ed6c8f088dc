"""Sources give bytes again until they are taken, and notice when they are not what they were."""

import gzip
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.inputs.tail.source import GzipSource, PlainSource, Rewritten


@pytest.fixture
def opened(tmp_path):
    """A function that writes a file and opens it."""
    descriptors = []

    def make(data: bytes) -> int:
        path = tmp_path / f"file{len(descriptors)}"
        path.write_bytes(data)
        descriptors.append(os.open(path, os.O_RDWR))
        return descriptors[-1]

    yield make
    for fd in descriptors:
        os.close(fd)


def test_bytes_come_again_until_they_are_taken(opened):
    source = PlainSource(opened(b"abcdef"), 0)
    assert source.peek(4) == (b"abcd", 0)
    data, begin = source.peek(4)
    source.consume(data, begin, begin + 3)
    data, begin = source.peek(10)
    assert data[begin:] == b"def"
    assert source.here == (3, b"abc")


@pytest.mark.parametrize("change", [b"", b"ab", b"xxxxxxxxxx", b"abX" + b"y" * 50])
def test_a_file_that_was_rewritten_is_noticed(opened, change):
    fd = opened(b"abcdef")
    source = PlainSource(fd, 3)
    os.ftruncate(fd, 0)
    os.pwrite(fd, change, 0)
    with pytest.raises(Rewritten):
        source.peek(10)


def drain(source, size):
    found = b""
    while True:
        data, begin = source.peek(size)
        if len(data) == begin:
            return found
        found += data[begin:]
        source.consume(data, begin, len(data))


@given(parts=st.lists(st.binary(max_size=3000), min_size=1, max_size=4), size=st.integers(1, 5000))
def test_members_of_a_compressed_file_follow_each_other(parts, size):
    fd = os.memfd_create("members")
    os.write(fd, b"".join(map(gzip.compress, parts)))
    source = GzipSource(fd, 0)
    assert drain(source, size) == b"".join(parts)
    assert source.at_end
    os.close(fd)


def test_a_compressed_file_that_was_read_is_read_on_with_its_next_member(opened):
    fd = opened(gzip.compress(b"0123456789"))
    size = os.fstat(fd).st_size
    os.pwrite(fd, gzip.compress(b"more"), size)
    assert drain(GzipSource(fd, 10, raw_offset=size), 3) == b"more"


def test_no_more_is_decompressed_than_was_asked_for(opened):
    source = GzipSource(opened(gzip.compress(bytes(50_000_000))), 0)
    data, _ = source.peek(1000)
    assert len(data) == 1000
    assert len(source._buffer) == 1000


@given(st.binary(min_size=2, max_size=300))
def test_any_bytes_decompress_or_are_refused(data):
    fd = os.memfd_create("any")
    os.write(fd, data)
    try:
        drain(GzipSource(fd, 0), 100)
    except zlib.error:
        pass
    finally:
        os.close(fd)
