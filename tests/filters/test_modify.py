import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.filters.modify import make_step
from tailrace.testing import FakeContext, make_plugin, run_filter


def changed(section, body):
    """The fields after the rules, in their order."""
    [out] = run_filter("modify", section, body)
    return list(out.items())


ABC = {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("set a x", {"b": 2, "c": 3, "a": "x"}),
        ("set d x", {"a": 1, "b": 2, "c": 3, "d": "x"}),
        ('set d "two words"', {"a": 1, "b": 2, "c": 3, "d": "two words"}),
        ("add a x", ABC),
        ("add d x", {**ABC, "d": "x"}),
        ("remove b", {"a": 1, "c": 3}),
        ("remove x", ABC),
        ("remove_wildcard b", {"a": 1, "c": 3}),
        ("remove_wildcard b*", ABC),
        ("remove_regex ^[ac]$", {"b": 2}),
        ("rename a x", {"x": 1, "b": 2, "c": 3}),
        ("rename a b", ABC),
        ("rename x y", ABC),
        ("hard_rename a b", {"b": 1, "c": 3}),
        ("hard_rename a a", ABC),
        ("copy a x", {"a": 1, "x": 1, "b": 2, "c": 3}),
        ("copy a c", ABC),
        ("hard_copy a c", {"a": 1, "c": 1, "b": 2}),
        ("hard_copy b b", ABC),
        ("move_to_start c", {"c": 3, "a": 1, "b": 2}),
        ("move_to_end a", {"b": 2, "c": 3, "a": 1}),
    ],
)
def test_each_rule_changes_the_fields_and_their_order(rule, expected):
    assert changed(rule, dict(ABC)) == list(expected.items())


def test_a_wildcard_takes_all_keys_that_begin_so():
    body = {"k8s_a": 1, "x": 2, "k8s_b": 3}
    assert changed("remove_wildcard k8s_", body) == [("x", 2)]
    assert changed("move_to_end k8s_", body) == [("x", 2), ("k8s_a", 1), ("k8s_b", 3)]


def test_rules_are_done_in_the_order_they_are_written():
    assert changed("add x 1\nrename x y\nadd x 2", {}) == [("y", "1"), ("x", "2")]
    assert changed("rename x y\nadd x 1", {}) == [("x", "1")]


CONDITIONS = [
    ("key_exists a", [True, True, True, False]),
    ("key_does_not_exist a", [False, False, False, True]),
    ("a_key_matches ^b", [False, False, True, True]),
    ("no_key_matches ^b", [True, True, False, False]),
    ("key_value_equals a x", [True, False, False, False]),
    ("key_value_does_not_equal a x", [False, True, True, False]),
    ("key_value_matches a ^(x|tr)", [True, True, False, False]),
    ("key_value_does_not_match a ^(x|tr)", [False, False, True, False]),
    ("matching_keys_have_matching_values ^b ^y", [True, True, True, False]),
    ("matching_keys_do_not_have_matching_values ^b ^y", [False, False, False, True]),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_rules_are_done_where_the_condition_holds(condition, expected):
    bodies = ({"a": "x"}, {"a": True}, {"a": 5, "b": "y"}, {"b": "x"})
    out = run_filter("modify", f"condition {condition}\nset hit yes", *bodies)
    assert ["hit" in body for body in out] == expected


def test_all_conditions_must_hold():
    section = "condition key_exists a\ncondition key_exists b\nremove a"
    assert run_filter("modify", section, {"a": 1}, {"a": 1, "b": 2}) == [{"a": 1}, {"b": 2}]


def test_a_condition_may_look_into_maps_and_lists():
    section = "condition key_value_equals $k['l'][1] x\nset hit yes"
    out = run_filter("modify", section, {"k": {"l": ["a", "x"]}}, {"k": {"l": ["x"]}}, {"k": 1})
    assert ["hit" in body for body in out] == [True, False, False]


@pytest.mark.parametrize(
    "section",
    [
        "condition nosuch a",
        "condition key_exists",
        "condition key_value_matches a (",
        "condition key_exists $[",
        "remove_regex (",
        "remove_wildcard *",
    ],
)
def test_what_will_not_do_is_refused(section):
    with pytest.raises(ConfigError):
        make_plugin("filter", "modify", section)


def test_a_condition_without_a_value_means_the_empty_text():
    out = run_filter("modify", "condition key_value_equals a\nset hit yes", {"a": ""}, {"a": "x"})
    assert ["hit" in body for body in out] == [True, False]


def test_a_star_that_is_none_is_warned_of():
    context = FakeContext()
    section = "remove_wildcard a*\nset b 1"
    out = run_filter("modify", section, {"ab": 1, "a*b": 1}, context=context)
    assert out == [{"ab": 1, "b": "1"}]
    assert "as: remove_wildcard a." in context.sink.messages[0][1]


@pytest.mark.parametrize("rule", ["set a", "set a b c", "remove", "remove a b", "rename a"])
def test_a_rule_of_too_many_or_few_words_is_refused(rule):
    with pytest.raises(InvalidConfiguration):
        make_plugin("filter", "modify", rule)


KEYS = st.sampled_from(["a", "b", "ab", "c"])
RULES = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["set", "add", "rename", "hard_rename", "copy", "hard_copy"]),
            KEYS,
            KEYS,
        ),
        st.tuples(
            st.sampled_from(["remove", "remove_wildcard", "move_to_start", "move_to_end"]), KEYS
        ),
    ),
    min_size=1,
    max_size=4,
)


@given(rules=RULES, bodies=st.lists(st.dictionaries(KEYS, st.integers()), max_size=6))
def test_the_generated_code_does_what_the_steps_do_one_by_one(rules, bodies):
    steps = [make_step(rule[0], list(rule[1:])) for rule in rules]
    expected = [dict(body) for body in bodies]
    for body in expected:
        for step in steps:
            step(body)
    out = run_filter("modify", "\n".join(" ".join(rule) for rule in rules), *map(dict, bodies))
    assert [list(body.items()) for body in out] == [list(body.items()) for body in expected]
