"""Requests of profiles: the experimental signal of OpenTelemetry (v1development), which is passed on as it came."""

from __future__ import annotations

from typing import Any

from tailrace.wire.json import encode
from tailrace.wire.otlp.errors import OtlpError, messages
from tailrace.wire.otlp.values import document


def read_profiles(data: bytes) -> Any:
    """The message of an `ExportProfilesServiceRequest`; `OtlpError` if it is none."""
    module = messages("collector.profiles.v1development.profiles_service")
    request = module.ExportProfilesServiceRequest()
    try:
        request.ParseFromString(data)
    except Exception as error:  # the library's DecodeError has no home that is imported already
        raise OtlpError(f"no protobuf of profiles: {error}") from None
    return request


def count_profiles(data: bytes) -> int:
    """How many profiles a request has; `OtlpError` if it is none."""
    return sum(
        len(scope.profiles)
        for resource in read_profiles(data).resource_profiles
        for scope in resource.scope_profiles
    )


def json_text(data: bytes) -> str:
    """A request that came as JSON, in one line; `OtlpError` if it is none."""
    given = document(data)
    if type(given) is not dict:
        raise OtlpError("no object")
    return encode(given).decode()
