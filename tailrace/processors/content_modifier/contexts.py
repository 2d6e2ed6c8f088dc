"""Where in a chunk the maps are that a content_modifier changes.

Log records of OpenTelemetry have their attributes in the metadata, `{"otlp": {"attributes": {}}}`, and share a group
`{"resource": {"attributes": {}}, "scope": {"name": "", "version": "", "attributes": {}}}`. Sets of metrics have resource and
scope in `external`, where the scope's name and version stand under `metadata`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tailrace.model import LOGS, METRICS, TRACES, Body, Chunk, Group, Signal

Maps = Callable[[Chunk], Iterable[Body]]
"""The maps of a chunk to be changed in place."""

FIXED_KEYS = {"otel_scope_name": "name", "otel_scope_version": "version"}
"""Contexts of one key alone."""


def bodies(chunk: Chunk) -> Iterable[Body]:
    return chunk.bodies


def metadata(chunk: Chunk) -> Iterable[Body]:
    return chunk.metadata_list()


def log_attributes(chunk: Chunk) -> Iterable[Body]:
    """Attributes of each record, made if there are none (Compat: in metadata of any record)."""
    found = []
    for each in chunk.metadata_list():
        otlp = each.setdefault("otlp", {})
        attributes = otlp.setdefault("attributes", {}) if type(otlp) is dict else None
        if type(attributes) is dict:
            found.append(attributes)
    return found


def opened(root: Body, path: tuple[str, ...], required: int) -> tuple[Body, Body] | None:
    """A copy of a map whose maps along the path are copies too, and the last of those.

    Maps that are missing are made, but not the first `required`. None if one of those is missing, or something there is no map.
    """
    copied = dict(root)
    inner = copied
    for place, name in enumerate(path):
        value = inner.get(name)
        if (value is None and place < required) or not isinstance(value, dict | None):
            return None
        inner[name] = inner = dict(value or {})
    return copied, inner


def in_groups(*path: str, required: int) -> Maps:
    """What lies at a path in the group of records. Groups are shared with other chunks: others take their place."""

    def maps(chunk: Chunk) -> Iterable[Body]:
        if chunk.groups is None:
            return []
        found: list[Body] = []
        fresh: dict[int, Group | None] = {}
        for group in chunk.groups:
            if id(group) in fresh:
                continue
            fresh[id(group)] = group
            if group is not None and (pair := opened(group.body, path, required)) is not None:
                fresh[id(group)] = Group(group.metadata, pair[0])
                found.append(pair[1])
        chunk.groups = [fresh[id(group)] for group in chunk.groups]
        return found

    return maps


def in_external(*path: str, required: int) -> Maps:
    """What lies at a path in that from which a set of metrics comes."""

    def maps(chunk: Chunk) -> Iterable[Body]:
        from dataclasses import replace

        pair = opened(chunk.payload.external, path, required)
        if pair is None:
            return []
        chunk.payload = replace(chunk.payload, external=pair[0])
        return [pair[1]]

    return maps


def spans(chunk: Chunk) -> Iterable[Body]:
    """The attributes of each span."""
    return [span.attributes for span in chunk.payload.spans()]


def nothing(chunk: Chunk) -> Iterable[Body]:
    return []


WITHOUT_EFFECT = ("labels", "attributes", "name", "description")
"""Contexts of metrics that Fluent Bit knows, too, and does nothing to."""


CONTEXTS: Mapping[Signal, Mapping[str, Maps]] = {
    LOGS: {
        "body": bodies,
        "message": bodies,
        "record": bodies,
        "attributes": metadata,
        "metadata": metadata,
        "otel_log_attributes": log_attributes,
        "otel_resource_attributes": in_groups("resource", "attributes", required=1),
        "otel_scope_attributes": in_groups("scope", "attributes", required=1),
        "otel_scope_name": in_groups("scope", required=0),
        "otel_scope_version": in_groups("scope", required=0),
    },
    METRICS: {
        **dict.fromkeys(WITHOUT_EFFECT, nothing),
        "otel_resource_attributes": in_external("resource", "attributes", required=1),
        "otel_scope_attributes": in_external("scope", "attributes", required=1),
        "otel_scope_name": in_external("scope", "metadata", required=0),
        "otel_scope_version": in_external("scope", "metadata", required=0),
    },
    TRACES: dict.fromkeys(("span_attributes", "span_name", "span_kind", "span_status"), spans),
}
"""For each signal what can be changed.

Compat: all contexts of traces change the attributes of spans (conformance: filters/content_modifier_span_fields).
"""

DEFAULTS: Mapping[Signal, str] = {LOGS: "body", METRICS: "labels", TRACES: "span_attributes"}
KNOWN = tuple(dict.fromkeys(name for contexts in CONTEXTS.values() for name in contexts))
