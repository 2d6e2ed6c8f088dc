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
    for _ in range(3 * WORTH_IT):
        change([{"a": 1}])
    assert len(calls) == WORTH_IT + 1


def test_code_is_generated_once_for_batches_of_one_shape():
    calls = []
    change = Reshape(lambda body: calls.append(1) or body)
    for _ in range(3):
        change([{"a": 1}] * WORTH_IT)
    assert len(calls) == 1


@given(bodies, bodies, st.integers(0, WORTH_IT))
def test_batches_are_changed_as_single_bodies_are(usual, other, place):
    batch = [dict(usual) for _ in range(WORTH_IT)]
    batch.insert(place, dict(other))
    expected = [move_and_nest(body) for body in batch]
    made = Reshape(move_and_nest)(batch)
    assert [list(body.items()) for body in made] == [list(body.items()) for body in expected]


def test_batches_of_one_field_and_of_none():
    assert Reshape(dict)([{"a": n} for n in range(WORTH_IT)])[-1] == {"a": WORTH_IT - 1}
    assert Reshape(dict)([{}] * WORTH_IT) == [{}] * WORTH_IT


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


def test_shapes_of_batches_are_bounded(monkeypatch):
    monkeypatch.setattr(reshape, "MOST_SHAPES", 4)
    change = Reshape(dict)
    for number in range(9):
        assert change([{f"k{number}": 1}] * WORTH_IT)[0] == {f"k{number}": 1}
    assert len(change._batches) <= 4
