import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.model.regex import RegexTimeout
from tailrace.testing import chunk_of, make_plugin, run_filter

LEVELS = ({"level": "error"}, {"level": "warn"}, {"level": "info"}, {"msg": "x"}, {"level": 5})


@pytest.mark.parametrize(
    ("section", "kept"),
    [
        ("regex level ^e", [0]),
        ("exclude level ^e", [1, 2, 3, 4]),
        ("regex level n|r\nexclude level warn", [0, 2]),
        ("regex level r\nregex level n", [1]),
        ("regex level ^err\nregex level ^inf\nlogical_op or", [0, 2]),
        ("regex level r\nregex level ^e\nlogical_op and", [0]),
        ("exclude level r\nexclude level n\nlogical_op and", [0, 2, 3, 4]),
        ("exclude level r\nexclude level n\nlogical_op or", [3, 4]),
        ("regex level .", [0, 1, 2]),
        ("regex level /^ERR/i", [0]),
        ("", [0, 1, 2, 3, 4]),
    ],
)
def test_it_keeps_what_the_rules_ask_for(section, kept):
    assert run_filter("grep", section, *LEVELS) == [LEVELS[index] for index in kept]


def test_a_field_may_be_nested_or_have_a_dot_in_its_name():
    bodies = ({"a": {"b": ["x", "y"]}}, {"a": "y"}, {"a.b": "y"})
    assert run_filter("grep", "regex $a['b'][1] y", *bodies) == [bodies[0]]
    assert run_filter("grep", "regex a.b y", *bodies) == [bodies[2]]


def test_times_and_metadata_stay_with_their_events():
    plugin = make_plugin("filter", "grep", "regex v ^x")
    chunk = chunk_of([{"v": "x"}, {"v": "y"}, {"v": "xx"}], metadata=[{"m": n} for n in range(3)])
    times = chunk.times
    out = plugin.process(chunk)
    assert out.times == [times[0], times[2]]
    assert out.metadata == [{"m": 0}, {"m": 2}]


def test_and_or_take_one_kind_of_rules():
    with pytest.raises(ConfigError, match="logical_op"):
        make_plugin("filter", "grep", "regex a x\nexclude b y\nlogical_op and")


@pytest.mark.parametrize("rule", ["regex a (", "exclude $[ x"])
def test_a_rule_that_is_none_is_refused(rule):
    with pytest.raises(ConfigError):
        make_plugin("filter", "grep", rule)


def test_a_rule_without_a_pattern_is_refused():
    with pytest.raises(InvalidConfiguration):
        make_plugin("filter", "grep", "regex a")


def test_a_pattern_that_never_ends_is_ended(monkeypatch):
    monkeypatch.setattr("tailrace.filters.grep.CHUNK_SECONDS", 0.05)
    plugin = make_plugin("filter", "grep", "regex a ^(x|xx)+$")
    with pytest.raises(RegexTimeout):
        plugin.process(chunk_of([{"a": "x" * 60 + "!"}]))


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr("tailrace.filters.grep.MOST_REMEMBERED", 10)
    plugin = make_plugin("filter", "grep", "regex a 1")
    bodies = [{"a": str(number)} for number in range(100)]
    expected = [body for body in bodies if "1" in body["a"]]
    assert plugin.process(chunk_of(bodies)).bodies == expected


VALUES = st.none() | st.integers() | st.text("ab1 ", max_size=4)


@given(
    bodies=st.lists(st.dictionaries(st.sampled_from("xy"), VALUES), max_size=8),
    rules=st.lists(
        st.tuples(
            st.sampled_from(["regex", "exclude"]),
            st.sampled_from("xy"),
            st.sampled_from(["a", "^b", "1$"]),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_the_fast_test_is_the_plain_one(bodies, rules):
    section = "\n".join(" ".join(rule) for rule in rules)

    def holds(body, field, pattern):
        value = body.get(field)
        return type(value) is str and re.search(pattern, value) is not None

    expected = [
        body
        for body in bodies
        if all(holds(body, *rule[1:]) is (rule[0] == "regex") for rule in rules)
    ]
    assert run_filter("grep", section, *bodies) == expected
