"""Encoded log records under their resource and scope, those of the group of each event, as `ExportLogsServiceRequest`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tailrace.model import Group
from tailrace.model.chunk import group_runs
from tailrace.wire.otlp.encode_logs import as_map, as_text, whole
from tailrace.wire.otlp.protobuf import key_values, message, text, uint


class Limits(NamedTuple):
    """How much one request holds; 0: any number. `scopes` counts for each resource."""

    records: int = 1000
    resources: int = 0
    scopes: int = 0


class LogRequest(NamedTuple):
    """One request, and the places in the chunk of the events that it holds."""

    content: bytes
    events: Sequence[int]


class Place(NamedTuple):
    """Where records belong: resource and scope, as identified and encoded."""

    resource_id: int
    resource: bytes
    resource_url: bytes
    scope_id: int
    scope: bytes
    scope_url: bytes


NOWHERE = Place(0, b"\x0a\x00", b"", 0, b"\x0a\x00", b"")
"""Events of no group: an empty resource and an empty scope."""


def place_of(group: Group | None) -> Place:
    """Where the events of a group belong; `NOWHERE` if it is none of OTLP."""
    if group is None or group.metadata.get("schema") != "otlp":
        return NOWHERE
    resource_id = group.metadata.get("resource_id")
    scope_id = group.metadata.get("scope_id")
    if type(resource_id) is not int or type(scope_id) is not int:
        return NOWHERE
    resource, scope = as_map(group.body.get("resource")), as_map(group.body.get("scope"))
    url = resource.get("schema_url", group.body.get("schema_url"))
    return Place(
        resource_id,
        message(
            b"\x0a",
            key_values(b"\x0a", as_map(resource.get("attributes")))
            + uint(b"\x10", whole(resource.get("dropped_attributes_count"))),
        ),
        text(b"\x1a", as_text(url)),
        scope_id,
        message(
            b"\x0a",
            text(b"\x0a", as_text(scope.get("name")))
            + text(b"\x12", as_text(scope.get("version")))
            + key_values(b"\x1a", as_map(scope.get("attributes")))
            + uint(b"\x20", whole(scope.get("dropped_attributes_count"))),
        ),
        text(b"\x1a", as_text(scope.get("schema_url"))),
    )


class Gathering:
    """One request as it grows: records by scope by resource, in their order."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.events: list[int] = []
        self._resources: list[tuple[Place, list[tuple[Place, list[bytes]]]]] = []

    @property
    def room(self) -> int:
        """How many records it still takes."""
        return max(0, self.limits.records - len(self.events))

    def open(self, place: Place) -> list[bytes] | None:
        """Where the next records of this place go; None if that must be another request."""
        scopes = self._resources[-1][1] if self._resources else []
        most = self.limits.scopes
        if self._resources and place[:3] == self._resources[-1][0][:3]:
            if place[3:] == scopes[-1][0][3:]:
                return scopes[-1][1]
            if not most or len(scopes) < most:
                scopes.append((place, []))
                return scopes[-1][1]
        if self.limits.resources and len(self._resources) >= self.limits.resources:
            return None
        self._resources.append((place, [(place, [])]))
        return self._resources[-1][1][0][1]

    def request(self) -> LogRequest:
        parts = []
        for place, scopes in self._resources:
            inner = [place.resource]
            for own, records in scopes:
                content = b"".join((own.scope, *records, own.scope_url))
                inner.append(message(b"\x12", content))
            inner.append(place.resource_url)
            parts.append(message(b"\x0a", b"".join(inner)))
        return LogRequest(b"".join(parts), self.events)


def log_requests(
    records: Sequence[bytes | None], groups: Sequence[Group | None] | None, limits: Limits
) -> Iterator[LogRequest]:
    """The requests that hold these records; `groups` has one for each of them, None: none has one."""
    gathering = Gathering(limits)
    for place, start, end in runs(groups, len(records)):
        at = start
        while at < end:
            target = gathering.open(place) if gathering.room else None
            if target is None:
                if gathering.events:
                    yield gathering.request()
                gathering = Gathering(limits)
                continue
            stop = min(end, at + gathering.room)
            some = records[at:stop]
            events = [index for index in range(at, stop) if records[index] is not None]
            target += [record for record in some if record is not None]
            gathering.events += events
            at = stop
    if gathering.events:
        yield gathering.request()


def runs(groups: Sequence[Group | None] | None, count: int) -> Iterator[tuple[Place, int, int]]:
    """Place, first and last of events that stand together in one group."""
    if groups is None:
        yield NOWHERE, 0, count
        return
    for group, start, end in group_runs(groups):
        yield place_of(group), start, end
