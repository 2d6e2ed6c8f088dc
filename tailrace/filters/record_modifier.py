"""Append fields, remove fields, or keep only some.

Example:
    Name       record_modifier
    Match      *
    Record     hostname web-1
    Remove_key secret

    {"msg": "hi", "secret": 1}  ->  {"msg": "hi", "hostname": "web-1"}

Names of keys to remove or keep ignore letter case; one that ends in `*` stands for all that begin so.
"""

from __future__ import annotations

import uuid
from itertools import repeat
from operator import contains
from typing import Any

from tailrace.config import ConfigError, WordList, option
from tailrace.model import Body, Chunk
from tailrace.model.reshape import Reshape
from tailrace.plugin import Filter, FilterOptions, filter_plugin


class RecordModifierOptions(FilterOptions):
    record: list[WordList] = option(many=True)
    """Append a field: `KEY VALUE`; quotes keep words together. May be given many times."""

    remove_key: list[str] = option(many=True)
    """Remove a field. May be given many times."""

    allowlist_key: list[str] = option(many=True)
    """Keep only fields so named. May be given many times."""

    whitelist_key: list[str] = option(many=True)
    """Another name of allowlist_key."""

    uuid_key: str = option("")
    """Append a random UUID (version 4) under this key."""


class Names(dict[str, bool]):
    """Whether a key is named, remembered by its spelling."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self._exact = {name.lower() for name in names if not name.endswith("*")}
        self._prefixes = tuple(name[:-1].lower() for name in names if name.endswith("*"))

    def __missing__(self, key: str) -> bool:
        word = key.lower()
        named = word in self._exact or (bool(self._prefixes) and word.startswith(self._prefixes))
        if len(self) > 10_000:
            self.clear()
        self[key] = named
        return named


@filter_plugin("record_modifier")
class RecordModifier(Filter[RecordModifierOptions]):
    padding = 4

    def __init__(self, options: RecordModifierOptions) -> None:
        super().__init__(options)
        allowed = [*options.allowlist_key, *options.whitelist_key]
        if options.remove_key and allowed:
            raise ConfigError(
                "remove_key and allowlist_key exclude each other.", "Keep one of them."
            )
        self.added = self.records()
        self.removed = Names(options.remove_key) if options.remove_key else None
        self.allowed = Names(allowed) if allowed else None
        self.reshape = Reshape(self.change)

    def records(self) -> dict[str, Any]:
        """The fields to append; a rule of more than two words is passed over with an error, as in the original."""
        found: dict[str, Any] = {}
        for words in self.options.record:
            if len(words) < 2:
                raise ConfigError(
                    f"record: '{' '.join(words)}' has no value.", "Give a key and a value."
                )
            if len(words) > 2:
                self.context.log.error(
                    f"record '{' '.join(words)}' has {len(words)} words, not 2; it is passed over. Put the value in quotes."
                )
                continue
            found.pop(words[0], None)
            found[words[0]] = words[1]
        return found

    def process(self, chunk: Chunk) -> Chunk:
        if self.removed is None and self.allowed is None:
            self.append(chunk.bodies)
            return chunk
        before = chunk.bodies
        chunk.bodies = bodies = self.reshape(before)
        was_untouched = not all(bodies) and bodies == before
        self.append(bodies)
        if was_untouched or all(bodies):
            return chunk
        return chunk.select(map(bool, bodies))

    def change(self, body: Body) -> Body:
        """The fields that stay."""
        if self.removed is not None:
            removed = self.removed
            return {key: value for key, value in body.items() if not removed[key]}
        allowed = self.allowed
        assert allowed is not None
        return {key: value for key, value in body.items() if allowed[key]}

    def append(self, bodies: list[Body]) -> None:
        added, uuid_key = self.added, self.options.uuid_key
        if not added and not uuid_key:
            return
        for key, value in added.items():
            if any(map(contains, bodies, repeat(key))):
                for body in bodies:
                    body.pop(key, None)
            for body in bodies:
                body[key] = value
        if uuid_key:
            for body in bodies:
                body.pop(uuid_key, None)
                body[uuid_key] = str(uuid.uuid4())
