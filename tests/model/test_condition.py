"""Conditions of processors and routes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Group
from tailrace.model.condition import OPERATORS, Condition, ConditionError
from tailrace.model.regex import RegexTimeout

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def holds(op, wanted, body, field="$a"):
    rule = {"field": field, "op": op, "value": wanted}
    [found] = Condition.parse({"rules": [rule]}).mask([body], None)
    return found


def rule(field, value, **more):
    return {"field": field, "op": "eq", "value": value, **more}


@pytest.mark.parametrize(
    ("op", "wanted", "yes", "no"),
    [
        ("eq", "x", "x", "y"),
        ("neq", "x", "y", "x"),
        ("gt", 5, 6, 5),
        ("gte", 5, 5, 4),
        ("lt", 5, 4, 5),
        ("lte", 5, 5, 6),
        ("regex", "^e", "err", "the"),
        ("not_regex", "^e", "the", "err"),
        ("in", ["x", "y"], "y", "z"),
        ("not_in", ["x", "y"], "z", "y"),
    ],
)
def test_each_operator_tells_two_values_apart(op, wanted, yes, no):
    assert holds(op, wanted, {"a": yes})
    assert not holds(op, wanted, {"a": no})


@pytest.mark.parametrize(
    ("value", "text"), [(500, "500"), (True, "true"), (1.5, "1.500000"), (None, ""), ({}, "")]
)
def test_values_are_compared_as_text_whatever_their_type(value, text):
    assert holds("eq", text, {"a": value})
    assert holds("in", [text], {"a": value})
    assert not holds("neq", text, {"a": value})


@pytest.mark.parametrize("value", ["7", 7.0, 7])
def test_numbers_in_text_count_as_numbers(value):
    assert holds("gt", "6.5", {"a": value})
    assert not holds("gt", "7.5", {"a": value})


@pytest.mark.parametrize(
    ("value", "number"), [("12abc", 12), (" -3e1x", -30), ("x1", 0), (".5", 0.5)]
)
def test_a_text_is_a_number_as_far_as_it_goes(value, number):
    assert holds("gte", number, {"a": value})
    assert holds("lte", number, {"a": value})


@pytest.mark.parametrize(
    ("op", "wanted"), [("eq", ""), ("neq", "x"), ("not_in", ["x"]), ("not_regex", "x"), ("gte", -1)]
)
def test_no_rule_holds_for_a_list(op, wanted):
    assert not holds(op, wanted, {"a": ["y"]})


def test_a_missing_field_counts_as_empty_or_zero():
    assert holds("eq", "", {})
    assert holds("gte", 0, {})
    assert not holds("gt", 0, {})
    assert holds("lte", 0, {"a": "no number"})


def test_and_needs_all_rules_and_or_any():
    bodies = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 2}]
    rules = [rule("$a", 1), rule("$b", 1)]
    assert Condition.parse({"op": "and", "rules": rules}).mask(bodies, None) == [True, False, False]
    assert Condition.parse({"op": "OR", "rules": rules}).mask(bodies, None) == [True, True, False]
    assert Condition.parse({"rules": rules}).mask(bodies, None) == [True, False, False]


@pytest.mark.parametrize("context", ["metadata", "attributes"])
def test_a_rule_may_look_at_metadata(context):
    condition = Condition.parse({"rules": [rule("$k", "v", context=context)]})
    assert condition.mask([{"k": "v"}, {}], [{}, {"k": "v"}]) == [False, True]
    assert condition.mask([{"k": "v"}], None) == [False]


@pytest.mark.parametrize("context", ["", "body", "message", "record", None])
def test_a_rule_looks_at_the_body_otherwise(context):
    condition = Condition.parse({"rules": [rule("$k", "v", context=context)]})
    assert condition.mask([{"k": "v"}], [{"k": "x"}]) == [True]


def test_a_field_may_lie_deep():
    assert holds("eq", "x", {"a": {"b": ["x"]}}, "$a['b'][0]")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("text", "no condition"),
        ({"op": "xor", "rules": [rule("$a", 1)]}, "'xor' is not known"),
        ({}, "no rules"),
        ({"rules": []}, "no rules"),
        ({"rules": ["x"]}, "'x' is no rule"),
        ({"rules": [{"op": "eq"}]}, "is no rule"),
        ({"rules": [{"field": "$a", "op": "like"}]}, "'like' is not known"),
        ({"rules": [rule("$a[", 1)]}, "field: .*no accessor"),
        ({"rules": [rule("$a", 1, context="header")]}, "'header' is not known"),
        ({"rules": [{"field": "$a", "op": "gt", "value": "x"}]}, "needs a number, not 'x'"),
        ({"rules": [{"field": "$a", "op": "in", "value": "x"}]}, "needs a list of values, not 'x'"),
        ({"rules": [{"field": "$a", "op": "regex", "value": "("}]}, r"'\('"),
    ],
)
def test_what_is_wrong_is_said_when_it_is_read(value, what):
    with pytest.raises(ConditionError, match=what):
        Condition.parse(value)


@given(st.sampled_from(OPERATORS), anything, anything)
def test_any_condition_holds_or_not_or_is_refused(op, wanted, value):
    try:
        found = holds(op, wanted, {"a": value})
    except ConditionError:
        return
    opposite = {"eq": "neq", "in": "not_in", "regex": "not_regex"}.get(op)
    assert type(found) is bool
    if type(value) is list:
        assert not found
    elif opposite is not None:
        assert holds(opposite, wanted, {"a": value}) is not found


@given(anything)
def test_anything_in_yaml_is_a_condition_or_the_declared_error(value):
    for candidate in (value, {"rules": value}, {"rules": [value]}, {"op": value, "rules": [value]}):
        try:
            condition = Condition.parse(candidate)
        except ConditionError:
            continue
        assert len(condition.mask([{}], None)) == 1


SHOP = Group(
    {"schema": "otlp"},
    {
        "resource": {"attributes": {"service.name": "shop"}},
        "scope": {"name": "lib", "attributes": {"team": "core"}},
    },
)


@pytest.mark.parametrize(
    ("context", "field", "value"),
    [
        ("group_metadata", "$schema", "otlp"),
        ("group_attributes", "$scope['name']", "lib"),
        ("group_body", "$scope['name']", "lib"),
        ("otel_resource_attributes", "$service.name", "shop"),
        ("otel_scope_attributes", "$team", "core"),
        ("otel_scope_metadata", "$name", "lib"),
        ("otel_scope_name", "$name", "lib"),
        ("record_body", "$n", "1"),
        ("record_metadata", "$m", "1"),
    ],
)
def test_a_rule_may_look_into_the_group_of_an_event(context, field, value):
    groups = [SHOP, Group({}, {"scope": 5}), None]
    condition = Condition.parse({"rules": [rule(field, value, context=context)]})
    assert condition.mask([{"n": 1}, {}, {}], [{"m": 1}, {}, {}], groups) == [True, False, False]


@pytest.mark.parametrize("context", ["group_metadata", "group_body", "otel_scope_attributes"])
def test_no_rule_holds_where_there_is_no_group(context):
    rules = [{"field": "$x", "op": "neq", "value": "y", "context": context}]
    assert Condition.parse({"rules": rules}).mask([{}], None) == [False]


def test_resource_and_scope_of_an_event_without_group_may_stand_in_its_body():
    body = {"resource": {"attributes": {"a": "x"}}}
    rules = [rule("$a", "x", context="otel_resource_attributes")]
    assert Condition.parse({"rules": rules}).mask([body, {}], None) == [True, False]


def test_a_pattern_without_end_is_ended(monkeypatch):
    monkeypatch.setattr("tailrace.model.condition.CHUNK_SECONDS", 0.02)
    with pytest.raises(RegexTimeout):
        holds("regex", "^(a+)+$", {"a": "a" * 40 + "!"})


@pytest.mark.parametrize(
    ("number", "is_more"), [(10**400, True), (-(10**400), False)], ids=["above", "below"]
)
def test_a_number_beyond_floats_is_compared_all_the_same(number, is_more):
    assert holds("gt", 5, {"a": number}) is is_more
