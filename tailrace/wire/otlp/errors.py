"""What is wrong with a request, and where in it."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any


class OtlpError(ValueError):
    """A request that is not what it should be; the text begins with the place in it, as `resourceLogs[0].scopeLogs`."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.path: list[str] = []

    def under(self, name: str) -> OtlpError:
        """The same error, seen from one level further out."""
        self.path.append(name)
        return self

    def __str__(self) -> str:
        place = "".join(reversed(self.path)).lstrip(".")
        return f"{place}: {self.what}" if place else self.what


class TooMany(OtlpError):
    """More records, points, spans, scopes or other parts than one request may hold."""


MOST_ITEMS = 200_000
"""Most records, data points or spans of one request: they take some hundred times the memory of their two smallest bytes."""

MOST_GROUPS = 20_000
"""Most resources and scopes of one request."""

MOST_MESSAGES = 1_000_000
"""Most objects in a request in JSON."""


def count_groups(resources: Sequence[Any], scopes: str) -> None:
    """Refuse messages of too many resources and scopes."""
    count = len(resources)
    if count <= MOST_GROUPS:
        count += sum(len(getattr(each, scopes)) for each in resources)
    if count > MOST_GROUPS:
        raise TooMany(f"more than {MOST_GROUPS} resources and scopes")


def messages(module: str) -> ModuleType:
    """A module of generated messages, `logs.v1.logs`; `OtlpError` if the library is not there."""
    import importlib

    try:
        return importlib.import_module(f"opentelemetry.proto.{module}_pb2")
    except ImportError as error:
        raise MissingLibrary(
            f"OTLP needs the package opentelemetry-proto ({error}): pip install 'tailrace[otlp]'"
        ) from error


def has_library() -> bool:
    """Whether the generated messages are there; they are not imported."""
    from importlib.util import find_spec

    try:
        return find_spec("opentelemetry.proto") is not None
    except ImportError:
        return False


class MissingLibrary(Exception):
    """The extra `otlp` is not installed."""
