"""Bytes become lines, and offsets stay where the lines are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.inputs.tail.encodings import Generic, Utf8, Utf16, detect


def ignore(_: str) -> None:
    """Nobody is told of bad text here."""


ENCODINGS = [
    Utf8(),
    Utf16("utf-16-le", ignore),
    Utf16("utf-16-be", ignore),
    Generic("cp932", ignore),
    Generic("gbk", ignore),
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.binary(max_size=200))
def test_any_bytes_give_lines_with_their_starts(encoding, data):
    end = encoding.last_end(data, 0, len(data))
    if not end:
        return
    lines = encoding.lines(data, 0, end)
    starts = encoding.starts(data, 0, end, 1000)
    assert len(lines) == len(starts)
    ends = [start - 1000 for start in starts[1:]] + [end]
    for start, stop in zip(starts, ends, strict=True):
        assert encoding.first_end(data, start - 1000) == stop


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@given(lines=st.lists(st.text(st.characters(codec="utf-16", exclude_characters="\n")), min_size=1))
def test_lines_of_utf16_come_back(codec, lines):
    encoding = Utf16(codec, ignore)
    data = "".join(f"{line}\n" for line in lines).encode(codec)
    assert encoding.last_end(data, 0, len(data)) == len(data)
    assert encoding.lines(data, 0, len(data)) == lines


@given(text=st.text(), size=st.integers(4, 50))
def test_a_cut_leaves_whole_characters(text, size):
    data = text.encode("utf-8", "surrogatepass")
    if size < len(data):
        end = Utf8().cut(data, 0, size)
        assert size - 3 <= end <= size
        assert text.startswith(data[:end].decode("utf-8", "surrogatepass"))


@given(st.binary(max_size=100))
def test_every_sample_has_an_encoding(sample):
    assert detect(sample) in ("utf-8", "utf-8-sig", "utf-16-le", "utf-16-be")
