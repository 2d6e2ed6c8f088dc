"""Chunk files in Fluent Bit's layout."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire import chunkfile
from tailrace.wire.chunkfile import ChunkFile, ChunkFileError

RECORDED = base64.b64decode(
    "wQAAAAAAAAAAAAAAABMAAAAAAAAAAAAL8XcAAHF1ZXVlLmGSktcAZVPxFR3NZQCAgaNzZXEB"
)

KILLED = (
    "wQCwMHOJAAAAAAAAAWgAAAAAAAAAAAAJ8XcAAGFwcC54kpLXAGsHSvYyQsQrgIOhbgGhdKVjYWbDqaFmy0AEAAAA"
    "AAAAkpLXAGsHSvYzbyHZgIOhbgGhdKVjYWbDqaFmy0AEAAAAAAAAkpLXAGsHSvY0oGAwgIOhbgGhdKVjYWbDqaFm"
    "y0AEAAAAAAAAkpLXAGsHSvY10Vq9gIOhbgGhdKVjYWbDqaFmy0AEAAAAAAAAkpLXAGsHSvY3Ans4gIOhbgGhdKVj"
    "YWbDqaFmy0AEAAAAAAAAkpLXAGsHSvY4NEvXgIOhbgGhdKVjYWbDqaFmy0AEAAAAAAAAkpLXAGsHSvY5ZPyNgIOh"
    "bgGhdKVjYWbDqaFmy0AEAAAAAAAAkpLXAGsHSvY6lkLLgIOhbgGhdKVjYWbDqaFmy0AEAAAAAAAAkpLXAGsHSvcA"
    "LF8xgIOhbgGhdKVjYWbDqaFmy0AEAAAAAAAAkpLXAGsHSvcBXaBjgIOhbgGhdKVjYWbDqaFmy0AEAAAAAAAA"
)
"""Left by Fluent Bit 5.1.1 with storage.checksum on, killed by SIGKILL."""


def test_a_file_of_fluent_bit_is_read():
    file = chunkfile.decode(RECORDED)
    assert (file.tag, file.kind, len(file.events), file.is_cut) == ("queue.a", 0, 19, False)


def test_what_is_written_is_what_fluent_bit_writes():
    assert chunkfile.encode(chunkfile.decode(RECORDED)) == RECORDED


@given(
    tag=st.text(max_size=20).filter(lambda tag: "\0" not in tag),
    events=st.binary(min_size=1, max_size=200),
    routes=st.lists(st.text("abc.0", min_size=1, max_size=5), max_size=3),
    kind=st.integers(0, 3),
    checksum=st.booleans(),
)
def test_a_file_survives_the_round_trip(tag, events, routes, kind, checksum):
    file = ChunkFile(tag, events, kind, tuple(routes))
    assert chunkfile.decode(chunkfile.encode(file, checksum), checksum) == file


def test_old_metadata_is_the_tag_alone():
    data = bytearray(chunkfile.encode(ChunkFile("t", b"\x90")))
    old = data[:22] + b"\x00\x05old.t" + b"\x90"
    assert chunkfile.decode(bytes(old)).tag == "old.t"


@pytest.mark.parametrize("cut", [1, 10, 23, 26])
def test_a_cut_header_is_an_error_that_says_so(cut):
    with pytest.raises(ChunkFileError):
        chunkfile.decode(RECORDED[:cut])


def test_a_cut_body_is_marked():
    assert chunkfile.decode(RECORDED[:-3]).is_cut


def test_a_wrong_checksum_is_an_error_with_both_sums():
    data = bytearray(chunkfile.encode(ChunkFile("t", b"\x90\x91"), checksum=True))
    data[-1] ^= 1
    with pytest.raises(ChunkFileError, match="CRC32"):
        chunkfile.decode(bytes(data), checksum=True)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_file_or_the_declared_error(data):
    for candidate in (data, b"\xc1\x00" + data, b"\xc1\x00" + bytes(20) + data):
        try:
            chunkfile.decode(candidate)
        except ChunkFileError:
            continue


def test_a_chunk_that_fluent_bit_had_open_when_it_was_killed_is_sound():
    whole = chunkfile.encode(ChunkFile("t", b"\x90\x91"), checksum=True)
    crc = int.from_bytes(whole[2:6], "big")
    killed = whole[:2] + (crc ^ 0xFFFFFFFF).to_bytes(4, "little") + whole[6:]
    assert chunkfile.decode(killed, checksum=True).events == b"\x90\x91"
    with pytest.raises(ChunkFileError, match="CRC32"):
        chunkfile.decode(killed[:-1] + b"\x90", checksum=True)


def test_such_a_file_as_it_was_found():
    assert chunkfile.decode(base64.b64decode(KILLED), checksum=True).tag == "app.x"
