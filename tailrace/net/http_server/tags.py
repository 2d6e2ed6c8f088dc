"""Tags that clients choose: of the path, or of a field of each record."""

from __future__ import annotations

import re
from collections.abc import Callable

from tailrace.config import ConfigError
from tailrace.model import Body
from tailrace.model.accessor import Accessor, AccessorError

MOST_TAG_BYTES = 512
NOT_IN_TAG = re.compile(rb"[^A-Za-z0-9_.]")


def clean_tag(text: str) -> str:
    """A tag of letters, digits, dots and underscores, of bounded length."""
    raw = text.encode("utf-8", "surrogateescape")[:MOST_TAG_BYTES]
    return NOT_IN_TAG.sub(b"_", raw).decode()


def tag_getter(key: str) -> Callable[[Body], str] | None:
    """What gives a record's own tag, or an empty text."""
    if not key:
        return None
    try:
        get = Accessor(key).get
    except AccessorError as error:
        raise ConfigError(f"tag_key: {error}") from error

    def tag_of(body: Body) -> str:
        value = get(body)
        return clean_tag(value) if type(value) is str else ""

    return tag_of
