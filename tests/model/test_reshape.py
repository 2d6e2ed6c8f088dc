"""Changes by names of fields: generated code gives what the plain change gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import reshape
from tailrace.model.reshape import MOST_FIELDS, MOST_SHAPES, WORTH_IT, Reshape, generate

names = st.sampled_from(["a", "b", "ab", "it's", "\udc80", 'x"{y}'])
bodies = st.dictionaries(names, st.integers() | st.text(max_size=3) | st.none(), max_size=5)


def move_and_nest(body):
    """Renames, drops, adds and nests, by names alone."""
    inner = {name: body[name] for name in body if name.startswith("a")}
    kept = {f"{name}!": value for name, value in body.items() if name not in inner and name != "b"}
    return {**kept, "under": inner, "added": "it's"}


@given(bodies)
def test_generated_code_gives_what_the_change_gives(body):
    build = generate(tuple(body), move_and_nest)
    expected = move_and_nest(body)
    assert list(build(*body.values()).items()) == list(expected.items())


@given(st.lists(bodies, max_size=4))
def test_the_first_and_the_hundredth_body_of_a_shape_are_changed_alike(some):
    change = Reshape(move_and_nest)
    expected = [move_and_nest(body) for body in some]
    for _ in range(WORTH_IT + 2):
        assert change([dict(body) for body in some]) == expected


def test_code_is_generated_for_shapes_that_come_often():
    calls = []
    change = Reshape(lambda body: calls.append(1) or body)
    change([{"a": 1}] * (3 * WORTH_IT))
    assert len(calls) == WORTH_IT + 1


def test_built_bodies_share_nothing_that_can_change():
    change = Reshape(move_and_nest)
    made = change([{"a": 1}] * (WORTH_IT + 2))
    made[-1]["under"]["a"] = 2
    assert made[-2]["under"] == {"a": 1}


@pytest.mark.parametrize("count", [MOST_FIELDS + 1, 300])
def test_bodies_of_many_fields_are_changed_plainly(count, monkeypatch):
    monkeypatch.setattr(reshape, "generate", lambda *_: pytest.fail("generated"))
    body = {str(number): number for number in range(count)}
    assert Reshape(dict)([body] * (WORTH_IT + 1))[-1] == body


def test_shapes_are_bounded():
    change = Reshape(dict)
    change({f"k{number}": 1} for number in range(3 * MOST_SHAPES))
    assert len(change._shapes) <= MOST_SHAPES
