"""Requests of profiles, opened no further than to count them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)

from tailrace.wire.otlp.errors import OtlpError
from tailrace.wire.otlp.profiles import count_profiles, json_text


def test_the_profiles_of_all_scopes_are_counted():
    request = ExportProfilesServiceRequest()
    for _ in range(2):
        scope = request.resource_profiles.add().scope_profiles.add()
        scope.profiles.add(time_unix_nano=5)
        scope.profiles.add()
    assert count_profiles(request.SerializeToString()) == 4


@given(st.binary(max_size=60))
def test_any_bytes_are_counted_or_refused(data):
    with suppress(OtlpError):
        assert count_profiles(data) >= 0


def test_what_is_no_protobuf_is_refused():
    with pytest.raises(OtlpError, match="no protobuf of profiles"):
        count_profiles(b"\xff")


def test_a_request_of_json_stays_what_it_is():
    assert json_text(b'{ "a": [1] }') == '{"a":[1]}'


@pytest.mark.parametrize("data", [b"[1]", b"{"])
def test_what_is_no_json_object_is_refused(data):
    with pytest.raises(OtlpError):
        json_text(data)
