"""Put fields into a map of their own, or lift those of a map up.

Example:
    Name       nest
    Match      *
    Operation  nest
    Wildcard   k8s_*
    Nest_under kubernetes
    Remove_prefix k8s_

    {"msg": "hi", "k8s_pod": "a", "k8s_ns": "b"}  ->  {"msg": "hi", "kubernetes": {"pod": "a", "ns": "b"}}
"""

from __future__ import annotations

from tailrace.config import ConfigError, one_of, option
from tailrace.model import Body, Chunk
from tailrace.model.reshape import Reshape
from tailrace.plugin import Filter, FilterOptions, filter_plugin


class NestOptions(FilterOptions):
    operation: str = option("nest", reader=one_of("nest", "lift"))
    """nest puts fields into a map; lift puts the fields of a map in its place."""

    wildcard: list[str] = option(many=True)
    """nest: fields to take, by name or, with `*` at the end, by how the name begins. May be given many times."""

    nest_under: str = option("")
    """nest: name of the new map."""

    nested_under: str = option("")
    """lift: name of the map."""

    add_prefix: str = option("")
    """Put this before the moved names."""

    remove_prefix: str = option("")
    """Cut this off the moved names."""


@filter_plugin("nest")
class Nest(Filter[NestOptions]):
    padding = 8

    def __init__(self, options: NestOptions) -> None:
        super().__init__(options)
        missing = {"nest": "nest_under", "lift": "nested_under"}[options.operation]
        self.is_idle = not getattr(options, missing)
        if self.is_idle:
            self.context.warn_of(
                f"{missing} is missing, so events stay as they are.", f"Add: {missing} NAME."
            )
        if options.add_prefix and options.remove_prefix:
            raise ConfigError(
                "add_prefix and remove_prefix exclude each other.", "Keep one of them."
            )
        self.moves = Moves(options.wildcard, options.add_prefix, options.remove_prefix)
        self.nest = Reshape(lambda body: nested(body, options.nest_under, self.moves))

    def process(self, chunk: Chunk) -> Chunk:
        if self.is_idle:
            return chunk
        if self.options.operation == "nest":
            chunk.bodies = self.nest(chunk.bodies)
        else:
            key = self.options.nested_under
            for body in chunk.bodies:
                if type(body.get(key)) is dict:
                    self.lift(body, key)
        return chunk

    def lift(self, body: Body, key: str) -> None:
        rename = self.moves.rename
        for name, value in body.pop(key).items():
            new = rename(name)
            body.pop(new, None)
            body[new] = value


class Moves(dict[str, "str | None"]):
    """The new name of a key that moves, or None if it stays; remembered."""

    def __init__(self, wildcards: list[str], add: str, remove: str) -> None:
        super().__init__()
        self._exact = {name for name in wildcards if not name.endswith("*")}
        self._prefixes = tuple(name[:-1] for name in wildcards if name.endswith("*"))
        self._add, self._remove = add, remove

    def rename(self, name: str) -> str:
        return self._add + name.removeprefix(self._remove)

    def __missing__(self, key: str) -> str | None:
        moves = key in self._exact or (bool(self._prefixes) and key.startswith(self._prefixes))
        new = self.rename(key) if moves else None
        if len(self) > 10_000:
            self.clear()
        self[key] = new
        return new


def nested(body: Body, under: str, moves: Moves) -> Body:
    """The body with the keys that move in a map at its end; itself if none does."""
    stays: Body = {}
    inner: Body = {}
    for key, value in body.items():
        new = moves[key]
        if new is None:
            stays[key] = value
        else:
            inner.pop(new, None)
            inner[new] = value
    if inner:
        stays.pop(under, None)
        stays[under] = inner
    return stays
