"""Filters from plain functions."""

from typing import Literal

import pytest

from tailrace.config.errors import InvalidConfiguration
from tailrace.config.options import describe
from tailrace.model import Group
from tailrace.plugin import filter, registry  # noqa: A004  # as users write it
from tailrace.testing import FakeContext, chunk_of, make_plugin, run_filter


@filter("mark_slow")
def mark_slow(body, *, seconds: float = 1.0, label="slow", mode: Literal["mark", "drop"] = "mark"):
    """Mark what took long.

    `seconds`: From how many seconds on.
    """
    if mode == "drop":
        return body["took"] < seconds
    body[label] = body["took"] >= seconds
    return None


@filter("split_words")
def split_words(body):
    return [{"word": word} for word in body["text"].split()]


@filter("replace_body")
def replace_body(body):
    return {"was": body["a"]}


@filter("returns_a_number")
def returns_a_number(body):
    return 7


@filter("first_only")
def first_only(chunk, *, count: int = 1):
    return chunk.slice(0, count)


@filter("counts")
def counts(chunk):
    for number, body in enumerate(chunk.bodies):
        body["number"] = number


def test_a_function_changes_the_body_it_gets():
    assert run_filter("mark_slow", "", {"took": 2}) == [{"took": 2, "slow": True}]


def test_what_takes_the_place_of_an_event_is_in_its_group():
    groups = [Group({}, {"resource": number}) for number in range(3)]
    chunk = chunk_of([{"text": "a b"}, {"text": ""}, {"text": "c"}])
    chunk.groups = list(groups)
    result = make_plugin("filter", "split_words").process(chunk)
    assert result.bodies == [{"word": word} for word in "abc"]
    assert result.groups == [groups[0], groups[0], groups[2]]


def test_keyword_parameters_are_options_of_their_types():
    assert run_filter("mark_slow", "seconds 2.5\nlabel late", {"took": 2}) == [
        {"took": 2, "late": False}
    ]
    with pytest.raises(InvalidConfiguration, match="seconds"):
        run_filter("mark_slow", "seconds soon", {})
    with pytest.raises(InvalidConfiguration, match="mode"):
        run_filter("mark_slow", "mode maim", {})
    with pytest.raises(InvalidConfiguration, match="secnds"):
        run_filter("mark_slow", "secnds 1", {})


def test_the_docstring_describes_options():
    options = {
        each.name: each
        for each in describe(registry.options_class(registry.find("filter", "mark_slow")))
    }
    assert options["seconds"].help == "From how many seconds on."
    assert options["match"].help


def test_false_drops_and_true_keeps():
    assert run_filter("mark_slow", "mode drop", {"took": 0}, {"took": 2}, {"took": 0.5}) == [
        {"took": 0},
        {"took": 0.5},
    ]


def test_a_list_makes_several_events_with_the_time_and_metadata_of_one():
    chunk = chunk_of([{"text": "a b"}, {"text": "c"}, {"text": ""}], metadata=[{"m": 1}, {}, {}])
    first, second = chunk.times[:2]
    out = make_plugin("filter", "split_words").process(chunk)
    assert out.bodies == [{"word": "a"}, {"word": "b"}, {"word": "c"}]
    assert out.times == [first, first, second]
    assert out.metadata == [{"m": 1}, {"m": 1}, {}]


def test_another_body_takes_the_place():
    assert run_filter("replace_body", "", {"a": 1}) == [{"was": 1}]


def test_a_chunk_function_may_return_or_change_its_chunk():
    assert run_filter("first_only", "count 2", {"n": 1}, {"n": 2}, {"n": 3}) == [{"n": 1}, {"n": 2}]
    assert run_filter("counts", "", {}, {}) == [{"number": 0}, {"number": 1}]


@pytest.mark.parametrize(
    ("name", "bodies", "out", "said"),
    [
        ("mark_slow", [{"took": 1}, {}, {"took": 0}], [{"took": 1, "slow": True}, {}, {"took": 0, "slow": False}], "KeyError"),
        ("returns_a_number", [{"a": 1}], [{"a": 1}], "returned int"),
    ],
)  # fmt: skip
def test_an_error_is_that_of_one_event_counted_and_logged(name, bodies, out, said):
    context = FakeContext()
    assert run_filter(name, "", *bodies, context=context) == out
    (message,) = context.sink.messages
    assert said in message[1]
    assert context.metrics.by_name["tailrace_filter_errors_total"].values == {(): 1}


def test_the_place_of_an_error_is_told():
    context = FakeContext()
    run_filter("mark_slow", "", {}, context=context)
    assert "test_function.py:" in context.sink.messages[0][1]


def test_the_function_stays_a_function():
    assert replace_body({"a": 1}) == {"was": 1}


async def waits(body):
    pass


def yields(body):
    yield body


@pytest.mark.parametrize(
    "function", [waits, yields, lambda: None, lambda a, b: None, lambda *bodies: None]
)
def test_a_function_that_will_not_do_is_refused(function):
    with pytest.raises(TypeError, match="must"):
        filter("never")(function)
