"""Offsets from UTC: numeric ones, abbreviations, the system's zone, and places of the IANA database."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from tailrace.model.time.errors import TimeFormatError

ToUtc = Callable[[int], int | None]
"""From the seconds that a local clock shows, counted as if it were UTC, to seconds since the epoch."""

_HOUR: Final = 3600

# Hours east of Greenwich. Ambiguous ones as Fluent Bit takes them: IST is India, CST America.
_HOURS: Final = {
    "GMT": 0, "UTC": 0, "UT": 0, "Z": 0,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "AKST": -9, "AKDT": -8, "HST": -10, "HADT": -9, "AST": -4, "ADT": -3, "NST": -3.5, "NDT": -2.5,
    "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "MSK": 3,
    "ART": -3, "BRT": -3, "BRST": -2, "CLT": -4, "CLST": -3,
    "AEST": 10, "AEDT": 11, "ACST": 9.5, "ACDT": 10.5, "AWST": 8, "NZST": 12, "NZDT": 13,
    "JST": 9, "KST": 9, "SGT": 8, "IST": 5.5, "GST": 4, "ICT": 7, "WIB": 7, "WITA": 8, "WIT": 9,
    "MYT": 8, "BDT": 6, "NPT": 5.75,
    "WAT": 1, "CAT": 2, "EAT": 3, "SAST": 2,
}  # fmt: skip
_EAST_LETTERS: Final = "ABCDEFGHIKLM"
_WEST_LETTERS: Final = "NOPQRSTUVWXY"
_MILITARY: Final = {
    **{letter: hours for hours, letter in enumerate(_EAST_LETTERS, 1)},
    **{letter: -hours for hours, letter in enumerate(_WEST_LETTERS, 1)},
}

ABBREVIATIONS: Final = {name: int(hours * _HOUR) for name, hours in (_HOURS | _MILITARY).items()}
"""Seconds east of Greenwich by upper-case name; all that `%Z` knows beside the system's own zone."""

_AMERICAN: Final = ("EST", "CST", "MST", "PST", "EDT", "CDT", "MDT", "PDT")
NUMERIC_ZONE: Final = (
    rf"GMT|UTC?+|Z|[+-][0-9]{{2}}+(?::?+[0-9]{{2}}|:?+(?![0-9]))|(?ai:{'|'.join(_AMERICAN)})"
)
"""What `%z` takes, as a regular expression."""

_CONFIGURED: Final = re.compile(r"([+-])([0-5][0-9]):?([0-5][0-9])")


def named_zone() -> str:
    """What `%Z` takes, as a regular expression: known abbreviations, then the names of the system's zone."""
    known = "|".join(sorted(ABBREVIATIONS, key=len, reverse=True))
    system = "|".join(re.escape(name) for name in time.tzname if name)
    return rf"(?ai:{known})(?![0-9A-Za-z])|GMT|UTC" + (f"|(?ai:{system})" if system else "")


class Offsets(dict[str, int]):
    """Seconds east of Greenwich by the text that `%z` or `%Z` found."""

    def __missing__(self, text: str) -> int:
        offset = self[text] = _offset(text)
        return offset


def _offset(text: str) -> int:
    if text[0] in "+-":
        digits = text[1:].replace(":", "")
        seconds = int(digits[:2]) * _HOUR + int(digits[2:] or 0) * 60
        return -seconds if text[0] == "-" else seconds
    # What is no known abbreviation is the name of the system's zone.
    return ABBREVIATIONS.get(text.upper(), -time.timezone)


def parse_offset(text: str) -> int:
    """Seconds east of Greenwich of a configured offset: `+0200`, `-03:30` or `Z`. Raises `TimeFormatError`."""
    if text == "Z":
        return 0
    found = _CONFIGURED.fullmatch(text)
    if found is None:
        raise TimeFormatError(f"{text!r} is not a time offset. Write it as +0200, -03:30 or Z.")
    seconds = int(found[2]) * _HOUR + int(found[3]) * 60
    return -seconds if found[1] == "-" else seconds


def system_to_utc(seconds: int) -> int | None:
    """Reads a local time of the system's zone, with its summer time."""
    shown = time.gmtime(seconds)
    try:
        return int(time.mktime((*shown[:8], -1)))
    except OverflowError:
        return None


def load_zone(name: str) -> tzinfo:
    """A place of the IANA database. Raises `TimeFormatError`."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise TimeFormatError(
            f"{name!r} is not a time zone of this system. Give a name as Europe/Berlin or UTC; "
            "the zones come with the system's tzdata."
        ) from error


def zone_to_utc(zone: tzinfo) -> ToUtc:
    """Reads local times of a place.

    A time that occurs twice is its first occurrence. One that a clock set forward leaves out is taken by the offset in force when UTC
    shows it.
    Compat: so does Fluent Bit (conformance: parsers/time_zone_option).
    """

    def to_utc(seconds: int) -> int | None:
        try:
            local = _EPOCH + timedelta(seconds=seconds)
        except OverflowError:
            return None
        first = _seconds_east(local.replace(tzinfo=zone))
        second = _seconds_east(local.replace(tzinfo=zone, fold=1))
        if first < second:
            first = _seconds_east(local.replace(tzinfo=UTC).astimezone(zone))
        return seconds - first

    return to_utc


_EPOCH: Final = datetime(1970, 1, 1)


def _seconds_east(local: datetime) -> int:
    offset = local.utcoffset()
    return 0 if offset is None else offset.days * 86_400 + offset.seconds
