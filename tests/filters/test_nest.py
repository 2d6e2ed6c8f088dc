import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.testing import FakeContext, make_plugin, run_filter


def items(section, body):
    [out] = run_filter("nest", section, body)
    return list(out.items())


BODY = {"k_a": 1, "x": 2, "k_b": 3}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("wildcard k_*", {"x": 2, "in": {"k_a": 1, "k_b": 3}}),
        ("wildcard k_a", {"x": 2, "k_b": 3, "in": {"k_a": 1}}),
        ("wildcard k_a\nwildcard x", {"k_b": 3, "in": {"k_a": 1, "x": 2}}),
        ("wildcard k_*\nremove_prefix k_", {"x": 2, "in": {"a": 1, "b": 3}}),
        ("wildcard k_*\nadd_prefix n_", {"x": 2, "in": {"n_k_a": 1, "n_k_b": 3}}),
        ("wildcard *", {"in": BODY}),
        ("wildcard y*", BODY),
        ("", BODY),
    ],
)
def test_fields_go_into_a_map_at_the_end(section, expected):
    assert items(f"operation nest\nnest_under in\n{section}", dict(BODY)) == list(expected.items())


def test_of_two_fields_that_get_one_name_the_later_counts_in_its_place():
    section = "operation nest\nnest_under in\nwildcard *\nremove_prefix k_"
    assert items(section, {"a": 1, "x": 2, "k_a": 3}) == [("in", {"x": 2, "a": 3})]


def test_a_field_of_the_maps_name_gives_way_to_it():
    assert items("operation nest\nnest_under in\nwildcard k_a", {"in": 0, "k_a": 1}) == [
        ("in", {"k_a": 1})
    ]


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", {"x": 2, "y": 9, "a": 1, "n": {"b": 3}}),
        ("add_prefix p_", {"x": 2, "y": 9, "p_a": 1, "p_n": {"b": 3}}),
        ("remove_prefix a", {"x": 2, "y": 9, "": 1, "n": {"b": 3}}),
    ],
)
def test_the_fields_of_a_map_are_lifted_to_the_end(section, expected):
    body = {"x": 2, "in": {"a": 1, "n": {"b": 3}}, "y": 9}
    assert items(f"operation lift\nnested_under in\n{section}", body) == list(expected.items())


def test_a_lifted_field_takes_the_place_of_one_of_its_name():
    assert items("operation lift\nnested_under in", {"a": 0, "in": {"a": 1}}) == [("a", 1)]


@pytest.mark.parametrize("value", [1, "x", None, [1]])
def test_what_is_no_map_is_not_lifted(value):
    assert items("operation lift\nnested_under in", {"in": value}) == [("in", value)]


@pytest.mark.parametrize("section", ["operation nest\nwildcard a", "operation lift"])
def test_without_the_name_of_the_map_events_pass_with_a_warning(section):
    context = FakeContext()
    assert run_filter("nest", section, {"a": {"b": 1}}, context=context) == [{"a": {"b": 1}}]
    assert "under is missing" in context.sink.messages[0][1]


def test_one_prefix_is_added_or_removed_not_both():
    with pytest.raises(ConfigError, match="exclude each other"):
        make_plugin("filter", "nest", "operation nest\nnest_under x\nadd_prefix a\nremove_prefix b")


def test_the_operation_is_one_of_two():
    with pytest.raises(InvalidConfiguration):
        make_plugin("filter", "nest", "operation fold")


BODIES = st.lists(
    st.dictionaries(st.sampled_from(["k_a", "k_b", "x", "y"]), st.integers()), max_size=6
)


@given(bodies=BODIES)
def test_lifting_what_was_nested_loses_nothing(bodies):
    nested = run_filter("nest", "operation nest\nnest_under in\nwildcard k_*", *map(dict, bodies))
    assert [set(body) - {"in"} for body in nested] == [
        {key for key in body if not key.startswith("k_")} for body in bodies
    ]
    assert run_filter("nest", "operation lift\nnested_under in", *nested) == bodies


def test_nest_is_the_operation_unless_another_is_given():
    assert run_filter("nest", "wildcard x\nnest_under o", {"x": 1}) == [{"o": {"x": 1}}]
