"""Days and seconds of the proleptic Gregorian calendar, for any year.

The standard library stops at the years 1 and 9999, text does not. Source: Howard Hinnant, "chrono-compatible low-level date
algorithms".
"""

from __future__ import annotations

from typing import Final

SECONDS_PER_DAY: Final = 86_400
NANOSECONDS: Final = 1_000_000_000

_MONTH_STARTS: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def days_before_month(year: int, month: int) -> int:
    """Days from 1970-01-01 to the first of a month, 0 to 11."""
    shifted = year - (month < 2)
    leap_days = shifted // 4 - shifted // 100 + shifted // 400 - 477
    return 365 * (year - 1970) + _MONTH_STARTS[month] + leap_days


def is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_of_year_day(year: int, year_day: int) -> tuple[int, int]:
    """Month, 0 to 11, and day of it, from 0, of a day of the year, from 0; day 365 of a common year is in month 12."""
    starts = [start + (is_leap(year) and month > 1) for month, start in enumerate(_MONTH_STARTS)]
    if year_day >= 365 + is_leap(year):
        return 12, year_day - 365 - is_leap(year)
    month = max(month for month, start in enumerate(starts) if start <= year_day)
    return month, year_day - starts[month]


def date_of(days: int) -> tuple[int, int, int]:
    """Year, month 1 to 12 and day of a number of days since 1970-01-01."""
    era, day_of_era = divmod(days + 719_468, 146_097)
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return year_of_era + era * 400 + (month <= 2), month, day


def date_and_clock(seconds: int) -> tuple[int, int, int, int, int, int]:
    """Year, month 1 to 12, day, hour, minute and second of a number of seconds since 1970-01-01."""
    days, second_of_day = divmod(seconds, SECONDS_PER_DAY)
    minutes, second = divmod(second_of_day, 60)
    return *date_of(days), *divmod(minutes, 60), second
