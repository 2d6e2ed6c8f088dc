"""Read times from text by a format, fast where texts repeat.

Logs name the same second many times over. So texts are looked up in bounded dictionaries: whole, or, where a fraction follows the
second, in pieces: what stands before the fraction, three or six digits of it, and the rest.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple

from tailrace.model.time.civil import NANOSECONDS
from tailrace.model.time.errors import TimeFormatError
from tailrace.model.time.program import Today, compile_format
from tailrace.model.time.zones import ToUtc, load_zone, parse_offset, system_to_utc, zone_to_utc

Parse = Callable[[str], int | None]
ParseMany = Callable[[Sequence[str]], list[int | None]]

MOST_TEXTS: Final = 4_096
"""How many texts a cache holds before it starts anew."""

LONGEST_TEXT: Final = 80
"""Longer texts are not kept."""


@cache
def _three_digits(unit: int) -> dict[str, int]:
    """Nanoseconds by three digits that count `unit` nanoseconds each."""
    return {f"{number:03}": number * unit for number in range(1000)}


_QUARTER_HOUR: Final = 900
# A text of the last days of December that is read in the first days of January is of the old year, and the other way
# round.
_ALMOST_A_YEAR: Final = 358 * 86_400 * NANOSECONDS
_LIMIT: Final = 2**63


class _Pieces(NamedTuple):
    """Nanoseconds of the whole second, of the fraction, and of the offset to take off."""

    whole: int
    fraction: int
    offset: int
    match: re.Match[str]


class TimeFormat:
    """Reads times of one format.

    - `time_format`: as for `strptime`, with `%L` for a fraction of a second.
    - `offset`: of times without a zone, as `+0200`.
    - `zone`: a place of the IANA database whose local times they are.
    - `system_timezone`: they are local times of the system's zone, whatever zone the text names.
    - `strict`: a text must have all parts of the format; else what was read counts, if the year is part of it.
    - `now`: seconds since the epoch, for formats without a year.

    `parse(text)` gives nanoseconds since the epoch, or None when the text does not match or the time is beyond 64 bits (before
    1677 or after 2262). Fluent Bit takes 0 for "no time". Raises `TimeFormatError` when made.

    Without `%Y`, `%y` or `%s` a time is of the present year, and without month or day, of today.
    Compat: around New Year it is of the year that is nearer, where Fluent Bit would be a year off.
    """

    def __init__(
        self,
        time_format: str,
        *,
        offset: str | None = None,
        zone: str | None = None,
        system_timezone: bool = False,
        strict: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.format = time_format
        self.has_year = any(sign in time_format for sign in ("%Y", "%y", "%s"))
        self.has_zone = any(sign in time_format for sign in ("%z", "%Z", "%SZ", "%S.%LZ"))
        self._now = now
        self._program = compile_format(time_format, strict=strict, with_year=self.has_year)
        self._set_zone(offset, zone, system_timezone)
        # Strict, a format that names no year can only be one like `%%Y`.
        self._today: Today = (None, 0, 0)
        self._present = 0
        self._valid = (0.0, 0.0)
        self._caches: list[dict[str, Any]] = []
        cached, self._many = (
            self._by_pieces() if self._program.separable and strict else self._by_text()
        )
        self._cached: Parse = cached
        self.parse: Parse = cached if self.has_year else self._parse_today

    def __repr__(self) -> str:
        return f"TimeFormat({self.format!r})"

    def parse_many(self, texts: Sequence[str]) -> list[int | None]:
        """`parse` for many texts."""
        if not self.has_year:
            self._refresh()
        return self._many(texts)

    def _set_zone(self, offset: str | None, zone: str | None, system_timezone: bool) -> None:
        if zone and system_timezone:
            raise TimeFormatError(
                f"time_zone {zone!r} and time_system_timezone exclude each other. Give one of them."
            )
        if zone and offset:
            raise TimeFormatError(
                f"time_zone {zone!r} and time_offset {offset!r} exclude each other. Give one of them."
            )
        place = load_zone(zone) if zone else None
        self._to_utc: ToUtc | None = None
        self._shift = 0
        self._clock: Callable[[float], Today] = _today_in_utc
        if system_timezone:
            # Compat: a zone in the text is read and ignored (conformance: parsers/time_system_timezone_with_zone).
            self._to_utc, self._clock = system_to_utc, _today_here
        elif place is not None and not self.has_zone:
            self._to_utc, self._clock = (
                zone_to_utc(place),
                lambda now: _date(datetime.fromtimestamp(now, place)),
            )
        elif offset and not self.has_zone:
            # Compat: seconds since the epoch are shifted too (conformance: parsers/time_offset_epoch).
            self._shift = parse_offset(offset)
        elif offset:
            parse_offset(offset)

    # One text

    def _time_of(self, text: str) -> int | None:
        pieces = self._read(text)
        if pieces is None:
            return None
        time_ns = pieces.whole + pieces.fraction - pieces.offset
        return time_ns if -_LIMIT <= time_ns < _LIMIT else None

    def _read(self, text: str) -> _Pieces | None:
        match = self._program.pattern.match(text)
        pieces = match and self._pieces(match, self._today)
        if match is None or not pieces or self.has_year:
            return pieces or None
        year, month, day = self._today
        ahead = pieces.whole - pieces.offset - self._present
        if year is None or abs(ahead) < _ALMOST_A_YEAR:
            return pieces
        return self._pieces(match, (year - 1 if ahead > 0 else year + 1, month, day))

    def _pieces(self, match: re.Match[str], today: Today) -> _Pieces | None:
        reading = self._program.read(match, *today)
        if reading is None:
            return None
        local, fraction, offset = reading
        if self._to_utc is None:
            return _Pieces(
                local * NANOSECONDS, fraction, (offset + self._shift) * NANOSECONDS, match
            )
        seconds = self._to_utc(local)
        return None if seconds is None else _Pieces(seconds * NANOSECONDS, fraction, 0, match)

    # Caches

    def _by_text(self) -> tuple[Parse, ParseMany]:
        cache = _Texts(self._time_of)
        self._caches = [cache]
        return cache.__getitem__, lambda texts: list(map(cache.__getitem__, texts))

    def _by_pieces(self) -> tuple[Parse, ParseMany]:
        """The head is the text up to the fraction; `groups` of three digits are looked up apart from the rest."""
        heads: dict[str, int] = {}
        rests: dict[str, int] = {}
        self._caches = [heads, rests]
        millis, micros = _three_digits(1_000_000), _three_digits(1_000)
        start = middle = end = groups = 0

        def parse(text: str) -> int | None:
            try:
                if groups == 0:
                    return heads[text[:start]] + rests[text[start:]]
                if groups == 1:
                    return heads[text[:start]] + millis[text[start:end]] + rests[text[end:]]
                return (
                    heads[text[:start]]
                    + millis[text[start:middle]]
                    + micros[text[middle:end]]
                    + rests[text[end:]]
                )
            except KeyError:
                return learn(text)

        def learn(text: str) -> int | None:
            nonlocal start, middle, end, groups
            pieces = self._read(text)
            if pieces is None or abs(pieces.whole) >= _LIMIT - 2 * _ALMOST_A_YEAR:
                return pieces and self._time_of(text)
            first, last = pieces.match.span(self._program.fraction)
            needed = (last - first - 1) // 3
            if needed > groups:
                groups = needed
                rests.clear()
            start, middle, end = first, first + 3, first + 3 * groups
            _keep(heads, text[:first], pieces.whole)
            if last >= end:
                _keep(rests, text[end:], pieces.fraction % 1000 ** (3 - groups) - pieces.offset)
            return pieces.whole + pieces.fraction - pieces.offset

        def parse_many(texts: Sequence[str]) -> list[int | None]:
            if not texts:
                return []
            parse(texts[0])  # between them they mostly have all seconds that there are
            parse(texts[-1])
            at, to = start, end
            try:
                if groups == 0:
                    return [heads[text[:at]] + rests[text[at:]] for text in texts]
                if groups == 1:
                    return [
                        heads[text[:at]] + millis[text[at:to]] + rests[text[to:]] for text in texts
                    ]
            except KeyError:
                pass
            return list(map(parse, texts))

        return parse, parse_many

    # Formats without a year

    def _parse_today(self, text: str) -> int | None:
        self._refresh()
        return self._cached(text)

    def _refresh(self) -> None:
        """Forget what was read by another day; checked four times an hour, since days begin at the quarter."""
        now = self._now()
        start, end = self._valid
        if start <= now < end:
            return
        for known in self._caches:
            known.clear()
        start = now - now % _QUARTER_HOUR
        self._valid = start, start + _QUARTER_HOUR
        self._present = int(now) * NANOSECONDS
        self._today = self._clock(now)


class _Texts(dict[str, int | None]):
    """Times by text, read when first asked for."""

    def __init__(self, read: Parse) -> None:
        self.read = read

    def __missing__(self, text: str) -> int | None:
        time_ns = self.read(text)
        _keep(self, text, time_ns)
        return time_ns


def _keep(cache: dict[str, Any], text: str, value: int | None) -> None:
    if len(cache) >= MOST_TEXTS:
        cache.clear()
    if len(text) <= LONGEST_TEXT:
        cache[text] = value


def _today_in_utc(now: float) -> Today:
    return _date(datetime.fromtimestamp(now, UTC))


def _today_here(now: float) -> Today:
    return _date(datetime.fromtimestamp(now))


def _date(now: datetime) -> Today:
    return now.year, now.month - 1, now.day
