"""Write times: dates as JSON values for outputs, and `strftime` for names of files and indexes.

Seconds repeat, so the text of each is made once; what is left per time are a few lookups (0.2 µs).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import repeat
from operator import mod
from typing import Any, Final

from tailrace.model.time.civil import NANOSECONDS, date_and_clock
from tailrace.model.time.errors import TimeFormatError

DateEncoder = Callable[[int], bytes]
"""From nanoseconds since the epoch to a JSON value."""

_MOST_SECONDS: Final = 1_024


@cache
def _digits(end: bytes = b"") -> list[bytes]:
    """The numbers of three digits, each with `end` behind it."""
    return [b"%03d" % number + end for number in range(1000)]


class _Seconds(dict[int, bytes]):
    """The text in front of the fraction, by second."""

    def __init__(self, write: Callable[[int], str]) -> None:
        self.write = write

    def __missing__(self, second: int) -> bytes:
        if len(self) >= _MOST_SECONDS:
            self.clear()
        text = self[second] = self.write(second).encode()
        return text


def _date_and_clock(second: int, separator: str) -> str:
    year, month, day, hour, minute, second_of_minute = date_and_clock(second)
    return f'"{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second_of_minute:02}.'


def _iso8601() -> DateEncoder:
    return _microseconds("T", b'Z"')


def _java_sql_timestamp() -> DateEncoder:
    return _microseconds(" ", b'"')


def _microseconds(separator: str, end: bytes) -> DateEncoder:
    digits, ends = _digits(), _digits(end)
    seconds = _Seconds(lambda second: _date_and_clock(second, separator))

    def encode(time_ns: int) -> bytes:
        second, rest = divmod(time_ns, NANOSECONDS)
        return seconds[second] + digits[rest // 1_000_000] + ends[rest // 1_000 % 1_000]

    return encode


def _iso8601_ns() -> DateEncoder:
    digits, ends = _digits(), _digits(b'Z"')
    seconds = _Seconds(lambda second: _date_and_clock(second, "T"))

    def encode(time_ns: int) -> bytes:
        second, rest = divmod(time_ns, NANOSECONDS)
        return (
            seconds[second]
            + digits[rest // 1_000_000]
            + digits[rest // 1_000 % 1_000]
            + ends[rest % 1_000]
        )

    return encode


def _double() -> DateEncoder:
    """Seconds as a floating point number of 16 digits, as C's `%.16g` writes it, but never as a whole number."""
    # Sixteen digits leave six behind the point where ten stand in front; until 2038 the binary number is 120 ns off.
    digits = _digits()
    short = [each.rstrip(b"0") for each in digits]  # 120 is "12"
    seconds = _Seconds(lambda second: f"{second}." if 1_000_000_000 <= second < 2**31 else "")

    def encode(time_ns: int) -> bytes:
        second = time_ns // NANOSECONDS
        rest = time_ns - second * NANOSECONDS
        head = seconds[second]
        micros = (rest + 500) // 1_000
        # Near the middle between two microseconds the nearest binary number decides.
        if not head or micros == 1_000_000 or not -380 < rest - micros * 1_000 < 380:
            return _as_double(second, rest)
        millis = micros // 1_000
        if micros := micros - millis * 1_000:
            return head + digits[millis] + short[micros]
        return head + (short[millis] or b"0")

    return encode


def _as_double(second: int, nanoseconds: int) -> bytes:
    text = b"%.16g" % (second + nanoseconds / NANOSECONDS)
    # Compat: Fluent Bit writes 1700000000 without .0 less than half a microsecond beside the second; a double stays one.
    return text if b"." in text or b"e" in text else text + b".0"


def _epoch() -> DateEncoder:
    return lambda time_ns: b"%d" % (time_ns // NANOSECONDS)


def _epoch_ms() -> DateEncoder:
    return lambda time_ns: b"%d" % (time_ns // 1_000_000)


_ENCODERS: Final[dict[str, Callable[[], DateEncoder]]] = {
    "double": _double,
    "iso8601": _iso8601,
    "iso8601_ns": _iso8601_ns,
    "java_sql_timestamp": _java_sql_timestamp,
    "epoch": _epoch,
    "epoch_ms": _epoch_ms,
    "epoch_millis": _epoch_ms,
    "epoch_milliseconds": _epoch_ms,
}

DATE_FORMATS: Final = tuple(_ENCODERS)
"""The names that `date_encoder` knows."""


@lru_cache(maxsize=64)
def date_encoder(name: str) -> DateEncoder:
    """What writes times as JSON values: `b'1700000000.5'`, `b'"2023-11-14T22:13:20.500000Z"'`.

    `name` is one of `DATE_FORMATS`, in any case. Raises `TimeFormatError`.
    """
    make = _ENCODERS.get(name.lower())
    if make is None:
        raise TimeFormatError(
            f"{name!r} is not a date format. There are {', '.join(DATE_FORMATS)}."
        )
    return make()


DateValues = Callable[[Sequence[int]], list[Any] | None]
"""From times to values whose JSON is what `date_encoder` writes; None if some have none."""


def date_values(name: str) -> DateValues:
    """Many dates at once, as values for a JSON encoder: for a double a third of what the texts cost."""
    name = name.lower()
    encode = date_encoder(name)
    if name == "double":
        return lambda times: _double_values(times, encode)
    if name == "epoch":
        return lambda times: [time // NANOSECONDS for time in times]
    if name.startswith("epoch_"):
        return lambda times: [time // 1_000_000 for time in times]
    return lambda times: [encode(time)[1:-1].decode() for time in times]


def _double_values(times: Sequence[int], encode: DateEncoder) -> list[float] | None:
    """Doubles of 16 digits. A number of microseconds, divided once, is printed with those digits and no others."""
    if not times or min(times) < 10**18 or max(times) >= 2**31 * NANOSECONDS:
        return None
    if not any(
        map(mod, times, repeat(1_000))
    ):  # whole microseconds, as most clocks give: half the cost
        return [time / NANOSECONDS for time in times]
    return [
        (time + 500) // 1_000 / 1e6 if not 380 <= time % 1_000 <= 620 else float(encode(time))
        for time in times
    ]


def strftime_ns(name_format: str, time_ns: int, *, local: bool = False) -> str:
    """A time by a format of C's `strftime`, in UTC or in the system's zone: `%Y.%m.%d` gives 2023.11.14."""
    return _strftime(name_format, time_ns // NANOSECONDS, local)


@lru_cache(maxsize=_MOST_SECONDS)
def _strftime(name_format: str, second: int, local: bool) -> str:
    return time.strftime(name_format, time.localtime(second) if local else time.gmtime(second))
