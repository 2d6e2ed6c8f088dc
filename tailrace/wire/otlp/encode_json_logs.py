"""Logs as OTLP's `ExportLogsServiceRequest` in JSON, as the output stdout prints it.

An event's OpenTelemetry fields are those that its metadata holds under `otlp` (severity, attributes, trace and span); resource and
scope are those of its group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tailrace.model import Body, Chunk, Group, Metadata
from tailrace.model.chunk import group_runs
from tailrace.wire.otlp.encode_json import any_value, as_text, key_values, with_given
from tailrace.wire.otlp.encode_logs import as_map
from tailrace.wire.otlp.log_requests import NOWHERE, Place, place_of

BODY_KEYS = ("log", "message")
"""The first of these that a record has is the body of the log record; without one the whole record is."""


def logs_json(chunk: Chunk, body_keys: Sequence[str] = BODY_KEYS, pretty: bool = False) -> bytes:
    """All events as one request; those of one resource and scope stand together, be they apart in the chunk."""
    chunk.open()
    metadata = chunk.metadata or [{}] * chunk.count
    records = [
        log_record(time_ns, meta, body, body_keys)
        for time_ns, meta, body in zip(chunk.times, metadata, chunk.bodies, strict=True)
    ]
    places: dict[Place, list[Body]] = {}
    made: dict[Place, Body] = {}
    for group, start, end in group_runs(chunk.groups or [None] * chunk.count):
        place = place_of(group)
        resource = place._replace(scope_id=0, scope=b"", scope_url=b"")
        if place not in places:
            if resource not in made:
                made[resource] = resource_of(group if place is not NOWHERE else None)
            places[place] = []
            scope = scope_of(group if place is not NOWHERE else None, places[place])
            made[resource]["scopeLogs"].append(scope)
        places[place] += records[start:end]
    return as_text({"resourceLogs": list(made.values())}, pretty)


def resource_of(group: Group | None) -> Body:
    """A resource without scopes yet."""
    body = group.body if group is not None else {}
    given = as_map(body.get("resource"))
    url = given.get("schema_url", body.get("schema_url"))
    made: Body = {"resource": described({}, given), "scopeLogs": []}
    return with_given(made, schemaUrl=url if type(url) is str and url else None)


def scope_of(group: Group | None, records: list[Body]) -> Body:
    given = as_map(group.body.get("scope")) if group is not None else {}
    scope: Body = {}
    for name in ("name", "version"):
        if type(given.get(name)) is str:
            scope[name] = given[name]
    made: Body = {"scope": described(scope, given), "logRecords": records}
    url = given.get("schema_url")
    return with_given(made, schemaUrl=url if type(url) is str and url else None)


def described(made: Body, given: Body) -> Body:
    """`made` with the attributes and the count of those that the sender left out."""
    if type(given.get("attributes")) is dict:
        made["attributes"] = key_values(given["attributes"].items())
    if is_count(given.get("dropped_attributes_count")):
        made["droppedAttributesCount"] = given["dropped_attributes_count"]
    return made


def log_record(time_ns: int, metadata: Metadata, body: Body, body_keys: Sequence[str]) -> Body:
    found = metadata.get("otlp")
    otlp: dict[str, Any] = found if isinstance(found, dict) else {}
    if is_count(otlp.get("timestamp")):
        time_ns = otlp["timestamp"]
    record: Body = {}
    if time_ns > 0:
        record["timeUnixNano"] = str(time_ns)
    if is_count(otlp.get("observed_timestamp")):
        record["observedTimeUnixNano"] = str(otlp["observed_timestamp"])
    if is_count(otlp.get("severity_number")):
        record["severityNumber"] = otlp["severity_number"]
    if isinstance(otlp.get("severity_text"), str):
        record["severityText"] = otlp["severity_text"]
    if isinstance(otlp.get("attributes"), dict) and otlp["attributes"]:
        record["attributes"] = key_values(otlp["attributes"].items())
    for field, key, size in (("traceId", "trace_id", 16), ("spanId", "span_id", 8)):
        identifier = otlp.get(key)
        if isinstance(identifier, bytes) and len(identifier) == size:
            record[field] = identifier.hex()
    value = next((body[key] for key in body_keys if key in body), body)
    if value is not None:
        record["body"] = any_value(value)
    return record


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
