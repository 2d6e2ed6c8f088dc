"""Values of MessagePack's extension types, which no other type stands for."""

from __future__ import annotations


class Extension:
    """A value as it came: the number of its type, and its bytes. Never changed."""

    __slots__ = ("code", "data")

    def __init__(self, code: int, data: bytes) -> None:
        self.code = code
        self.data = data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Extension) and (self.code, self.data) == (other.code, other.data)

    def __hash__(self) -> int:
        return hash((self.code, self.data))

    def __repr__(self) -> str:
        return f"Extension({self.code}, {self.data!r})"
