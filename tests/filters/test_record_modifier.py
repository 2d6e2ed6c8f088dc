import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError
from tailrace.testing import FakeContext, chunk_of, make_plugin, run_filter


def items(section, body):
    [out] = run_filter("record_modifier", section, body)
    return list(out.items())


BODY = {"a": 1, "Ab": 2, "c": 3}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("record x 1", {**BODY, "x": "1"}),
        ('record x "two words"', {**BODY, "x": "two words"}),
        ("record a new", {"Ab": 2, "c": 3, "a": "new"}),
        ("remove_key c", {"a": 1, "Ab": 2}),
        ("remove_key AB", {"a": 1, "c": 3}),
        ("remove_key a*", {"c": 3}),
        ("allowlist_key a", {"a": 1}),
        ("allowlist_key A*\nwhitelist_key c", BODY),
        ("allowlist_key c\nrecord x 1", {"c": 3, "x": "1"}),
    ],
)
def test_fields_are_appended_removed_or_kept(section, expected):
    assert items(section, dict(BODY)) == list(expected.items())


def test_an_event_of_which_nothing_is_left_is_dropped_with_its_time():
    plugin = make_plugin("filter", "record_modifier", "remove_key a")
    chunk = chunk_of([{"a": 1}, {"a": 1, "b": 2}, {"a": 3}])
    times = chunk.times
    out = plugin.process(chunk)
    assert (out.bodies, out.times) == ([{"b": 2}], [times[1]])


def test_each_event_gets_a_random_uuid_of_its_own():
    out = run_filter("record_modifier", "uuid_key id", {"a": 1}, {"a": 2})
    found = {uuid.UUID(body["id"]) for body in out}
    assert len(found) == 2
    assert {each.version for each in found} == {4}


def test_a_record_of_other_than_two_words_is_passed_over_with_an_error():
    context = FakeContext()
    assert run_filter("record_modifier", "record x 1 2", {"a": 1}, context=context) == [{"a": 1}]
    assert [level for level, _ in context.sink.messages] == ["error"]


def test_removing_and_allowing_exclude_each_other():
    with pytest.raises(ConfigError, match="exclude each other"):
        make_plugin("filter", "record_modifier", "remove_key a\nallowlist_key b")


KEYS = st.sampled_from(["a", "A", "ab", "c"])


@given(
    bodies=st.lists(st.dictionaries(KEYS, st.integers()), max_size=6),
    names=st.lists(KEYS, min_size=1, max_size=2),
    star=st.booleans(),
    keeps=st.booleans(),
)
def test_names_ignore_letter_case_and_a_star_stands_for_the_rest(bodies, names, star, keeps):
    option = "allowlist_key" if keeps else "remove_key"
    section = "\n".join(f"{option} {name}{'*' if star else ''}" for name in names)

    def named(key):
        word = key.lower()
        return any(
            word.startswith(name.lower()) if star else word == name.lower() for name in names
        )

    expected = [
        {key: value for key, value in body.items() if named(key) is keeps} for body in bodies
    ]
    if expected != bodies:
        expected = [body for body in expected if body]
    assert run_filter("record_modifier", section, *map(dict, bodies)) == expected


def test_an_event_without_fields_passes_where_nothing_is_removed():
    assert run_filter("record_modifier", "remove_key a", {}, {"b": 1}) == [{}, {"b": 1}]


def test_a_record_without_a_value_is_refused():
    with pytest.raises(ConfigError, match="'a' has no value"):
        make_plugin("filter", "record_modifier", "record a")
