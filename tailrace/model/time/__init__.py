"""Times: read from text by a format, and written for JSON and for names.

    TimeFormat("%Y-%m-%dT%H:%M:%S.%L%z").parse("2023-04-05T06:07:08.25Z")     -> 1680674828250000000
    date_encoder("iso8601")(1680674828250000000)                               -> b'"2023-04-05T06:07:08.250000Z"'

All times are whole nanoseconds since 1970-01-01 UTC, negative before.
"""

from tailrace.model.time.errors import TimeFormatError, UnknownConversionError
from tailrace.model.time.reading import TimeFormat
from tailrace.model.time.writing import DATE_FORMATS, date_encoder, date_values, strftime_ns
from tailrace.model.time.zones import parse_offset

__all__ = [
    "DATE_FORMATS",
    "TimeFormat",
    "TimeFormatError",
    "UnknownConversionError",
    "date_encoder",
    "date_values",
    "parse_offset",
    "strftime_ns",
]
