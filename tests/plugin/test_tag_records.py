import pytest

from tailrace.config.errors import ConfigError
from tailrace.plugin.tag_records import TagRecords, read_input_telemetry, read_service_telemetry


def block(**innermost):
    return {"metrics": {"logs": {"tag_records": innermost}}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (block(enabled="true", max_series="20", max_tag_length="-1"), TagRecords(True, 20, -1)),
        (block(Enabled="on"), TagRecords(True, 500, 128)),
        ({"metrics": {}}, TagRecords()),
        ({}, TagRecords()),
    ],
)
def test_the_service_has_a_switch_and_two_limits(value, expected):
    assert read_service_telemetry(value) == expected


def test_an_input_has_the_switch_alone():
    assert read_input_telemetry(block(enabled="false")) is False
    assert read_input_telemetry(block()) is None
    with pytest.raises(ConfigError, match="has no 'max_series' here"):
        read_input_telemetry(block(max_series="3"))


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("on", "'telemetry' must be a map"),
        ({"metrics": "on"}, "'telemetry.metrics' must be a map"),
        ({"metricz": {}}, "has no 'metricz' here. Did you mean 'metrics'"),
        (block(max_series="10abc"), "'10abc' is no whole number"),
        (block(max_series="3000000000"), "no whole number of 32 bit"),
        (block(enabled="perhaps"), "no boolean"),
    ],
)
def test_a_mistake_is_an_error_as_in_fluent_bit(value, what):
    with pytest.raises(ConfigError, match=what):
        read_service_telemetry(value)
