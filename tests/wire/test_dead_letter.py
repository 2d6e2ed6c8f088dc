"""Dead letters as JSON lines."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Group
from tailrace.model.extension import Extension
from tailrace.wire.dead_letter import (
    DeadLetter,
    DeadLetterError,
    decode,
    encode,
    read_time,
    time_text,
)

SECOND = 1_000_000_000
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.builds(Extension, st.integers(-128, 127), st.binary(max_size=5)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3).filter(lambda key: key[:1] != "$"), inner, max_size=3)
    ),
    max_leaves=6,
)
BODIES = st.dictionaries(st.text(max_size=4).filter(lambda key: key[:1] != "$"), VALUES, max_size=4)


def letter(**values):
    return DeadLetter("app", "es.0", "es", "mapping", 400, 2, **values)


@given(
    record=BODIES,
    metadata=BODIES,
    time=st.integers(-(1 << 40), 1 << 63),
    group=st.none() | st.builds(Group, BODIES, BODIES),
)
def test_a_letter_survives_the_round_trip(record, metadata, time, group):
    there = letter(record=record, metadata=metadata, time=time, group=group)
    assert decode(encode(there)) == there


def test_a_line_is_readable():
    line = encode(letter(record={"m": "caf\u00e9", "b": b"\xff"}, time=5 * SECOND, refused_at=1))
    assert json.loads(line) == {
        "refused_at": "1970-01-01T00:00:00.000000001Z",
        "output": "es.0",
        "plugin": "es",
        "reason": "mapping",
        "status": 400,
        "attempts": 2,
        "tag": "app",
        "time": "1970-01-01T00:00:05.000000000Z",
        "record": {"m": "caf\u00e9", "b": {"$bytes": "/w=="}},
    }
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1


def test_numbers_that_json_lacks_have_words():
    record = decode(encode(letter(record={"a": math.nan, "b": -math.inf}))).record
    assert math.isnan(record["a"])
    assert record["b"] == -math.inf


def test_text_that_is_no_unicode_survives():
    assert decode(encode(letter(record={"a": "\udc80"}))).record == {"a": "\udc80"}


def test_other_signals_are_packed():
    there = letter(kind="metrics", packed=b"\x00\xff")
    assert decode(encode(there)) == there


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"oops", "no JSON"),
        (b"[]", "no tag"),
        (b'{"tag": "t"}', "time"),
        (b'{"tag": "t", "time": "x", "record": {}}', "no time"),
        (b'{"tag": "t", "time": "2026-02-30T00:00:00Z", "record": {}}', "no time"),
        (b'{"tag": "t", "time": "2026-01-05T09:12:44Z", "record": 3}', "objects"),
        (b'{"tag": "t", "status": "x"}', "no whole number"),
        (b'{"tag": "t", "kind": "metrics", "packed": "?"}', "wrong"),
    ],
)
def test_what_is_no_letter_is_told(line, what):
    with pytest.raises(DeadLetterError, match=what):
        decode(line)


@given(st.binary(max_size=60) | st.from_regex(rb'\{"tag":"t"[^\n]{0,40}', fullmatch=True))
def test_any_line_is_a_letter_or_the_declared_error(line):
    with contextlib.suppress(DeadLetterError):
        decode(line)


def test_a_mended_time_may_lack_its_fraction():
    assert read_time("1970-01-01T00:01:00Z") == 60 * SECOND
    assert read_time(time_text(123)) == 123


@pytest.mark.parametrize(
    "group",
    [
        5,
        {},
        {"metadata": {}},
        {"metadata": {}, "attributes": 5},
        {"metadata": [], "attributes": {}},
    ],
)
def test_a_group_that_is_none_is_told(group):
    line = {"tag": "t", "time": "1970-01-01T00:00:00Z", "record": {}, "group": group}
    with pytest.raises(DeadLetterError):
        decode(json.dumps(line).encode())
