"""Dead letters: events that an output gave up, each one line of JSON that a person can read, mend and send again.

    {"refused_at": "2026-01-05T09:12:44.120000000Z", "output": "es.0", "plugin": "es", "reason": "HTTP status=400",
     "status": 400, "attempts": 1, "tag": "app.web", "time": "2026-01-05T09:12:40.000000000Z", "record": {"n": 1}}

`metadata` stands beside `record` if the event has any, and `group` if it is in one: `{"metadata": {}, "attributes": {}}`, where
the attributes hold resource and scope of OpenTelemetry. What JSON has no words for: `{"$bytes": BASE64}` is binary,
`{"$float": "nan"}` (`inf`, `-inf`) such a number, `{"$extension": [TYPE, BASE64]}` a value of another type. Metrics, traces and profiles have `kind` and `packed` (Base64 of a chunk
file) instead of `time` and `record`.
"""

from __future__ import annotations

import json
import math
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tailrace.model.chunk import Body, Group, Metadata
from tailrace.model.extension import Extension

SECOND = 1_000_000_000
TIME = re.compile(r"(\d{4,})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z")
EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
MOST_LINE_BYTES = 64 << 20


class DeadLetterError(ValueError):
    """A line that is no dead letter; says what is wrong."""


@dataclass(slots=True)
class DeadLetter:
    """One event, or one chunk of another signal, and why its output gave it up."""

    tag: str
    output: str
    plugin: str
    reason: str
    status: int = 0
    attempts: int = 1
    refused_at: int = 0
    """Nanoseconds since the epoch."""
    time: int = 0
    record: Body = field(default_factory=dict)
    metadata: Metadata = field(default_factory=dict)
    kind: str = "logs"
    packed: bytes = b""
    group: Group | None = None


def encode(letter: DeadLetter) -> bytes:
    """The line, with its newline."""
    made: dict[str, Any] = {
        "refused_at": time_text(letter.refused_at),
        "output": letter.output,
        "plugin": letter.plugin,
        "reason": letter.reason,
        "status": letter.status,
        "attempts": letter.attempts,
        "tag": letter.tag,
    }
    if letter.kind == "logs":
        made["time"] = time_text(letter.time)
        if letter.group is not None:
            made["group"] = group_value(letter.group)
        if letter.metadata:
            made["metadata"] = expressed(letter.metadata)
        made["record"] = expressed(letter.record)
    else:
        made["kind"] = letter.kind
        made["packed"] = b64encode(letter.packed).decode()
    text = json.dumps(made, ensure_ascii=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # halves of surrogate pairs, as bytes that were no UTF-8
        return json.dumps(made).encode() + b"\n"


def decode(line: bytes) -> DeadLetter:
    """The dead letter of a line, which a person may have changed."""
    if len(line) > MOST_LINE_BYTES:
        raise DeadLetterError(f"the line has {len(line)} bytes, more than {MOST_LINE_BYTES}")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DeadLetterError(f"it is no JSON: {error}") from error
    if not isinstance(value, dict) or not isinstance(value.get("tag"), str):
        raise DeadLetterError("it has no tag; a dead letter is an object with tag, time and record")
    letter = DeadLetter(
        tag=value["tag"],
        output=str(value.get("output", "")),
        plugin=str(value.get("plugin", "")),
        reason=str(value.get("reason", "")),
        status=number(value, "status"),
        attempts=number(value, "attempts"),
        refused_at=read_time(value.get("refused_at", "1970-01-01T00:00:00Z")),
        kind=str(value.get("kind", "logs")),
    )
    try:
        if letter.kind != "logs":
            letter.packed = b64decode(value["packed"], validate=True)
            return letter
        letter.time = read_time(value["time"])
        record, metadata = meant(value["record"]), meant(value.get("metadata", {}))
        if "group" in value:
            letter.group = read_group(value["group"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DeadLetterError(f"{error!s} is missing or wrong") from error
    if not isinstance(record, dict) or not isinstance(metadata, dict):
        raise DeadLetterError("record and metadata must be objects")
    letter.record, letter.metadata = record, metadata
    return letter


def group_value(group: Group) -> dict[str, Any]:
    """A group as it stands in a line."""
    return {"metadata": expressed(group.metadata), "attributes": expressed(group.body)}


def read_group(value: Any) -> Group:
    metadata, body = meant(value["metadata"]), meant(value["attributes"])
    if not isinstance(metadata, dict) or not isinstance(body, dict):
        raise DeadLetterError("metadata and attributes of a group must be objects")
    return Group(metadata, body)


def number(value: dict[str, Any], name: str) -> int:
    found = value.get(name, 0)
    if not isinstance(found, int):
        raise DeadLetterError(f"{name}: {found!r} is no whole number")
    return found


def time_text(time_ns: int) -> str:
    """UTC with nanoseconds; times outside the calendar are given as whole nanoseconds."""
    seconds, nanoseconds = divmod(time_ns, SECOND)
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return str(time_ns)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z".rjust(30, "0")


def read_time(text: Any) -> int:
    """Nanoseconds of what `time_text` gives; the fraction may be left out."""
    if isinstance(text, str) and (text.isdigit() or (text[:1] == "-" and text[1:].isdigit())):
        return int(text)
    found = TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise DeadLetterError(f"{text!r} is no time as 2026-01-05T09:12:44.120Z")
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    try:
        days = datetime(year, month, day, tzinfo=UTC).toordinal() - EPOCH_DAY
    except ValueError as error:
        raise DeadLetterError(f"{text!r} is no time: {error}") from error
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    return seconds * SECOND + int((found.group(7) or "0").ljust(9, "0"))


def expressed(value: Any) -> Any:
    """A value in words that JSON has."""
    if isinstance(value, dict):
        return {key: expressed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [expressed(item) for item in value]
    if isinstance(value, bytes):
        return {"$bytes": b64encode(value).decode()}
    if isinstance(value, Extension):
        return {"$extension": [value.code, b64encode(value.data).decode()]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    return value


def meant(value: Any) -> Any:
    """The value that `expressed` gave words for."""
    if isinstance(value, list):
        return [meant(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(key, item)] = value.items()
        if key == "$bytes" and isinstance(item, str):
            return b64decode(item, validate=True)
        if key == "$extension" and isinstance(item, list):
            code, data = item
            return Extension(number({"code": code}, "code"), b64decode(data, validate=True))
        if key == "$float" and item in ("nan", "inf", "-inf"):
            return float(item)
    return {key: meant(item) for key, item in value.items()}
