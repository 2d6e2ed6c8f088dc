"""The mark before an offset is Fluent Bit's, so that either agent takes up the other's positions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.inputs.tail.marker import MARKER_BYTES, marker_of, xxh3


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, 14144645293874801883),
        (3, 6864218090047839419),
        (4, 6979084321315492338),
        (8, 4187271766389786872),
        (9, 16816763818684955100),
        (16, 9463720498221773019),
        (17, 11453570474087510824),
        (32, 3829001002278603781),
    ],
)
def test_the_hash_is_xxh3(size, expected):
    assert xxh3(bytes(range(size))) == expected


def test_nothing_before_the_offset_has_the_mark_0():
    assert marker_of(b"") == 0


@given(st.binary(min_size=1, max_size=MARKER_BYTES))
def test_every_mark_fits_a_signed_column(data):
    assert -(1 << 63) <= marker_of(data) < 1 << 63
