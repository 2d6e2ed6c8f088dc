"""What a receiver of OTLP answers: how much it refused of a request that it took (partial success), and why it failed.

Source: OTLP specification, "Partial Success" and "OTLP/HTTP Response"; `google.rpc.Status` and `RetryInfo` for failures. An answer is
only read, never trusted: one that can't be read says nothing.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

REJECTED_NAMES = (
    "rejectedLogRecords",
    "rejectedDataPoints",
    "rejectedSpans",
    "rejectedProfiles",
)
RETRY_INFO = b"google.rpc.RetryInfo"
MOST_FIELDS = 1000


class PartialSuccess(NamedTuple):
    """`rejected` records were refused, for the reason in `text`; 0 and a text: a warning."""

    rejected: int = 0
    text: str = ""


class Failure(NamedTuple):
    """`after`: seconds that the server asks to wait, if it does."""

    text: str = ""
    after: float | None = None


def read_success(body: bytes, is_json: bool) -> PartialSuccess:
    """What an answer says of a request that was taken."""
    try:
        return success_of_json(body) if is_json else success_of_protobuf(body)
    except ValueError:
        return PartialSuccess()


def success_of_protobuf(body: bytes) -> PartialSuccess:
    rejected, said = 0, ""
    for number, value in fields(body):
        if number == 1 and isinstance(value, bytes):
            for inner, given in fields(value):
                if inner == 1 and isinstance(given, int):
                    rejected = given if given < 1 << 63 else 0
                elif inner == 2 and isinstance(given, bytes):
                    said = given.decode("utf-8", "replace")
    return PartialSuccess(rejected, said)


def success_of_json(body: bytes) -> PartialSuccess:
    document: Any = orjson.loads(body) if body.strip() else {}
    partial = document.get("partialSuccess") if isinstance(document, dict) else None
    if not isinstance(partial, dict):
        return PartialSuccess()
    given = next((partial[name] for name in REJECTED_NAMES if name in partial), 0)
    said = partial.get("errorMessage")
    rejected = int(given) if isinstance(given, int | str) else 0
    return PartialSuccess(max(rejected, 0), said if isinstance(said, str) else "")


def read_failure(body: bytes) -> Failure:
    """What a `google.rpc.Status` says, as protobuf."""
    said, after = "", None
    try:
        for number, value in fields(body):
            if number == 2 and isinstance(value, bytes):
                said = value.decode("utf-8", "replace")
            elif number == 3 and isinstance(value, bytes):
                detail = dict(fields(value))
                kind, content = detail.get(1), detail.get(2)
                if isinstance(kind, bytes) and kind.endswith(RETRY_INFO):
                    after = delay_of(content) if isinstance(content, bytes) else after
    except ValueError:
        return Failure()
    return Failure(said, after)


def read_failure_header(value: str) -> Failure:
    """As `read_failure`, of gRPC's trailer `grpc-status-details-bin` (base64)."""
    try:
        return read_failure(b64decode(value + "=" * (-len(value) % 4)))
    except ValueError:
        return Failure()


def delay_of(content: bytes) -> float | None:
    """Seconds of a `RetryInfo`."""
    delay = dict(fields(content)).get(1)
    if not isinstance(delay, bytes):
        return None
    parts = dict(fields(delay))
    seconds, nanos = parts.get(1, 0), parts.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int) or seconds >= 1 << 63:
        return None
    return seconds + nanos / 1e9


def fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protobuf message; `ValueError` if it is none."""
    at, count = 0, 0
    while at < len(content):
        count += 1
        if count > MOST_FIELDS:
            raise ValueError("a message of too many fields")
        tag, at = read_varint(content, at)
        kind = tag & 7
        if kind == 0:
            value, at = read_varint(content, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = read_varint(content, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of the unknown type {kind}")
        if at + size > len(content):
            raise ValueError("a message that ends too early")
        part = content[at : at + size]
        at += size
        yield tag >> 3, part if kind == 2 else int.from_bytes(part, "little")


def read_varint(content: bytes, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise ValueError("a message that ends too early")
        byte = content[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & 0xFFFF_FFFF_FFFF_FFFF, at
    raise ValueError("a number of more than ten bytes")
