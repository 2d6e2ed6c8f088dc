"""What OTLP's messages in JSON are made of: documents, values, attributes.

Source: OpenTelemetry Protocol specification 1.x, "JSON Protobuf Encoding": 64-bit integers are texts, bytes are base64,
identifiers are hexadecimal, field names are in camelCase.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import orjson

from tailrace.model import Body
from tailrace.wire.json import Encoder

ENCODE = Encoder(escape_unicode=False).one
"""Text beyond ASCII stands as it is, as in Fluent Bit."""


def as_text(document: Body, pretty: bool) -> bytes:
    text = ENCODE(document)
    return orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2) if pretty else text


def key_values(items: Iterable[tuple[Any, Any]]) -> list[Body]:
    return [{"key": str(key), "value": any_value(value)} for key, value in items]


def any_value(value: Any) -> Body:
    """OTLP's `AnyValue`; null is the empty one."""
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case bytes():
            return {"bytesValue": b64encode(value).decode()}
        case list():
            return {"arrayValue": {"values": [any_value(each) for each in value]}}
        case dict():
            return {"kvlistValue": {"values": key_values(value.items())}}
    return {"stringValue": str(value)}


def with_attributes(made: Body, attributes: Body | None, dropped: int) -> Body:
    if attributes:
        made["attributes"] = key_values(attributes.items())
    if dropped > 0:
        made["droppedAttributesCount"] = dropped
    return made


def with_given(made: Body, **fields: str | None) -> Body:
    """`made` with those fields that are not None."""
    made.update((name, text) for name, text in fields.items() if text is not None)
    return made


def hex_of(identifier: bytes | None) -> str | None:
    return identifier.hex() if identifier else None
