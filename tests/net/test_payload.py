"""Records of plain sockets."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import ConfigError
from tailrace.config.errors import Problems
from tailrace.net.payload import (
    PayloadOptions,
    Piece,
    address_of,
    make_payload,
    read_kibibytes,
    unescape,
)
from tailrace.testing import FakeContext, entries_of


def payload(section=""):
    options = PayloadOptions.read(entries_of(section), Problems(), "test")
    return make_payload(options, FakeContext())


def read_in_parts(reader, parts):
    """All records when the bytes come in these parts."""
    rest, records, refused = b"", [], 0
    for part in parts:
        taken = reader.take(rest + part)
        rest, refused = taken.rest, refused + taken.refused
        records += taken.records
    return records, rest, refused


@given(data=st.binary(max_size=100))
def test_no_bytes_break_a_reader(data):
    for section in ("", "format none", "format none\nseparator \\xff"):
        reader = payload(section)
        for taken in (reader.take(data), reader.take_all(data)):
            assert len(taken.rest) <= len(data)
            reader.chunk("t", [Piece("", taken.records)])
        assert reader.take_all(data).rest == b""


BODIES = st.lists(
    st.dictionaries(st.text(max_size=3), st.integers(-9, 9) | st.text(max_size=3), max_size=3),
    max_size=5,
)


@given(
    bodies=BODIES, cuts=st.lists(st.integers(0, 99), max_size=4), sep=st.sampled_from(["\n", ""])
)
def test_where_the_bytes_are_cut_makes_no_difference(bodies, cuts, sep):
    from tailrace.wire.json import encode

    data = b"".join(encode(body) + sep.encode() for body in bodies)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[start:end] for start, end in itertools.pairwise(edges)]
    assert read_in_parts(payload(), parts) == (bodies, b"", 0)


@pytest.mark.parametrize(
    ("data", "long"), [(b"a" * 1024, False), (b"a" * 1025, True), (b"a\n" * 5000, False)]
)
def test_a_long_record_is_one_without_a_separator_for_longer_than_the_limit(data, long):
    assert payload("buffer_size 1").has_long_record(data) is long


@pytest.mark.parametrize(
    ("written", "bytes_"), [("64", 65536), ("0", 0), ("2k", 2048), ("1M", 1 << 20)]
)
def test_sizes_count_kibibytes(written, bytes_):
    assert read_kibibytes(written) == bytes_


def test_a_size_that_is_none_is_an_error():
    with pytest.raises(ConfigError, match="many"):
        read_kibibytes("many")


def test_escapes_of_a_separator_stand_for_characters():
    assert unescape(r"\r\n|\x1e\\") == "\r\n|\x1e\\"


def test_addresses_are_written_as_in_fluent_bit():
    assert address_of("tcp", ("::1", 5, 0, 0)) == "tcp://::1:5"
    assert address_of("tcp", "") == ""


DATAGRAMS = st.lists(
    st.sampled_from(
        [b'{"a":1}', b'{"b":2}\n', b'{"a":', b"1}", b'{"c":3}{"d":4}', b"[5]", b"x", b"", b"7"]
    )
    | st.binary(max_size=5),
    max_size=6,
)


@pytest.mark.parametrize("section", ["", "format none"])
@given(datagrams=DATAGRAMS)
def test_datagrams_read_together_give_what_each_gives(section, datagrams):
    reader = payload(section)
    assert reader.take_each(datagrams) == [reader.take_all(data) for data in datagrams]
