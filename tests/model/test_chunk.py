"""Chunks: lists that belong together, decoded only when somebody looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import METRICS, Chunk, Decoded, Group, Receipt, merge
from tailrace.model.chunk import deep_copy

sizes = st.integers(0, 6)


def chunk_of(count, with_metadata=True):
    metadata = [{"m": n} for n in range(count)] if with_metadata else None
    return Chunk("t", list(range(count)), [{"n": n} for n in range(count)], metadata, 100 * count)


def rows(chunk):
    metadata = chunk.metadata or [None] * chunk.count
    return list(zip(chunk.times, chunk.bodies, metadata, strict=True))


def never():
    raise AssertionError("decoded")


def test_lines_stay_lines_until_somebody_looks():
    chunk = Chunk.of_lines("t", [1, 2], "log", ["a", "b"], 9)
    assert (len(chunk), chunk.nbytes, chunk.times, chunk.decoded) == (2, 9, [1, 2], False)
    assert chunk.bodies == [{"log": "a"}, {"log": "b"}]
    assert (chunk.decoded, chunk.lines) == (True, None)


def test_a_block_is_split_when_somebody_looks_at_its_lines():
    chunk = Chunk.of_block("t", [1, 1, 1], "log", b"a\n\n\xff\xc3\xa9")
    assert (len(chunk), chunk.nbytes, chunk.decoded) == (3, 7, False)
    assert chunk.lines == ["a", "", "\udcff\xe9"]
    assert chunk.block is not None
    assert chunk.bodies == [{"log": "a"}, {"log": ""}, {"log": "\udcff\xe9"}]
    assert (chunk.block, chunk.lines) == (None, None)


def test_merged_blocks_are_one_block():
    parts = [Chunk.of_block("t", [n, n], "log", b"a%d\nb" % n) for n in (1, 2)]
    merged = merge(parts)
    assert (merged.block, merged.times, merged.count) == (b"a1\nb\na2\nb", [1, 1, 2, 2], 4)
    mixed = merge([parts[0], Chunk.of_lines("t", [3], "log", ["c"], 2)])
    assert (mixed.block, mixed.lines) == (None, ["a1", "b", "c"])


@pytest.mark.parametrize("look", ["times", "metadata", "bodies"])
def test_packed_events_are_decoded_once_at_the_first_look(look):
    calls = []

    def decode(packed, count):
        calls.append(packed)
        return Decoded([5], [{"m": 1}], [{"n": 1}])

    chunk = Chunk.of_packed("t", b"xyz", 1, decode)
    assert (len(chunk), chunk.nbytes, calls) == (1, 3, [])
    getattr(chunk, look)
    assert rows(chunk) == [(5, {"n": 1}, {"m": 1})]
    assert (calls, chunk.packed) == ([b"xyz"], None)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("times", [9], (9, {"n": 1}, {"m": 1})),
        ("metadata", [{"x": 1}], (5, {"n": 1}, {"x": 1})),
        ("bodies", [{"x": 1}], (5, {"x": 1}, {"m": 1})),
    ],
)
def test_what_is_set_before_packed_events_are_opened_counts(name, value, expected):
    group = Group({}, {"g": 1})
    chunk = Chunk.of_packed("t", b"x", 1, lambda *_: Decoded([5], [{"m": 1}], [{"n": 1}], [group]))
    setattr(chunk, name, value)
    assert (rows(chunk), chunk.groups) == ([expected], [group])


def test_a_deferred_chunk_has_its_count_before_its_content():
    chunk = Chunk("t", [], [])
    chunk.defer(2, lambda: Decoded([1, 2], None, [{}, {"a": 1}]))
    assert (len(chunk), chunk.decoded) == (2, False)
    assert chunk.bodies == [{}, {"a": 1}]


def test_counting_and_tagging_do_not_look():
    chunk = Chunk.of_packed("t", b"x", 3, lambda packed, count: never())
    assert (len(chunk.with_tag("u")), chunk.tag) == (3, "u")


def test_new_bodies_take_the_place_of_raw_lines():
    chunk = Chunk.of_lines("t", [1], "log", ["a"], 1)
    chunk.bodies = [{"x": 1}]
    assert (chunk.bodies, chunk.lines, chunk.count) == ([{"x": 1}], None, 1)


@given(st.lists(st.booleans(), max_size=6), st.booleans())
def test_selecting_keeps_whole_rows_and_their_share_of_the_size(mask, with_metadata):
    chunk = chunk_of(len(mask), with_metadata)
    kept = [row for row, chosen in zip(rows(chunk), mask, strict=True) if chosen]
    assert rows(chunk.select(iter(mask))) == kept
    assert chunk.count == len(kept)
    assert chunk.nbytes == 100 * len(kept)


@given(st.lists(st.sampled_from("abc"), max_size=6), st.booleans())
def test_splitting_loses_nothing_and_keeps_the_order(keys, with_metadata):
    chunk = chunk_of(len(keys), with_metadata)
    chunk.receipt, chunk.hops = Receipt(), 2
    before = rows(chunk)
    parts = chunk.split(keys)
    assert list(parts) == list(dict.fromkeys(keys))
    for key, part in parts.items():
        assert rows(part) == [row for row, own in zip(before, keys, strict=True) if own == key]
        assert (part.tag, part.receipt, part.hops) == ("t", chunk.receipt, 2)


@given(sizes, st.integers(0, 7), st.integers(0, 7))
def test_a_slice_is_a_slice_of_every_list(count, start, end):
    chunk = chunk_of(count)
    assert rows(chunk.slice(start, end)) == rows(chunk)[start:end]


@given(st.lists(sizes, min_size=1, max_size=4), st.data())
def test_merging_joins_the_rows_in_order(counts, data):
    chunks = [chunk_of(count, data.draw(st.booleans())) for count in counts]
    has_metadata = any(chunk.metadata is not None for chunk in chunks)
    expected = [
        (time, body, (meta or {}) if has_metadata else None)
        for chunk in chunks
        for time, body, meta in rows(chunk)
    ]
    merged = merge(chunks)
    if merged.metadata is not None:
        assert [row[2] for row in rows(merged)] == [row[2] for row in expected]
    assert [row[:2] for row in rows(merged)] == [row[:2] for row in expected]


def test_merged_lines_of_one_key_stay_lines():
    parts = [Chunk.of_lines("t", [n], "log", [f"line {n}"], 5) for n in (1, 2)]
    merged = merge(parts)
    assert (merged.decoded, merged.lines, merged.nbytes) == (False, ["line 1", "line 2"], 10)
    assert merged.times == [1, 2]


def test_merged_packed_events_stay_packed_if_they_are_of_one_form():
    def decode(packed, count):
        return Decoded([1] * (len(packed) // 3), None, [{}] * (len(packed) // 3))

    def other(packed, count):
        return decode(packed, count)

    one = Chunk.of_packed("t", b"\x92\x92a", 1, decode)
    two = Chunk.of_packed("t", b"\x92\x92b\x92\x92c", 2, decode)
    merged = merge([one, two])
    assert (merged.packed, merged.count, merged.nbytes) == (b"\x92\x92a\x92\x92b\x92\x92c", 3, 9)
    assert len(merged.times) == 3
    for third in (
        Chunk.of_packed("t", b"\x92\xd7a", 1, decode),
        Chunk.of_packed("t", b"\x92\x92a", 1, other),
        Chunk("t", [1], [{}]),
    ):
        mixed = merge([Chunk.of_packed("t", b"\x92\x92a", 1, decode), third])
        assert (mixed.packed, mixed.bodies) == (None, [{}, {}])


@pytest.mark.parametrize(("nbytes", "has_parts"), [(100, False), (20_000, True)])
def test_merged_packed_events_are_opened_in_parts_if_those_are_large(nbytes, has_parts):
    chunks = [Chunk.of_packed("t", b"\x92" * nbytes, 1, max) for _ in range(3)]
    merged = merge(chunks)
    assert merged.parts == (chunks if has_parts else None)


def test_merged_lines_of_two_keys_keep_their_own():
    merged = merge([Chunk.of_lines("t", [1], key, ["x"], 1) for key in ("log", "msg")])
    assert merged.bodies == [{"log": "x"}, {"msg": "x"}]


def test_merged_events_share_no_metadata():
    merged = merge([Chunk("t", [1, 2], [{}, {}]), Chunk("t", [3], [{}], [{"m": 1}])])
    merged.metadata[0]["a"] = 1
    assert merged.metadata == [{"a": 1}, {}, {"m": 1}]


def test_a_copy_shares_no_lists_and_a_deep_one_no_bodies():
    chunk = Chunk("t", [1], [{"a": {"b": [1]}}], [{"m": {}}])
    flat, deep = chunk.copy(), chunk.copy(deep=True)
    deep.bodies[0]["a"]["b"].append(2)
    deep.metadata[0]["m"]["x"] = 1
    flat.bodies.append({})
    flat.times.append(2)
    assert rows(chunk) == [(1, {"a": {"b": [1]}}, {"m": {}})]
    assert flat.bodies[0] is chunk.bodies[0]


def test_a_copy_came_the_way_of_the_first():
    chunk = chunk_of(2)
    chunk.receipt, chunk.trace, chunk.stream = "receipt", "trace", "file"
    chunk.passed_by, chunk.hops = ("joiner",), 3
    twin = chunk.copy(deep=True)
    assert (twin.receipt, twin.trace, twin.stream) == ("receipt", "trace", "file")
    assert (twin.passed_by, twin.hops) == (("joiner",), 3)


def test_metadata_is_made_when_it_is_to_be_written():
    chunk = chunk_of(2, with_metadata=False)
    chunk.metadata_list()[1]["m"] = 1
    assert chunk.metadata == [{}, {"m": 1}]


def test_a_payload_is_counted_by_its_items():
    chunk = Chunk.of_payload("t", METRICS, object(), 7, 50)
    assert (len(chunk), chunk.kind, chunk.nbytes) == (7, METRICS, 50)


def test_a_deep_copy_is_equal_and_shares_only_leaves():
    leaf = object()
    body = {"a": [{"b": leaf}]}
    twin = deep_copy(body)
    assert twin == body
    assert twin["a"][0] is not body["a"][0]
    assert twin["a"][0]["b"] is leaf


# Groups: what several events share


def grouped(*numbers):
    """A chunk with an event in the group of each number (0: in none), and those groups."""
    groups = {number: Group({}, {"resource": number}) for number in numbers if number}
    chunk = chunk_of(len(numbers))
    chunk.groups = [groups.get(number) for number in numbers]
    return chunk, groups


def numbers_of(chunk):
    return [
        group.body["resource"] if group else 0 for group in chunk.groups or [None] * chunk.count
    ]


@given(st.lists(st.integers(0, 2), max_size=6), st.data())
def test_events_keep_their_groups_where_some_are_chosen(numbers, data):
    chunk, groups = grouped(*numbers)
    mask = [data.draw(st.booleans()) for _ in numbers]
    start, end = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 6))
    assert numbers_of(chunk.slice(start, end)) == numbers[start:end]
    for key, part in chunk.split(mask).items():
        assert numbers_of(part) == [n for n, own in zip(numbers, mask, strict=True) if own == key]
    kept = chunk.copy(deep=True).select(mask)
    assert numbers_of(kept) == [n for n, own in zip(numbers, mask, strict=True) if own]
    assert all(group is groups[group.body["resource"]] for group in kept.groups or [] if group)
    assert numbers_of(chunk) == numbers


@given(st.lists(st.lists(st.integers(0, 2), max_size=3), min_size=1, max_size=3))
def test_merged_chunks_keep_the_groups_of_each(all_numbers):
    merged = merge([grouped(*numbers)[0] for numbers in all_numbers])
    assert numbers_of(merged) == [number for numbers in all_numbers for number in numbers]


def test_no_groups_are_none_at_all():
    chunk, _ = grouped(0, 1, 0)
    assert chunk.slice(0, 1).groups is None
    assert chunk.select([True, False, True]).groups is None


def test_raw_lines_in_a_group_are_decoded():
    chunk = Chunk.of_lines("t", [1], "log", ["a"], 1)
    chunk.groups = [Group({}, {"resource": 1})]
    whole = merge([chunk, Chunk.of_lines("t", [2], "log", ["b"], 1)])
    assert (whole.bodies, numbers_of(whole)) == ([{"log": "a"}, {"log": "b"}], [1, 0])


def test_a_sealed_chunk_keeps_its_groups():
    chunk, _ = grouped(1, 1, 0)
    given_events = []

    def encode(*events):
        given_events.append(Decoded(*events))
        return b"packed"

    chunk.seal(encode, lambda packed, count: given_events[0])
    assert (chunk.packed, chunk.decoded) == (b"packed", False)
    assert numbers_of(chunk) == [1, 1, 0]


def test_a_small_part_of_a_large_group_is_not_sealed():
    chunk, _ = grouped(1, 1)
    chunk.nbytes = 100
    chunk.seal(lambda *events: b"x" * 10_000, lambda packed, count: pytest.fail("sealed"))
    assert chunk.decoded


def test_a_stub_brings_its_payload_when_somebody_looks_and_its_twin_leaves_it_alone():
    brought = []

    def bring():
        brought.append(1)
        return "payload"

    stub = Chunk.of_stub("t", METRICS, 3, bring)
    assert (stub.count, stub.is_deferred, stub.decoded, brought) == (3, True, False, [])
    twin = stub.unopened()
    assert (twin.payload, twin.kind, twin.count, twin.is_deferred) == ("payload", METRICS, 3, False)
    assert (stub.is_deferred, brought) == (True, [1])
    stub.open()
    assert (stub.payload, stub.is_deferred, brought) == ("payload", False, [1, 1])
    assert stub.unopened() is stub
