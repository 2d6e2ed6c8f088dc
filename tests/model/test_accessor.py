"""Record accessors and templates."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.model.accessor import MISSING, Accessor, AccessorError, Template, parse_path

keys = st.text("ab'][ .é$", min_size=1, max_size=4)
written = st.text("$ab'[]0129.²/-\" TAG", max_size=14) | st.text(max_size=8)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("plain key", ("plain key",)),
        ("$a", ("a",)),
        ("$a.b/c-d", ("a.b/c-d",)),
        ("$a['b']", ("a", "b")),
        ("$a['b'][0]['c d']", ("a", "b", 0, "c d")),
        ("$a[ 'it''s' ]", ("a", "it's")),
    ],
)
def test_an_accessor_is_a_path(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    ["", "$", "$1", "$a[", "$a['b'", "$a['b]", "$a[b]", "$a[-1]", "$a x", "$a[" + "9" * 5000 + "]"],
)
def test_what_is_no_accessor_says_so_and_how_to_write_one(text):
    with pytest.raises(AccessorError, match=r"is no accessor.*Write: \$"):
        Accessor(text)


def test_no_more_steps_than_are_bounded():
    with pytest.raises(AccessorError):
        Accessor("$a" + "[0]" * 1_000)


@given(st.lists(keys, max_size=5), st.integers())
def test_a_place_is_found_however_deep(steps, value):
    body = value
    for step in reversed(steps):
        body = {step: body}
    quoted = "".join("['" + step.replace("'", "''") + "']" for step in steps)
    assert Accessor("$top" + quoted).get({"top": body}) == value


@pytest.mark.parametrize(
    "text", ["$none", "$a['none']", "$a['b']['none']", "$list[2]", "$list['x']", "$a[0]", "$n['x']"]
)
def test_a_place_that_is_not_there_is_missing_and_not_made(text):
    body = {"a": {"b": "text"}, "list": [1, 2], "n": None}
    assert Accessor(text).get(body) is MISSING
    assert not Accessor(text).remove(body)
    assert body == {"a": {"b": "text"}, "list": [1, 2], "n": None}


def test_null_and_false_are_there():
    assert Accessor("$a['b']").get({"a": {"b": None}}) is None
    assert Accessor("$a").get({"a": False}) is False


def test_a_value_is_set_where_a_map_or_list_holds_it():
    body = {"a": {}, "list": [1, 2], "n": 1}
    assert Accessor("$a['b']").set(body, 3)
    assert Accessor("$list[1]").set(body, 4)
    assert not Accessor("$list[2]").set(body, 5)
    assert not Accessor("$n['x']").set(body, 5)
    assert not Accessor("$none['x']").set(body, 5)
    assert body == {"a": {"b": 3}, "list": [1, 4], "n": 1}


def test_what_is_removed_is_gone_alone():
    body = {"a": {"b": 1, "c": 2}, "list": [1, 2]}
    assert Accessor("$a['b']").remove(body)
    assert Accessor("$list[0]").remove(body)
    assert body == {"a": {"c": 2}, "list": [2]}


def test_a_renamed_key_keeps_its_place_and_replaces_its_namesake():
    body = {"m": {"a": 1, "b": 2, "c": 3}}
    assert Accessor("$m['b']").rename(body, "c")
    assert list(body["m"].items()) == [("a", 1), ("c", 2)]
    assert not Accessor("$m['b']").rename(body, "x")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("fixed", "fixed"),
        ("$TAG", "app.web"),
        ("$TAG[1]-$TAG[0]-$TAG[7]", "web-app-"),
        ("$0|$2|$9", "whole|two|"),
        ("$a.$a,$a $a", "x.x,x x"),
        ("$m['k.k'].log", "v.log"),
        ("$none.log", ".log"),
        ("5$", "5$"),
        ("$n $f $t $z $m $l", '1 1.500000 true null {"k.k":"v"} '),
    ],
)
def test_a_template_is_text_with_the_record_in_it(template, text):
    body = {
        "a": "x",
        "m": {"k.k": "v"},
        "n": 1,
        "f": 1.5,
        "t": True,
        "z": None,
        "l": [1],
    }
    assert Template(template).render(body, "app.web", ["whole", "one", "two"]) == text


def test_a_template_names_what_is_missing():
    assert Template("$a.$b.$TAG").missing({"a": 1}) == ["$b"]


@given(written)
@example("$a[" + "9" * 5000 + "]")
def test_any_text_is_an_accessor_or_the_declared_error(text):
    try:
        accessor = Accessor(text)
    except AccessorError:
        return
    assert accessor.get({accessor.key: 7}) == (7 if accessor.is_plain else MISSING)


@given(written, st.text(max_size=5))
@example("$²", "t")
@example("$TAG[²]", "t")
@example("$TAG[" + "9" * 5000 + "]", "t")
def test_any_text_is_a_template_or_the_declared_error(text, tag):
    try:
        template = Template(text)
    except AccessorError:
        return
    assert type(template.render({"a": {"b": ["x"]}}, tag)) is str
    assert template.constant in (None, text)
