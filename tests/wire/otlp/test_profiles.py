"""Requests of profiles as text."""

import json

import pytest
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)

from tailrace.wire.otlp.errors import OtlpError
from tailrace.wire.otlp.profiles import profiles_text


def test_a_request_of_protobuf_is_one_line_of_json():
    request = ExportProfilesServiceRequest()
    request.resource_profiles.add().scope_profiles.add().profiles.add(time_unix_nano=5)
    text = profiles_text(request.SerializeToString(), is_json=False)
    (profile,) = json.loads(text)["resourceProfiles"][0]["scopeProfiles"][0]["profiles"]
    assert profile == {"timeUnixNano": "5"}
    assert "\n" not in text


def test_a_request_of_json_stays_what_it_is():
    assert profiles_text(b'{ "a": [1] }', is_json=True) == '{"a":[1]}'


@pytest.mark.parametrize(("data", "is_json"), [(b"[1]", True), (b"{", True), (b"\xff", False)])
def test_what_is_no_request_is_refused(data, is_json):
    with pytest.raises(OtlpError):
        profiles_text(data, is_json)
