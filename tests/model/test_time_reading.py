"""Times read from text."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.time import TimeFormat, TimeFormatError, parse_offset
from tailrace.model.time.reading import LONGEST_TEXT, MOST_TEXTS

ISO = "%Y-%m-%dT%H:%M:%S.%L%z"
SECOND = 1_000_000_000


def seconds(time_format, text, **options):
    found = TimeFormat(time_format, **options).parse(text)
    return found if found is None else found / SECOND


def clock(year, month, day, hour=0, minute=0):
    moment = datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()
    return lambda: moment


def shown(time_ns, pattern="%Y-%m-%d %H:%M:%S"):
    return datetime.fromtimestamp(time_ns // SECOND, UTC).strftime(pattern)


@pytest.mark.parametrize(
    ("time_format", "text", "expected"),
    [
        ("%Y-%m-%d", "2024-02-29", 1709164800),
        ("%Y-%m-%d", "2024-2-9", 1707436800),
        ("%Y-%m-%d", "2023-02-29", 1677628800),
        ("%Y-%m-%d", "2024-13-01", None),
        ("%Y-%m-%d", "1815-06-18", -4876848000),
        ("%d/%m/%y", "05/06/68", 3106080000),
        ("%d/%m/%y", "05/06/69", -18144000),
        ("%C%y-%m-%d", "2005-06-07", 1118102400),
        ("%C%y-%m-%d", "1905-06-07", -2037657600),
        ("%a, %d %b %Y", "tuesday, 5 MARCH 2019", 1551744000),
        ("%a, %d %b %Y", "Xyz, 05 Mar 2019", None),
        ("%a, %d %b %Y", "Mon, 05 Mai 2019", None),
        ("%A %B %e %Y", "Wednesday October  3 2012", 1349222400),
        ("%h %d %Y", "Dec 31 1999", 946598400),
        ("%F", "2018-11-12", 1541980800),
        ("%D", "11/12/18", 1541980800),
        ("%x", "11/12/18", 1541980800),
        ("%c", "Mon Nov 12 01:02:03 2018", 1541984523),
        ("%Y-%j", "2020-060", 1582934400),
        ("%Y-%j", "2019-366", 1577836800),
        ("%Y-%j", "2019-367", None),
        ("%Y-%U-%W-%V %u %w %d %b", "2019-1-53-7 7 0 1 Jan", 1546300800),
        ("%Y-%U %d %b", "2019-54 1 Jan", None),
        ("%G %Y-%m-%d", "2019 2019-01-01", 1546300800),
        ("%Y-%m-%d %H:%M:%S", "2020-01-02 3:4:5", 1577934245),
        ("%Y-%m-%d %H:%M:%S", "2020-01-02 24:00:00", None),
        ("%Y-%m-%d %H:%M:%S", "2020-01-02 23:59:60", 1578009600),
        ("%Y-%m-%d %H:%M:%S", "2020-01-02 23:60:00", None),
        ("%Y-%m-%d %H:%M:%S", "2020-01-02", None),
        ("%Y-%m-%d %H:%M:%S", "2020-01-02 03:04:05 and more", 1577934245),
        ("%F %R", "2020-01-02 03:04", 1577934240),
        ("%F %T", "2020-01-02 03:04:05", 1577934245),
        ("%F %X", "2020-01-02 03:04:05", 1577934245),
        ("%F %r", "2020-01-02 11:22:33 PM", 1578007353),
        ("%F %I:%M %p", "2020-01-02 12:30 AM", 1577925000),
        ("%F %I:%M %p", "2020-01-02 12:30 PM", 1577968200),
        ("%F %I:%M %p", "2020-01-02 13:30 PM", None),
        ("%F %H:%M %p", "2020-01-02 13:30 PM", None),
        ("%F %k:%M", "2020-01-02 9:05", 1577955900),
        ("%F %l:%M%p", "2020-01-02 9:05PM", 1577999100),
        ("at %Y%%%mT%d%n%H%t%M", "at 2020%01T02 03\t04", 1577934240),
        ("%EY-%Om-%Od", "2020-01-02", 1577923200),
        ("%s", "1234567890", 1234567890),
        ("%s", "9" * 19, None),
        ("%s", "9" * 5000, None),
        ("%s", "999999999999999999", None),
        ("%Y", "2020", 1577750400),
        ("%%Y", "%Y", None),
        ("%Y", "", None),
        ("%Y-%m-%d", "٢٠٢٠-01-01", None),
    ],
)
def test_a_conversion_reads_what_fluent_bit_reads(time_format, text, expected):
    assert seconds(time_format, text) == expected


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("07.1", 100_000_000),
        ("07.12", 120_000_000),
        ("07.123", 123_000_000),
        ("07.123456", 123_456_000),
        ("07.123456789", 123_456_789),
        ("07.000000001", 1),
        ("07.123456789123", 123_456_789),
        ("07.5 trailing", 500_000_000),
        ("07.", None),
        ("07.x", None),
        ("07", None),
    ],
)
def test_a_fraction_has_one_to_nine_digits(text, nanoseconds):
    time_ns = TimeFormat("%Y-%m-%d %H:%M:%S.%L").parse(f"2021-03-04 05:06:{text}")
    assert time_ns == (None if nanoseconds is None else 1614834367 * SECOND + nanoseconds)


def test_every_fraction_is_exact():
    parse = TimeFormat("%s.%L").parse
    for fraction in ["000017066", "57", "29", "999999999", "1", "01"]:
        assert parse(f"1.{fraction}") == SECOND + int(fraction.ljust(9, "0"))


@pytest.mark.parametrize(
    ("time_format", "text", "expected"),
    [
        ("%Y-%m-%dT%H:%M:%S.%LZ", "2021-03-04T05:06:07.5Z", 1614834367.5),
        ("%Y-%m-%dT%H:%M:%S.%LZ", "2021-03-04T05:06:07.5", None),
        ("%d %H:%M:%S.%L %Y-%m", "04 05:06:07.75 2021-03", 1614834367.75),
        ("%Y-%m-%d %I:%M:%S,%L %p", "2021-03-04 05:06:07,25 PM", 1614877567.25),
        (ISO, "2021-03-04T05:06:07.250+0100", 1614830767.25),
        (ISO, "2021-03-04T05:06:07.25-03:30", 1614846967.25),
        (ISO, "2021-03-04T05:06:07.1234567891Z", None),
        ("%S%L %Y-%m-%d", "075 2021-03-04", 1614816007.5),
    ],
)
def test_a_fraction_may_stand_anywhere(time_format, text, expected):
    assert seconds(time_format, text) == expected


@pytest.mark.parametrize(
    ("zone", "offset_hours"),
    [
        ("+0200", 2), ("-02:30", -2.5), ("+05", 5), ("+05:", 5), ("Z", 0), (" GMT", 0), (" UTC", 0), (" UT", 0),
        (" EST", -5), (" pdt", -7), ("+1400", 14), ("", None), ("+2", None), ("+020", None), (" XYZ", None), (" gmt", None),
    ],
)  # fmt: skip
def test_numeric_zones(zone, offset_hours):
    expected = None if offset_hours is None else 1651820889 - offset_hours * 3600
    assert seconds("%Y-%m-%dT%H:%M:%S%z", f"2022-05-06T07:08:09{zone}") == expected


@pytest.mark.parametrize(
    ("zone", "offset_hours"),
    [
        ("UTC", 0), ("UTCx", 0), ("CEST", 2), ("jst", 9), ("IST", 5.5), ("NPT", 5.75), ("EST", -5), ("Z", 0), ("A", 1),
        ("Y", -12), ("J", None), ("NOPE", None), ("CESTX", None), ("+0100", None),
    ],
)  # fmt: skip
def test_named_zones(zone, offset_hours, monkeypatch):
    monkeypatch.setattr(time, "tzname", ("UTC", "UTC"))
    expected = None if offset_hours is None else 1651820889 - offset_hours * 3600
    assert seconds("%Y-%m-%d %H:%M:%S %Z", f"2022-05-06 07:08:09 {zone}") == expected


@pytest.mark.parametrize(
    ("time_format", "text", "offset", "expected"),
    [
        ("%Y-%m-%d %H:%M:%S", "2022-05-06 07:08:09", "+0200", 1651813689),
        ("%Y-%m-%d %H:%M:%S", "2022-05-06 07:08:09", "-03:30", 1651833489),
        ("%Y-%m-%d %H:%M:%S", "2022-05-06 07:08:09", "Z", 1651820889),
        ("%Y-%m-%d %H:%M:%S.%L", "2022-05-06 07:08:09.5", "+0545", 1651800189.5),
        ("%Y-%m-%d %H:%M:%S %z", "2022-05-06 07:08:09 -0100", "+0200", 1651824489),
        ("%Y-%m-%dT%H:%M:%SZ", "2022-05-06T07:08:09Z", "+0200", 1651820889),
        ("%s", "1234567890", "+0200", 1234560690),
    ],
)
def test_an_offset_is_for_times_without_a_zone(time_format, text, offset, expected):
    assert seconds(time_format, text, offset=offset) == expected


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        ("America/New_York", "2022-01-15 12:00:00", 1642266000),
        ("America/New_York", "2022-07-15 12:00:00", 1657900800),
        ("America/New_York", "2022-03-13 02:30:00", 1647156600),
        ("America/New_York", "2022-11-06 01:30:00", 1667712600),
        ("Europe/Berlin", "2022-03-27 02:30:00", 1648341000),
        ("Asia/Kolkata", "2022-01-15 12:00:00", 1642228200),
        ("UTC", "2022-01-15 12:00:00", 1642248000),
        ("Europe/Berlin", "2080-07-01 12:00:00", 3487053600),
    ],
)
def test_a_zone_reads_local_times_with_summer_time(zone, text, expected):
    assert seconds("%Y-%m-%d %H:%M:%S", text, zone=zone) == expected


def test_a_zone_in_the_text_wins():
    assert (
        seconds("%Y-%m-%d %H:%M:%S %z", "2022-01-15 12:00:00 +0100", zone="Asia/Kolkata")
        == 1642244400
    )


@pytest.fixture
def local_zone(monkeypatch):
    def set_zone(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


def test_system_timezone_reads_local_times(local_zone):
    local_zone("EST5EDT,M3.2.0,M11.1.0")
    options = {"system_timezone": True, "offset": "+0900"}
    assert seconds("%Y-%m-%d %H:%M:%S", "2022-01-15 12:00:00", **options) == 1642266000
    assert seconds("%Y-%m-%d %H:%M:%S.%L", "2022-07-15 12:00:00.25", **options) == 1657900800.25
    # 1969-12-31 18:59:59 local is -1, which C's mktime also gives for an error.
    assert seconds("%Y-%m-%d %H:%M:%S", "1969-12-31 18:59:59", **options) == -1


def test_system_timezone_ignores_the_zone_of_the_text(local_zone):
    local_zone("XYZ-3")
    parse = TimeFormat("%Y-%m-%d %H:%M:%S.%L %z", system_timezone=True).parse
    assert (
        parse("2022-01-15 12:00:00.0 +0000")
        == parse("2022-01-15 12:00:00.0 -0800")
        == 1642237200 * SECOND
    )


def test_the_system_zone_has_a_name(local_zone):
    local_zone("XYZ-3")
    assert seconds("%Y-%m-%d %Z", "2022-01-15 xyz") == 1642194000


# Formats without a year or a date


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        (clock(2023, 11, 14), "Jun 15 12:34:56", "2023-06-15 12:34:56"),
        (clock(2023, 1, 20), "Jun  5 01:02:03", "2023-06-05 01:02:03"),
        (clock(2024, 1, 1), "Dec 31 23:59:59", "2023-12-31 23:59:59"),
        (clock(2023, 12, 31, 23, 59), "Jan  1 00:00:01", "2024-01-01 00:00:01"),
        (clock(2024, 1, 20), "Dec 31 23:59:59", "2024-12-31 23:59:59"),
        (clock(2024, 3, 1), "Feb 29 00:00:00", "2024-02-29 00:00:00"),
    ],
)
def test_a_time_without_a_year_is_in_the_present_one_or_around_new_year_in_the_nearer(
    now, text, expected
):
    time_format = TimeFormat("%b %d %H:%M:%S", now=now)
    assert shown(time_format.parse(text)) == expected
    assert time_format.parse_many([text]) == [time_format.parse(text)]


def test_a_clock_time_is_of_today():
    assert (
        shown(TimeFormat("%H:%M:%S", now=clock(2023, 11, 14, 23)).parse("12:34:56"))
        == "2023-11-14 12:34:56"
    )


def test_today_is_the_day_of_the_zone(local_zone):
    midnight_in_berlin = clock(2023, 11, 14, 23, 30)
    in_berlin = TimeFormat("%H:%M", zone="Europe/Berlin", now=midnight_in_berlin).parse("00:29")
    assert shown(in_berlin) == "2023-11-14 23:29:00"
    local_zone("XYZ-3")
    here = TimeFormat("%H:%M", system_timezone=True, now=midnight_in_berlin).parse("02:29")
    assert shown(here) == "2023-11-14 23:29:00"


def test_a_new_day_is_noticed():
    moment = datetime(2023, 11, 14, 23, 59, 59, tzinfo=UTC).timestamp()
    time_format = TimeFormat("%H:%M:%S.%L", now=lambda: moment)
    assert shown(time_format.parse("12:34:56.5")) == "2023-11-14 12:34:56"
    moment += 1
    assert shown(time_format.parse("12:34:56.5")) == "2023-11-15 12:34:56"
    moment += 86400
    assert [shown(time_ns) for time_ns in time_format.parse_many(["12:34:56.5"])] == [
        "2023-11-16 12:34:56"
    ]
    moment -= 86400
    assert shown(time_format.parse("12:34:56.5")) == "2023-11-15 12:34:56"


def test_a_year_inside_a_composed_conversion_stays():
    assert (
        shown(TimeFormat("%F", now=clock(2023, 1, 1)).parse("1999-12-31"), "%Y-%m-%d")
        == "1999-12-31"
    )


# Strict or not


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2021-03-04T05:06:07.5Z", 1614834367.5),
        ("2021-03-04T05:06:07+0100", 1614834367),
        ("2021-03-04T05:06:07.5", 1614834367.5),
        ("2021-03-04T05:06", 1614834360),
        ("2021-03-04", 1614816000),
        ("2021-03-32T05:06:07.5Z", 1614470400),
        ("2021-xx", 1609372800),
        ("garbage", None),
        ("-", None),
        ("", None),
    ],
)
def test_not_strict_what_was_read_counts(text, expected):
    assert seconds(ISO, text, strict=False) == expected


def test_not_strict_a_partial_text_does_not_spoil_a_whole_one():
    time_format = TimeFormat(ISO, strict=False)
    time_format.parse("2021-03-32T05:06:07.5Z")
    assert time_format.parse("2021-03-04T05:06:07.5Z") == 1614834367 * SECOND + 500_000_000


# Mistakes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_format": "%Y-%Q"}, "%Q is not known"),
        ({"time_format": "%Y %3N"}, "%3 is not known"),
        ({"time_format": "%Y %N"}, "Use %L"),
        ({"time_format": "%L %L"}, "only one %L"),
        ({"time_format": "%Y %"}, "% stands at the end"),
        ({"time_format": "%EH"}, "%EH is not known"),
        ({"time_format": "%EEY"}, "%EE is not known"),
        ({"time_format": "%E"}, "%E is not known"),
        ({"time_format": "%Y", "offset": "Berlin"}, "'Berlin' is not a time offset"),
        ({"time_format": "%Y", "offset": "+2"}, "Write it as"),
        ({"time_format": "%Y", "zone": "Europe/Atlantis"}, "'Europe/Atlantis' is not a time zone"),
        ({"time_format": "%Y", "zone": "../etc/passwd"}, "is not a time zone"),
        ({"time_format": "%Y", "zone": "Europe"}, "is not a time zone"),
        ({"time_format": "%Y", "zone": "UTC", "offset": "Z"}, "exclude each other"),
        ({"time_format": "%Y", "zone": "UTC", "system_timezone": True}, "exclude each other"),
    ],
)
def test_a_mistake_is_found_when_the_format_is_made(options, message):
    with pytest.raises(TimeFormatError, match=message):
        TimeFormat(**options)


@pytest.mark.parametrize(
    ("text", "expected"), [("Z", 0), ("+0200", 7200), ("-03:30", -12600), ("+0000", 0)]
)
def test_an_offset_is_read(text, expected):
    assert parse_offset(text) == expected


# Caches

moments = st.datetimes(
    datetime(1700, 1, 1), datetime(2200, 1, 1), timezones=st.timezones() | st.none()
)
fractions = st.text("0123456789", min_size=1, max_size=9)


@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
            fractions,
            st.integers(-840, 840),
        )
    )
)
def test_iso_times_are_read_in_any_order(parts):
    time_format = TimeFormat(ISO)
    texts, expected = [], []
    for moment, fraction, minutes in parts * 2:
        zone = timezone(timedelta(minutes=minutes))
        whole = moment.replace(microsecond=0, tzinfo=zone)
        texts.append(f"{whole:%Y-%m-%dT%H:%M:%S}.{fraction}{whole:%z}")
        seconds_since = (whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
        expected.append(seconds_since * SECOND + int(fraction.ljust(9, "0")))
    assert time_format.parse_many(texts) == expected
    assert [time_format.parse(text) for text in texts] == expected


FORMATS = [
    ISO, "%Y-%m-%d %H:%M:%S,%L", "%s.%L", "%S%L %Y", "%d/%b/%Y:%H:%M:%S %z", "%b %e %H:%M:%S", "%H:%M:%S.%L%t%p",
    "%c", "%D %r", "%Y %j.%L%z", "%G-%U %Z %C%y.%L", "%e.%L %B",
]  # fmt: skip
now_and_then = st.integers(0, 2**33).map(time.gmtime)


@given(
    st.sampled_from(FORMATS),
    st.booleans(),
    st.lists(
        st.tuples(
            now_and_then,
            fractions,
            st.sampled_from(["+0200", "Z", " EST", "-03:30", ""]),
            st.text(max_size=2),
        )
    ),
)
def test_what_was_read_before_makes_no_difference(time_format, strict, parts):
    options = {"strict": strict, "now": clock(2023, 11, 14)}
    remembering = TimeFormat(time_format, **options)
    for moment, fraction, zone, rest in parts * 2:
        template = (
            time_format.replace("%L", fraction).replace("%z", zone).replace("%Z", zone or "UTC")
        )
        text = time.strftime(template, moment) + rest
        assert remembering.parse(text) == TimeFormat(time_format, **options).parse(text)


@given(
    st.sampled_from(FORMATS),
    st.booleans(),
    st.lists(st.tuples(now_and_then, fractions, st.sampled_from(["+0200", "Z", ""])), max_size=6),
)
def test_many_texts_are_read_as_each_for_itself(time_format, strict, parts):
    texts = [
        time.strftime(time_format.replace("%L", fraction).replace("%z", zone), moment)
        for moment, fraction, zone in parts
    ]
    made = TimeFormat(time_format, strict=strict, now=clock(2023, 11, 14))
    expected = [made.parse(text) for text in texts]
    assert made.parse_many(texts) == expected
    fresh = TimeFormat(time_format, strict=strict, now=clock(2023, 11, 14))
    assert fresh.parse_many(texts) == expected


@given(st.sampled_from(FORMATS), st.booleans(), st.text())
def test_any_text_is_a_time_or_none(time_format, strict, text):
    found = TimeFormat(time_format, strict=strict).parse(text)
    assert found is None or -(2**63) <= found < 2**63


@given(
    st.text(st.sampled_from("%aAbBcCdDeEFgGhHIjklLmMnOprRsStTuUVwWxXyYzZ -:.é"), max_size=12),
    st.booleans(),
    st.text(),
)
def test_any_format_works_or_is_refused(time_format, strict, text):
    try:
        made = TimeFormat(time_format, strict=strict)
    except TimeFormatError:
        return
    found = made.parse(text)
    assert found is None or isinstance(found, int)


@pytest.mark.parametrize(
    "text", ["2262-04-11T23:47:16.854775807Z", "1677-09-21T00:12:43.145224192Z"]
)
def test_the_limits_of_64_bits_are_read(text):
    assert abs(TimeFormat(ISO).parse(text)) >= 2**63 - 1


@pytest.mark.parametrize(
    "text",
    ["2262-04-11T23:47:16.854775808Z", "1677-09-21T00:12:43.145224191Z", "9999-01-01T00:00:00.0Z"],
)
def test_beyond_64_bits_there_is_no_time(text):
    time_format = TimeFormat(ISO)
    assert time_format.parse(text) is None
    assert time_format.parse(text) is None


@pytest.mark.parametrize(
    "time_format", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%L", "%H:%M:%S.%L"]
)
def test_caches_are_bounded(time_format):
    made = TimeFormat(time_format)
    for second in range(3 * MOST_TEXTS):
        made.parse(
            time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))
            + f".{second}"
            + "x" * (second % LONGEST_TEXT)
        )
    assert all(len(cache) <= MOST_TEXTS for cache in made._caches)
    assert all(len(text) <= LONGEST_TEXT for cache in made._caches for text in cache)
