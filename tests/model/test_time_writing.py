"""Times written for JSON and for names."""

import json
import time
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.time import (
    DATE_FORMATS,
    TimeFormatError,
    date_encoder,
    date_values,
    strftime_ns,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
times = (
    st.integers(-(2**63), 2**63 - 1)
    | st.integers(0, 2**61)
    | st.integers(1_500_000_000, 2**31).map(lambda s: s * 10**9)
)


@pytest.mark.parametrize(
    ("name", "time_ns", "expected"),
    [
        ("double", 1_700_000_000_000_000_000, b"1700000000.0"),
        ("double", 1_700_000_000_500_000_000, b"1700000000.5"),
        ("double", 1_700_000_001_123_456_789, b"1700000001.123457"),
        ("double", 1_700_000_001_999_999_900, b"1700000002.0"),
        ("double", 1_700_000_001_000_100_000, b"1700000001.0001"),
        ("double", 1, b"1e-09"),
        ("double", -500_000_000, b"-0.5"),
        ("double", 0, b"0.0"),
        ("iso8601", 1_700_000_001_123_456_789, b'"2023-11-14T22:13:21.123456Z"'),
        ("iso8601", 4_102_444_801_000_000_000, b'"2100-01-01T00:00:01.000000Z"'),
        ("iso8601", -1, b'"1969-12-31T23:59:59.999999Z"'),
        ("iso8601_ns", 1_700_000_001_123_456_789, b'"2023-11-14T22:13:21.123456789Z"'),
        ("java_sql_timestamp", 1_700_000_001_123_456_789, b'"2023-11-14 22:13:21.123456"'),
        ("epoch", 1_700_000_001_999_999_999, b"1700000001"),
        ("epoch_ms", 1_700_000_001_123_999_999, b"1700000001123"),
        ("epoch_millis", 1_700_000_001_123_999_999, b"1700000001123"),
        ("epoch_milliseconds", 0, b"0"),
        ("ISO8601", 0, b'"1970-01-01T00:00:00.000000Z"'),
    ],
)
def test_each_format_writes_as_fluent_bit_does(name, time_ns, expected):
    assert date_encoder(name)(time_ns) == expected


@pytest.mark.parametrize("name", DATE_FORMATS)
@given(time_ns=times)
def test_every_time_gives_a_json_value(name, time_ns):
    assert isinstance(json.loads(date_encoder(name)(time_ns)), int | float | str)


def sixteen_digits(time_ns):
    second, nanoseconds = divmod(time_ns, 10**9)
    text = f"{float(second) + nanoseconds / 1e9:.16g}"
    return text if "." in text or "e" in text else text + ".0"


@given(times)
def test_a_double_has_sixteen_digits(time_ns):
    assert date_encoder("double")(time_ns).decode() == sixteen_digits(time_ns)


@given(st.integers(1_000_000_000, 2**32), st.integers(0, 10**6 - 1), st.integers(370, 630))
def test_a_double_between_two_microseconds_is_rounded_as_in_c(second, micros, nanos):
    time_ns = (second * 10**6 + micros) * 1000 + nanos
    assert date_encoder("double")(time_ns).decode() == sixteen_digits(time_ns)


@given(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)))
def test_iso8601_is_read_back(moment):
    time_ns = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) * 1000
    assert datetime.fromisoformat(json.loads(date_encoder("iso8601")(time_ns))) == moment.replace(
        tzinfo=UTC
    )


def test_many_seconds_are_written_and_few_remembered():
    encode = date_encoder("iso8601")
    written = [encode(second * 10**9) for second in range(5000)]
    assert written[-1] == b'"1970-01-01T01:23:19.000000Z"'
    assert written == [encode(second * 10**9) for second in range(5000)]


def test_an_unknown_format_is_named():
    with pytest.raises(
        TimeFormatError, match=r"'rfc822' is not a date format\. There are double, "
    ):
        date_encoder("rfc822")


def test_strftime_is_in_utc():
    assert strftime_ns("%Y.%m.%d-%H", 1_700_000_001_123_456_789) == "2023.11.14-22"


def test_strftime_knows_the_local_zone(monkeypatch):
    monkeypatch.setenv("TZ", "XYZ-3")
    time.tzset()
    try:
        assert strftime_ns("%d %H", 1_700_000_001_123_456_780, local=True) == "15 01"
    finally:
        monkeypatch.undo()
        time.tzset()


near = st.integers(10**9 + 1, 2**31 - 2).flatmap(
    lambda second: st.integers(-1000, 1000).map(lambda n: second * 10**9 + n)
)
now = st.integers(10**18, (2**31 - 1) * 10**9)


@given(st.sampled_from(DATE_FORMATS), st.lists(near | now, min_size=1))
def test_values_are_printed_as_the_encoder_prints_times(name, moments):
    values = date_values(name)(moments)
    assert [orjson.dumps(value) for value in values] == [
        date_encoder(name)(moment) for moment in moments
    ]


@given(st.lists(st.integers(10**15, 2**31 * 10**6 - 1), min_size=1, max_size=4))
def test_whole_microseconds_are_written_the_same_in_a_batch(micros):
    moments = [micro * 1_000 for micro in micros]
    values = date_values("double")(moments)
    assert [orjson.dumps(value) for value in values] == [
        date_encoder("double")(moment) for moment in moments
    ]


@pytest.mark.parametrize("time_ns", [0, -1, 10**18 - 1, 2**31 * 10**9])
def test_doubles_of_few_or_many_digits_have_no_values(time_ns):
    assert date_values("double")([10**18, time_ns]) is None
