"""Requests of profiles as text.

Profiles are an experimental signal whose messages still change; so they are only shown, in protobuf's own JSON form (bytes and
identifiers in base64), not taken apart.
"""

from __future__ import annotations

from importlib import import_module

from tailrace.wire.json import encode
from tailrace.wire.otlp.errors import OtlpError, messages
from tailrace.wire.otlp.values import document


def profiles_text(data: bytes, is_json: bool) -> str:
    """An `ExportProfilesServiceRequest` as one line of JSON; `OtlpError` if it is none."""
    if is_json:
        given = document(data)
        if type(given) is not dict:
            raise OtlpError("no object")
        return encode(given).decode()
    message = messages("collector.profiles.v1development.profiles_service")
    request = message.ExportProfilesServiceRequest()
    try:
        request.ParseFromString(data)
        json_format = import_module("google.protobuf.json_format")
        return str(json_format.MessageToJson(request, indent=None))
    except Exception as error:  # the library's DecodeError has no home that is imported already
        raise OtlpError(f"no protobuf of profiles: {error}") from None
