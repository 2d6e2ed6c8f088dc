"""Chunks as lines of JSON with the date in front."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Chunk, Group, merge
from tailrace.testing import EPOCH_NS, chunk_of
from tailrace.wire.records import join, record_encoder, text_encoder

SECONDS = EPOCH_NS // 1_000_000_000
formats = st.sampled_from(["double", "epoch", "epoch_ms", "iso8601", "java_sql_timestamp"])
keys = st.text(max_size=4).filter(lambda key: key.lower() not in ("", "false", "off", "no"))


@given(
    st.lists(st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=3), max_size=4),
    keys,
    formats,
)
def test_a_record_is_its_body_with_the_date_first(bodies, key, date_format):
    lines = record_encoder(key, date_format)(chunk_of(bodies))
    for line, body in zip(lines, bodies, strict=True):
        read = json.loads(line)
        assert {**read, **body} == read
        assert set(read) == {key, *body}
        assert key in body or next(iter(read)) == key


@given(st.lists(st.text(max_size=8), max_size=4), st.sampled_from(["log", "date"]), formats)
def test_raw_lines_are_printed_as_decoded_ones_and_stay_raw(texts, key, date_format):
    times = [EPOCH_NS + number for number in range(len(texts))]
    raw = Chunk.of_lines("t", times, key, texts, 1)
    encode = record_encoder("date", date_format)
    assert encode(raw) == encode(Chunk("t", times, [{key: text} for text in texts]))
    assert not raw.decoded


@pytest.mark.parametrize("key", ["false", "False", "off", "no", ""])
def test_a_date_key_that_is_off_leaves_the_time_out(key):
    encode = record_encoder(key, "double")
    assert encode(chunk_of([{"a": 1}])) == [b'{"a":1}']
    assert encode(Chunk.of_lines("t", [1], "log", ["x"], 1)) == [b'{"log":"x"}']


@pytest.mark.parametrize("name", ["epoch", "EPOCH"])
def test_a_format_is_known_in_any_case(name):
    assert record_encoder("date", name)(chunk_of([{}])) == [b'{"date":%d}' % SECONDS]


@pytest.mark.parametrize("name", ["", "none such"])
def test_an_unknown_format_counts_as_double(name):
    assert record_encoder("date", name)(chunk_of([{}])) == [b'{"date":%d.0}' % SECONDS]


@pytest.mark.parametrize(("escape", "text"), [(True, b'"\\u00e9"'), (False, '"é"'.encode())])
def test_unicode_is_escaped_as_asked_for(escape, text):
    assert record_encoder("false", "", escape)(chunk_of([{"a": "é"}])) == [b'{"a":' + text + b"}"]


@pytest.mark.parametrize(
    ("layout", "text"),
    [("json", b"[{},{}]"), ("json_lines", b"{}\n{}\n"), ("json_stream", b"{}{}")],
)
def test_each_layout_joins_records_its_own_way(layout, text):
    assert join([b"{}", b"{}"], layout) == text


@pytest.mark.parametrize(
    ("layout", "text"), [("json", b"[]"), ("json_lines", b""), ("json_stream", b"")]
)
def test_no_records_are_no_lines(layout, text):
    assert join([], layout) == text


LAYOUTS = ("json", "json_lines", "json_stream")
moments = st.integers(10**18, 2 * 10**18) | st.integers(0, 10**10)
fields = st.dictionaries(
    st.sampled_from(["a", "date", "é"]), st.integers() | st.text(max_size=4), max_size=3
)


@given(
    st.lists(st.tuples(moments, fields), max_size=4),
    st.sampled_from(["date", "false"]),
    formats,
    st.sampled_from(LAYOUTS),
    st.booleans(),
)
def test_text_is_what_records_give_joined(events, key, date_format, layout, escape):
    chunk = Chunk("t", [time for time, _ in events], [body for _, body in events])
    expected = join(record_encoder(key, date_format, escape)(chunk), layout)
    assert text_encoder(key, date_format, layout, escape)(chunk) == expected


@given(
    st.lists(st.tuples(moments, st.integers(1, 20)), min_size=1, max_size=4),
    st.lists(fields, min_size=1, max_size=3),
    st.sampled_from(["date", "é"]),
    formats,
    st.sampled_from(LAYOUTS),
    st.booleans(),
)
def test_runs_of_equal_times_are_printed_as_others_are(
    runs, some, key, date_format, layout, escape
):
    times = [time for time, length in runs for _ in range(length)]
    chunk = Chunk("t", times, [some[index % len(some)] for index in range(len(times))])
    expected = join(record_encoder(key, date_format, escape)(chunk), layout)
    assert text_encoder(key, date_format, layout, escape)(chunk) == expected


@given(
    st.lists(st.binary(max_size=6).filter(lambda line: b"\n" not in line), min_size=1, max_size=4),
    st.lists(moments, min_size=1, max_size=2),
    st.sampled_from(["date", "log", "false"]),
    formats,
    st.sampled_from(LAYOUTS),
)
def test_a_block_is_printed_as_its_lines_are(lines, some, key, date_format, layout):
    times = [some[number % len(some)] for number in range(len(lines))]
    block = Chunk.of_block("t", times, "log", b"\n".join(lines))
    texts = [line.decode("utf-8", "surrogateescape") for line in lines]
    expected = record_encoder(key, date_format)(Chunk.of_lines("t", times, "log", texts, 1))
    assert text_encoder(key, date_format, layout)(block) == join(expected, layout)
    assert not block.decoded


@given(
    st.lists(st.lists(st.text(max_size=4), min_size=1, max_size=3), min_size=1, max_size=3),
    st.sampled_from(["date", "false"]),
    st.sampled_from(LAYOUTS),
)
def test_merged_blocks_are_printed_as_their_events_are(groups, key, layout):
    groups = [[line.replace("\n", "") for line in group] for group in groups]
    blocks = [
        Chunk.of_block("t", [EPOCH_NS + n] * len(group), "log", "\n".join(group).encode())
        for n, group in enumerate(groups)
    ]
    merged, encode = merge(blocks), text_encoder(key, "double", layout)
    decoded = Chunk("t", list(merged.times), [{"log": line} for group in groups for line in group])
    assert encode(merged) == encode(decoded)
    merged.times = [EPOCH_NS] * merged.count
    decoded.times = [EPOCH_NS] * merged.count
    assert encode(merged) == encode(decoded)


# Metadata and groups


def chunk_with_internals():
    chunk = chunk_of([{"a": 1}, {"a": 2}, {}, {}], metadata=[{"m": 1}, {}, {}, {}])
    shop = Group({"schema": "otlp"}, {"resource": {"name": "shop"}})
    chunk.groups = [None, shop, shop, Group({"schema": "otlp"}, {})]
    return chunk


INTERNALS = [
    b'"__internal__":{"log_metadata":{"m":1}},"a":1}',
    b'"__internal__":{"group_attributes":{"resource":{"name":"shop"}},"log_metadata":{}},"a":2}',
    b'"__internal__":{"group_attributes":{"resource":{"name":"shop"}},"log_metadata":{}}}',
    b"}",
]


def test_metadata_and_groups_stand_behind_the_date():
    chunk = chunk_with_internals()
    dates = [b'{"date":%d' % (SECONDS + number) for number in range(4)]
    separators = [b",", b",", b",", b""]
    expected = [b"".join(parts) for parts in zip(dates, separators, INTERNALS, strict=True)]
    assert record_encoder("date", "epoch")(chunk) == expected
    assert text_encoder("date", "epoch", "json_lines")(chunk) == b"\n".join([*expected, b""])
    assert chunk.bodies[0] == {"a": 1}


def test_metadata_and_groups_come_first_where_there_is_no_date():
    chunk = chunk_with_internals()
    expected = [b"{" + internal for internal in INTERNALS]
    assert record_encoder("false", "")(chunk) == expected
    assert text_encoder("false", "", "json")(chunk) == b"[" + b",".join(expected) + b"]"


def test_raw_lines_with_metadata_keep_it():
    chunk = Chunk.of_lines("t", [EPOCH_NS], "log", ["x"], 1)
    chunk.metadata = [{"cut": True}]
    assert record_encoder("false", "")(chunk) == [
        b'{"__internal__":{"log_metadata":{"cut":true}},"log":"x"}'
    ]


def test_a_large_group_stands_at_its_first_record():
    chunk = chunk_of([{"n": number} for number in range(100)])
    chunk.groups = [Group({}, {"resource": {"name": "x" * (1 << 20)}})] * 100
    first, *others = record_encoder("false", "")(chunk)
    assert len(first) > 1 << 20
    assert others[-1] == b'{"n":99}'
