"""Where lines start, asked for or not."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from tailrace.inputs.tail.encodings import Utf8
from tailrace.inputs.tail.files import LINES, Piece
from tailrace.inputs.tail.shaping import Starts, lines_to_join

FILE = SimpleNamespace(encoding=Utf8())


def piece_of(lines, lead=b"xx", offset=100):
    data = lead + b"".join(line + b"\n" for line in lines)
    return Piece(LINES, data, len(lead), len(data), offset, (0, b""))


@given(
    lines=st.lists(
        st.binary(max_size=6).map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=90
    ),
    skip_empty=st.booleans(),
)
def test_starts_from_the_end_are_those_from_the_beginning(lines, skip_empty):
    piece = piece_of(lines)
    texts, starts = lines_to_join(FILE, piece, skip_empty)
    expected = Utf8().starts(piece.data, piece.begin, piece.end, piece.offset)
    if skip_empty:
        filled = [line not in (b"", b"\r") for line in lines]
        expected = [start for start, fits in zip(expected, filled, strict=True) if fits]
    assert len(texts) == len(starts) == len(expected)
    assert [starts[at] for at in range(-len(expected), 0)] == expected
    assert list(starts) == expected
    assert [starts[at] for at in range(len(expected))] == expected


def test_asking_for_one_of_the_last_looks_at_no_other():
    file = SimpleNamespace(encoding=None)
    piece = piece_of([b"a" * 50, "é".encode(), b"\xff"])
    starts = Starts(file, piece, ["a" * 50, "é", "\udcff"])
    assert [starts[-1], starts[-2]] == [154, 151]
