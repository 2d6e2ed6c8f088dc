"""Changes of bodies that depend on the names of their fields alone, made by generated code.

Most bodies of a stream have the same names in the same order: the same shape. What a change does to a shape is found out once,
by applying it to a body whose values are placeholders. A shape that comes often gets a function that builds the new body
from the values in one dict display, which takes 0.2 to 0.3 µs a body whatever the change is
(bench/hot_shapes.py); the others are changed plainly. Where all bodies of a batch have one shape a function builds
them all, in two thirds of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from tailrace.model.chunk import Body

Change = Callable[[Body], Body]
"""Gives the changed body, which may be the same one. It never looks at values, and copies none of its own."""

WORTH_IT: Final = 64
"""How often a shape must come until code is generated for it."""
MOST_SHAPES: Final = 512
MOST_FIELDS: Final = 100
"""Bodies with more fields are changed plainly."""


class _Place:
    """Stands for the value of field `number`."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Reshape:
    """Applies a change to many bodies."""

    def __init__(self, change: Change) -> None:
        self._shapes = _Shapes(change)
        self._batches: dict[tuple[str, ...], Callable[[Iterable[Body]], list[Body]]] = {}
        """What changes many bodies of one shape."""

    def __call__(self, bodies: Iterable[Body]) -> list[Body]:
        """The changed bodies, in order; the given ones may have been changed as well."""
        given = bodies if type(bodies) is list else list(bodies)
        if len(given) >= WORTH_IT and (shape := shape_of_all(given)):
            return self._of_batch(shape)(given)
        shapes = self._shapes
        return [shapes[tuple(body)](*body.values()) for body in given]

    def _of_batch(self, shape: tuple[str, ...]) -> Callable[[Iterable[Body]], list[Body]]:
        build = self._batches.get(shape)
        if build is None:
            if len(self._batches) >= MOST_SHAPES:
                self._batches.clear()
            build = self._batches[shape] = generate_batch(shape, self._shapes.change)
        return build


def shape_of_all(bodies: list[Body]) -> tuple[str, ...]:
    """The names that all bodies have in the same order; empty if they differ, or are none or too many."""
    shape = tuple(bodies[0])
    if len(shape) > MOST_FIELDS or shape != tuple(bodies[-1]):
        return ()
    return shape if set(map(tuple, bodies)) == {shape} else ()


class _Shapes(dict[tuple[str, ...], Callable[..., Body]]):
    """What builds the new body from the values of the old one, by its names."""

    def __init__(self, change: Change) -> None:
        self.change = change

    def __missing__(self, shape: tuple[str, ...]) -> Callable[..., Body]:
        change = self.change
        if len(self) >= MOST_SHAPES:
            self.clear()
        uses = 0

        def plainly(*values: Any) -> Body:
            nonlocal uses
            uses += 1
            if uses == WORTH_IT and len(shape) <= MOST_FIELDS:
                self[shape] = generate(shape, change)
            return change(dict(zip(shape, values, strict=True)))

        self[shape] = plainly
        return plainly


def generate(shape: tuple[str, ...], change: Change) -> Callable[..., Body]:
    """A function from the values of a body with these names to the changed body."""
    display, constants = _changed(shape, change)
    source = f"def build({', '.join(_values(shape))}):\n    return {display}"
    exec(source, constants)  # the source holds only names of fields, as literals, and of places
    build: Callable[..., Body] = constants["build"]
    return build


def generate_batch(
    shape: tuple[str, ...], change: Change
) -> Callable[[Iterable[Body]], list[Body]]:
    """A function from bodies that all have these names to the changed bodies."""
    display, constants = _changed(shape, change)
    values = "".join(f"{value}, " for value in _values(shape))
    source = (
        f"def build(bodies):\n    return [{display} for ({values}) in map(dict.values, bodies)]"
    )
    exec(source, constants)  # as above
    build: Callable[[Iterable[Body]], list[Body]] = constants["build"]
    return build


def _values(shape: tuple[str, ...]) -> list[str]:
    return [f"v{number}" for number in range(len(shape))]


def _changed(shape: tuple[str, ...], change: Change) -> tuple[str, dict[str, Any]]:
    """The display of a changed body, and the constants in it by name."""
    changed = change({name: _Place(number) for number, name in enumerate(shape)})
    constants: dict[str, Any] = {}
    return _display(changed, constants), constants


def _display(value: Any, constants: dict[str, Any]) -> str:
    if type(value) is _Place:
        return f"v{value.number}"
    if type(value) is dict:
        items = (f"{name!r}: {_display(item, constants)}" for name, item in value.items())
        return "{" + ", ".join(items) + "}"
    name = f"c{len(constants)}"
    constants[name] = value
    return name
