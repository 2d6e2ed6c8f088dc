"""The text of profiles; the files beside hold what Fluent Bit 5.1.1 prints of the same request."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)

from tailrace.wire.otlp.errors import OtlpError
from tailrace.wire.otlp.profiles_text import profiles_text

TEXTS = ["", "cpu", "nanoseconds", "main", "main.c", "/bin/x", "thread", "b1", 'we"ird']


def a_request():
    request = ExportProfilesServiceRequest()
    add_tables(request.dictionary)
    resource = request.resource_profiles.add(schema_url="http://r")
    attributes = resource.resource.attributes
    attributes.add(key="service.name").value.string_value = "shop"
    attributes.add(key="n").value.int_value = 5
    kvlist = attributes.add(key="kv").value.kvlist_value
    kvlist.values.add(key="a").value.string_value = "b"
    attributes.add(key="l").value.array_value.values.add().string_value = "x"
    scope = resource.scope_profiles.add(schema_url="http://s")
    scope.scope.name, scope.scope.version = "lib", "1"
    profile = scope.profiles.add(
        time_unix_nano=5,
        duration_nano=6,
        period=7,
        profile_id=bytes(range(0xA0, 0xB0)),
        dropped_attributes_count=1,
        attribute_indices=[1, 2],
    )
    for kind in (profile.sample_type, profile.period_type):
        kind.type_strindex, kind.unit_strindex = 1, 2
    profile.samples.add(
        stack_index=1,
        link_index=1,
        values=[10, 20],
        attribute_indices=[1],
        timestamps_unix_nano=[100, 200],
    )
    profile.samples.add(values=[1], attribute_indices=[2, 3, 4, 5, 6, 0])
    return request


def add_tables(dictionary):
    dictionary.string_table.extend(TEXTS)
    dictionary.mapping_table.add()
    dictionary.mapping_table.add(memory_start=1, memory_limit=2, file_offset=3, filename_strindex=5)
    dictionary.function_table.add()
    dictionary.function_table.add(name_strindex=3, filename_strindex=4, start_line=7)
    dictionary.function_table.add(name_strindex=8)
    dictionary.location_table.add()
    location = dictionary.location_table.add(mapping_index=1, address=99)
    location.lines.add(function_index=1, line=8, column=2)
    dictionary.link_table.add()
    dictionary.link_table.add(trace_id=b"\1" * 16, span_id=b"\2" * 8)
    dictionary.stack_table.add()
    dictionary.stack_table.add(location_indices=[1])
    table = dictionary.attribute_table
    table.add()
    table.add(key_strindex=6).value.string_value = "t1"
    table.add(key_strindex=7).value.bool_value = True
    table.add(key_strindex=7).value.double_value = 1.5
    table.add(key_strindex=7).value.int_value = -4
    table.add(key_strindex=7).value.string_value = 'q"x'
    values = table.add(key_strindex=6).value.array_value.values
    values.add().string_value = "l1"
    values.add().int_value = 3


@pytest.mark.parametrize(
    ("with_tables", "golden"), [(False, "profiles.txt"), (True, "profiles_tables.txt")]
)
def test_profiles_are_printed_as_fluent_bit_prints_them(with_tables, golden):
    text = profiles_text(a_request().SerializeToString(), with_tables)
    assert text == Path(__file__).with_name(golden).read_text()


def test_numbers_that_stand_for_nothing_are_printed_themselves():
    request = ExportProfilesServiceRequest()
    request.dictionary.stack_table.add(location_indices=[0, 9])
    request.dictionary.location_table.add(mapping_index=3).lines.add(function_index=4)
    profile = request.resource_profiles.add().scope_profiles.add().profiles.add()
    profile.sample_type.type_strindex = 77
    profile.samples.add(attribute_indices=[5])
    text = profiles_text(request.SerializeToString())
    for line in (
        "Type : 77",
        "Location index : [ 0, 9]",
        "Attributes : [ <missing:5>]",
        "Mapping index : 3",
        "Function index : 4",
    ):
        assert f" {line}\n" in text


def test_no_profiles_are_no_text():
    assert profiles_text(b"") == ""


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_printed_or_refused(data, with_tables):
    try:
        text = profiles_text(data, with_tables)
    except OtlpError:
        return
    assert text == "" or text.startswith("Profiles :\n")
