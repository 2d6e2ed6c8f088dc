"""What the bodies of requests hold: JSON and forms."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from tailrace.model import Body
from tailrace.net.http_server.intake import Refusal
from tailrace.wire.json import decode_stream


def read_json(body: bytes) -> tuple[list[Body], int]:
    """The objects of a body, and how many items of its arrays are none; `Refusal` if it is not whole and right."""
    try:
        values = [orjson.loads(body)]
    except orjson.JSONDecodeError:
        values, consumed, error = decode_stream(body)
        if error is not None or body[consumed:].strip() or not values:
            raise Refusal(400, "unable to process records") from None
    records: list[Body] = []
    odd = 0
    for value in values:
        if type(value) is dict:
            records.append(value)
        elif type(value) is list:
            odd += take_objects(value, records)
        else:
            raise Refusal(400, "unable to process records")
    return records, odd


def take_objects(items: list[Any], records: list[Body]) -> int:
    """Add the objects of an array to the records; how many items are none."""
    if set(map(type, items)) <= {dict}:
        records += items
        return 0
    objects = [item for item in items if type(item) is dict]
    records += objects
    return len(items) - len(objects)


BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def read_form(body: bytes) -> Body:
    """One record of a form's fields; only values are decoded (conformance: http_form)."""
    record: Body = {}
    for field in body.decode("utf-8", "surrogateescape").split("&"):
        key, equals, value = field.removeprefix("\n").partition("=")
        if key and equals:
            record[key.strip()] = decode_form_value(value.strip())
    if not record:
        raise Refusal(400, "unable to process records")
    return record


def decode_form_value(text: str) -> str:
    """A value with `+` and percent signs decoded; one that is not written properly stays as it is."""
    if BROKEN_ESCAPE.search(text):
        return text
    plain = text.replace("+", " ").encode("utf-8", "surrogateescape")
    return unquote_to_bytes(plain).decode("utf-8", "surrogateescape")
