"""Which outputs a chunk goes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import Place, Problems
from tailrace.config.source import Section
from tailrace.engine.build import Instance
from tailrace.engine.router import (
    CACHED_TAGS,
    ConditionalRoute,
    TagTable,
    match_rule,
    read_routes,
    split_by_routes,
)
from tailrace.model.condition import Condition
from tailrace.model.traces import Traces, traces_chunk
from tailrace.testing import chunk_of, entries_of, make_plugin

OUTPUTS = {"a": "a", "b": "b", "null.1": "b", "null": "a"}
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["a", "logs", "$k", "eq"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["logs", "name", "to", "outputs", "condition", "default", "rules"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


def instance(section):
    made = make_plugin("output", "null", section)
    return Instance(
        "output", "null.0", made, made.context, Section("output", Place("f"), entries_of(section))
    )


def routes(value):
    problems = Problems()
    found = read_routes(value, Section("input", Place("f")), OUTPUTS, problems)
    return found, list(problems)


def when(key, value, *outputs):
    rule = {"field": key, "op": "eq", "value": value}
    return {"name": value, "condition": {"rules": [rule]}, "to": {"outputs": list(outputs)}}


def test_a_tag_finds_its_targets_in_the_order_of_the_rules():
    table = TagTable([(str.isalpha, "x"), (str.isdigit, "y"), (lambda tag: True, "z")])
    assert table.find("abc") == ("x", "z")
    assert table.find("12") == ("y", "z")


def test_a_tag_is_looked_up_once_while_it_is_known():
    asked = []
    table = TagTable([(lambda tag: asked.append(tag) or True, "x")])
    assert table.find("t") == table.find("t") == ("x",)
    assert asked == ["t"]


def test_the_memory_of_tags_is_bounded():
    table = TagTable([])
    for number in range(CACHED_TAGS * 2 + 5):
        table.find(str(number))
    assert len(table._known) <= CACHED_TAGS


@pytest.mark.parametrize(
    ("section", "takes"),
    [
        ("match app.*", ["app.x"]),
        ("match_regex ^(app|db)", ["app.x", "db"]),
        ("match db\nmatch_regex ^app", ["app.x", "db"]),
    ],
)
def test_an_instance_takes_what_its_match_says(section, takes):
    matches = match_rule(instance(section), False, Problems())
    assert [tag for tag in ("app.x", "db", "my.app") if matches(tag)] == takes


def test_an_instance_without_match_takes_all_if_it_is_alone_and_else_nothing():
    assert match_rule(instance(""), True, Problems())("any")
    assert match_rule(instance(""), False, Problems()) is None


def test_a_regex_that_can_not_be_used_is_told_with_its_place():
    problems = Problems()
    assert match_rule(instance("match x\nmatch_regex ("), False, problems) is None
    [problem] = problems
    assert problem.place == Place("test.conf", 2)


def test_an_event_goes_to_the_outputs_of_all_routes_that_hold():
    found, _ = routes(
        {"logs": [when("$k", "1", "a"), when("$k", "1", "b", "a"), when("$k", "2", "b")]}
    )
    chunk = chunk_of([{"k": 1}, {"k": 2}, {"k": 3}, {"k": 1}])
    parts = [(part.bodies, outputs) for part, outputs in split_by_routes(chunk, found)]
    assert parts == [
        ([{"k": 1}, {"k": 1}], ("a", "b")),
        ([{"k": 2}], ("b",)),
        ([{"k": 3}], ()),
    ]


def test_a_default_route_may_stand_first_and_takes_what_no_other_takes():
    default = {"condition": {"default": "true"}, "to": {"outputs": ["b"]}}
    found, _ = routes({"logs": [default, when("$k", "1", "a")]})
    chunk = chunk_of([{"k": 1}, {}])
    assert [outputs for _, outputs in split_by_routes(chunk, found)] == [("a",), ("b",)]


def test_a_condition_under_another_signal_holds_for_no_log():
    found, _ = routes({"metrics": [when("$k", "1", "a")], "any": [when("$k", "1", "b")]})
    assert [outputs for _, outputs in split_by_routes(chunk_of([{"k": 1}]), found)] == [("b",)]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"traces": [{"to": {"outputs": ["a"]}}], "logs": [{"to": {"outputs": ["b"]}}]}, ("a",)),
        (
            {"any": [{"to": {"outputs": ["a"]}}], "traces": [{"to": {"outputs": ["b", "a"]}}]},
            ("a", "b"),
        ),
        ({"logs": [{"to": {"outputs": ["b"]}}]}, ()),
        ({"traces": [when("$k", "1", "a")]}, ()),
    ],
)
def test_traces_go_to_the_default_routes_of_their_signal(value, names):
    found, _ = routes(value)
    chunk = traces_chunk("t", Traces())
    assert split_by_routes(chunk, found) == [(chunk, names)]


@pytest.mark.parametrize("default", [{}, {"condition": {"default": "true"}}])
def test_a_default_route_takes_what_is_left(default):
    found, _ = routes({"logs": [when("$k", "1", "a"), {**default, "to": {"outputs": ["b"]}}]})
    chunk = chunk_of([{"k": 1}, {}])
    assert [outputs for _, outputs in split_by_routes(chunk, found)] == [("a",), ("b",)]


def test_outputs_may_be_named_or_mapped():
    [route], problems = routes({"logs": [{"to": {"outputs": ["a", {"name": "b"}]}}]})
    assert (route.outputs, problems) == (("a", "b"), [])


def test_an_output_may_be_called_by_its_number_and_by_its_plugin():
    [route], _ = routes({"logs": [{"to": {"outputs": ["null.1", "null", "b"]}}]})
    assert route.outputs == ("b", "a")


def test_a_fallback_takes_the_place_of_an_output_that_is_not_there():
    to = {"outputs": [{"name": "none", "fallback": "b"}, {"name": "a", "fallback": "b"}]}
    [route], [problem] = routes({"logs": [{"name": "r", "to": to}]})
    assert route.outputs == ("b", "a")
    assert "its fallback is taken" in problem.what


def test_an_output_that_is_not_there_is_left_out_with_a_warning():
    [route], [problem] = routes({"logs": [{"name": "r", "to": {"outputs": ["a", "none"]}}]})
    assert route.outputs == ("a",)
    assert (problem.severity, "there is no output 'none'" in problem.what) == ("warning", True)


@pytest.mark.parametrize(
    "value",
    [
        "text",
        {"logs": "text"},
        {"logs": ["text"]},
        {"logs": [{"to": "a"}]},
        {"logs": [{"to": ["a"]}]},
        {"logs": [{"to": {"outputs": "a"}}]},
        {"logs": [{"to": {"outputs": ["a"]}, "condition": "text"}]},
        {"logs": [{"to": {"outputs": ["a"]}, "condition": {"op": "and"}}]},
    ],
)
def test_what_is_no_route_is_told(value):
    found, problems = routes(value)
    assert found == []
    assert problems


@given(anything | st.dictionaries(st.just("logs"), st.lists(anything)))
def test_anything_in_yaml_gives_routes_or_problems(value):
    found, _ = routes(value)
    assert all(set(route.outputs) <= set(OUTPUTS.values()) for route in found)


@given(
    st.lists(st.integers(0, 3), max_size=8),
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=3),
)
def test_routing_loses_and_doubles_nothing(keys, rules):
    found = [
        ConditionalRoute(str(key), None if is_default else condition(key), (str(key),))
        for key, is_default in rules
    ]
    bodies = [{"k": key, "n": number} for number, key in enumerate(keys)]
    parts = split_by_routes(chunk_of(bodies), found)
    seen = sorted(body["n"] for part, _ in parts for body in part.bodies)
    assert seen == list(range(len(keys)))


def condition(key):
    return Condition.parse({"rules": [{"field": "$k", "op": "eq", "value": key}]})


def test_a_default_route_of_traces_takes_no_logs():
    routes = [
        ConditionalRoute("t", None, ("tempo",), "traces"),
        ConditionalRoute("l", None, ("files",), "logs"),
    ]
    [(_, names)] = split_by_routes(chunk_of([{"a": 1}]), routes)
    assert names == ("files",)
    [(_, names)] = split_by_routes(chunk_of([{"a": 1}]), routes[:1])
    assert names == ()
