"""What all parsers share: their options, the event's time, types of values, decoders of fields.

`make_parser` turns a `[PARSER]` section into a parser by its `format`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tailrace.config import ConfigError, option
from tailrace.config.errors import FAILED_LOAD, Problems
from tailrace.config.options import option_table
from tailrace.config.source import Section
from tailrace.config.types import split_words
from tailrace.model import Body
from tailrace.plugin import registry
from tailrace.plugin.base import Parsed, Parser, ParserOptions
from tailrace.plugin.decoding import Decoding, make_decoding


class ParsingOptions(ParserOptions):
    """What every parser of a parsers file takes."""

    format: str = option("")
    """json, regex, ltsv or logfmt."""

    time_key: str = option("")
    """The field with the event's time."""

    time_format: str = option("")
    """How that time is written, with strptime's letters and %L for fractions of a second."""

    time_keep: bool = option(False)
    """Leave the time's field in the body."""

    time_offset: str = option("")
    """The zone of times that name none, as: +0200."""

    time_zone: str = option("", aliases=("time_zone_name",))
    """The place whose local time times without a zone are, as: Europe/Berlin."""

    time_system_timezone: bool = option(False)
    """Read times without a zone in the system's own zone."""

    time_strict: bool = option(True)
    """Refuse a time that lacks parts of its format."""

    types: str = option("")
    """Types of fields, as: `code:integer took:float ok:bool`."""

    skip_empty_values: bool = option(True)
    """Leave out fields that are empty (regex)."""

    decode_field: list[str] = option(many=True)
    """Decode a field and add what is in it: `json log [try_next|do_next]`."""

    decode_field_as: list[str] = option(many=True)
    """Decode a field and replace its text: `escaped_utf8 log do_next`."""


def make_parser(section: Section, problems: Problems) -> Parser[Any] | None:
    """The parser that a section defines; what is wrong goes into `problems`."""
    where = f"parser {section.text('name') or '(without a name)'}"
    format_entry = section.last("format")
    name = section.text("format").lower()
    if format_entry is None or not name:
        problems.add(
            "format is missing.", mend="Add: format regex.", place=section.place, where=where
        )
        return None
    try:
        cls = registry.find("parser", name)
    except ConfigError:
        known = ", ".join(registry.names("parser"))
        problems.add(
            f"format '{name}' is not known.",
            mend=f"There are: {known}.",
            place=format_entry.place,
            where=where,
        )
        return None
    found = Problems()
    options_class = registry.options_class(cls)
    table = option_table(options_class)
    entries = []
    for entry in section.entries:
        if table.find(entry.name) is not None:
            entries.append(entry)
            continue
        # Compat: parsers files are shared between versions; what one does not know it passes over.
        problems.add(
            f"property '{entry.key}' is not known and is passed over.",
            place=entry.place,
            where=where,
            severity="warning",
        )
    options = options_class.read(entries, found, where, section.place, frozenset())
    for problem in found:
        problems.add(
            problem.what, mend=problem.mend, place=problem.place, where=where, exit_code=FAILED_LOAD
        )
    if options is None:
        return None
    try:
        made: Parser[Any] = cls(options)
    except ConfigError as error:
        problems.add(error.what, mend=error.mend, place=section.place, where=where)
        return None
    for warning in getattr(made, "warnings", ()):
        problems.add(warning, place=section.place, where=where, severity="warning")
    return made


# Time

if TYPE_CHECKING:
    from tailrace.model.time import TimeFormat

ParseTime = Callable[[str], "int | None"]
ParseTimes = Callable[[Sequence[str]], "list[int | None]"]


def time_format(options: ParsingOptions) -> TimeFormat | None:
    """The form of the event's time, or None if the options give none."""
    from tailrace.model.time import TimeFormat, TimeFormatError

    # Compat: time_system_timezone wins over time_offset (conformance: parsers/time_system_timezone).
    offset = "" if options.time_system_timezone else options.time_offset
    if options.time_offset and options.time_zone:
        raise ConfigError("time_offset and time_zone exclude each other.", "Keep one.")
    if not options.time_format:
        return None
    try:
        return TimeFormat(
            options.time_format,
            offset=offset or None,
            zone=options.time_zone or None,
            system_timezone=options.time_system_timezone,
            strict=options.time_strict,
        )
    except TimeFormatError as error:
        raise ConfigError(f"time_format: {error}") from error


def take_times(
    bodies: Sequence[Body | None],
    key: str,
    parse: ParseTime,
    keep: bool,
    drop_bad: bool,
    parse_many: ParseTimes | None = None,
) -> list[int | None]:
    """The times in the bodies, taken out of them unless they are kept.

    `drop_bad`: what is no time is taken out as well (regex; conformance: parsers/time_strict).
    `parse_many` is for the usual case, in which all bodies have a time: half of what one by one costs.
    """
    if parse_many is not None and (found := times_of_all(bodies, key, parse_many)) is not None:
        if not keep:
            for body in bodies:
                del body[key]  # type: ignore[union-attr]  # each has it
        return found
    times: list[int | None] = [None] * len(bodies)
    for index, body in enumerate(bodies):
        if body is None:
            continue
        text = body.get(key)
        if type(text) is not str:
            continue
        time = parse(text)
        if time:
            times[index] = time
        if not keep and (time is not None or drop_bad):
            del body[key]
    return times


def times_of_all(
    bodies: Sequence[Body | None], key: str, parse_many: ParseTimes
) -> list[int | None] | None:
    """The time of each body, or None if one has none."""
    try:
        texts = [body[key] for body in bodies]  # type: ignore[index]  # None raises TypeError
    except (KeyError, TypeError):
        return None
    if set(map(type, texts)) != {str}:
        return None
    times = parse_many(texts)
    return times if all(times) else None


# Types

NUMBER = re.compile(r"\s*([+-]?)0*([0-9]{0,20})")
FRACTION = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
HEX = re.compile(r"\s*([+-]?)(?:0[xX])?0*([0-9a-fA-F]+)")
Convert = Callable[[str], Any]


def to_integer(text: str) -> int:
    """The number that the text begins with, 0 if with none; within 64 bit."""
    if text.isdecimal() and len(text) < 19:
        return int(text)
    try:
        number = int(text) if "_" not in text else leading_integer(text)
    except ValueError:
        number = leading_integer(text)
    return max(-(1 << 63), min(number, (1 << 63) - 1))


def leading_integer(text: str) -> int:
    """Twenty digits are beyond 64 bit already; Python refuses to read thousands."""
    sign, digits = NUMBER.match(text).groups()  # type: ignore[union-attr]  # it matches anything
    return int(sign + (digits or "0"))


def to_float(text: str) -> float:
    try:
        return float(text) if "_" not in text else leading_float(text)
    except ValueError:
        return leading_float(text)


def leading_float(text: str) -> float:
    found = FRACTION.match(text)
    return float(found.group()) if found else 0.0


def to_hex(text: str) -> int:
    """The hexadecimal number that the text begins with, within 64 bit; a negative one counts back from 2^64."""
    found = HEX.match(text)
    if found is None:
        return 0
    number = min(int(found.group(2)[:20], 16), (1 << 64) - 1)
    return -number % (1 << 64) if found.group(1) == "-" else number


def to_bool(text: str) -> Any:
    """true and false by how the text begins; other text stays."""
    word = text[:5].lower()
    if word.startswith("true"):
        return True
    return False if word == "false" else text


CONVERSIONS: dict[str, Convert] = {
    "integer": to_integer,
    "float": to_float,
    "hex": to_hex,
    "bool": to_bool,
    "string": str,
}


def conversions(types: str, warnings: list[str]) -> dict[str, Convert]:
    """Conversions by field of `a:integer b:float`. Unknown types are warned of: text stays."""
    found: dict[str, Convert] = {}
    for word in split_words(types):
        key, colon, kind = word.partition(":")
        if not colon:
            warnings.append(
                f"types: '{word}' is passed over."
                " Write field:type, with integer, float, hex, bool or string."
            )
            continue
        if kind.lower() not in CONVERSIONS:
            # Compat: the field stays text (conformance: parsers/types_cast).
            warnings.append(
                f"types: '{kind}' is no type: '{key}' stays text."
                " There are: integer, float, hex, bool and string."
            )
            continue
        found[key] = CONVERSIONS[kind.lower()]
    return found


ParsingO = TypeVar("ParsingO", bound=ParsingOptions)


class FieldParser(Parser[ParsingO]):
    """A parser with types, a time and decoders; formats give the bodies."""

    takes_types = True
    """Whether `types` has an effect."""

    def __init__(self, options: ParsingO) -> None:
        super().__init__(options)
        self.warnings: list[str] = []
        """What is odd about the definition, told at the start."""
        self.parse_time: ParseTime | None = None
        self.parse_times: ParseTimes | None = None
        self.read_time_format()
        self.convert = conversions(options.types, self.warnings)
        self.time_key = options.time_key or "time"
        self.convert_time: Convert | None = None
        """The type of a time's field that is kept: the time is read from its text first."""
        if self.parse_time is not None:
            self.convert_time = self.convert.pop(self.time_key, None)
        self.decoding: Decoding | None = make_decoding(
            options.decode_field, options.decode_field_as, self.warnings
        )

    def read_time_format(self) -> None:
        """What reads the times. A format with an unknown letter is warned of and fits no time, as in the original."""
        from tailrace.model.time import UnknownConversionError

        try:
            form = time_format(self.options)
        except ConfigError as error:
            if not isinstance(error.__cause__, UnknownConversionError):
                raise
            self.warnings.append(f"{error.what} No time fits it.")
            self.parse_time = lambda text: None
            return
        if form is not None:
            self.parse_time, self.parse_times = form.parse, form.parse_many

    def finish(self, bodies: list[Body | None], drop_bad: bool) -> Parsed:
        """Decode fields and take the times."""
        if self.decoding is not None:
            self.decoding.apply(bodies)
        if self.parse_time is None:
            return Parsed([None] * len(bodies), bodies)
        keep = self.options.time_keep
        times = take_times(bodies, self.time_key, self.parse_time, keep, drop_bad, self.parse_times)
        convert, key = self.convert_time, self.time_key
        if convert is not None and self.takes_types:
            for body in bodies:
                if body is not None and type(body.get(key)) is str:
                    body[key] = convert(body[key])
        return Parsed(times, bodies)


__all__ = [
    "FieldParser",
    "ParsingOptions",
    "conversions",
    "make_parser",
    "take_times",
    "time_format",
]
