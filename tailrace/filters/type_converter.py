"""Append fields as another type.

Example:
    Name    type_converter
    Match   *
    Str_key code status int

    {"code": "404"}  ->  {"code": "404", "status": 404}

A rule is `SOURCE NEW_FIELD TYPE` with int, uint, float, string, or for texts hex or bool, or a beginning of one of these (str); rules for texts are done first, then those for
integers, unsigned ones and floats. The source is a name or a record accessor; a value of another
type than the rule's, or that can't be converted, is appended as it is, if anything else in the batch could be converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tailrace.config import ConfigError, option, words
from tailrace.model import Body, Chunk
from tailrace.model.accessor import MISSING, Accessor, AccessorError
from tailrace.plugin import Filter, FilterOptions, filter_plugin
from tailrace.plugin.parsing import FRACTION, to_bool, to_hex, to_integer

INTEGER = re.compile(r"\s*[+-]?\d+")
RULE = words(3)
FIRST_BEYOND = 2.0**63
"""The first float that no signed integer of 64 bit holds."""
Step = Callable[[Body], "tuple[str, Any, bool] | None"]
"""The field to append for a body, its value, and whether it is a converted one."""


class TypeConverterOptions(FilterOptions):
    rules: list[tuple[str, list[str]]] = option(
        many=True,
        sequence=tuple(
            (name, type(RULE)("words", lambda value, name=name: (name, RULE.read(value))))  # type: ignore[misc]
            for name in ("int_key", "uint_key", "float_key", "str_key")
        ),
    )
    """`SOURCE NEW_FIELD TYPE` for sources of this type: int_key, uint_key, float_key or str_key. May be given many times."""


@filter_plugin("type_converter")
class TypeConverter(Filter[TypeConverterOptions]):
    def __init__(self, options: TypeConverterOptions) -> None:
        super().__init__(options)
        if not options.rules:
            raise ConfigError("there is no rule.", "Add one, as: str_key code status int.")
        # Compat: rules of one source type come together, in this order, as the original reads them.
        order = list(SOURCES)
        rules = sorted(options.rules, key=lambda rule: order.index(rule[0]))
        self.steps = [make_step(name, rule) for name, rule in rules]

    def process(self, chunk: Chunk) -> Chunk:
        steps = self.steps
        # All rules look at the events as they came.
        rows = [[found for step in steps if (found := step(body))] for body in chunk.bodies]
        if not any(done for row in rows for _, _, done in row):
            return chunk  # Compat: where nothing can be converted nothing is appended.
        for body, row in zip(chunk.bodies, rows, strict=True):
            for key, value, _ in row:
                body.pop(key, None)
                body[key] = value
        return chunk


SOURCES: dict[str, tuple[type, ...]] = {
    "str_key": (str,),
    "int_key": (int,),
    "uint_key": (int,),
    "float_key": (float,),
}
TARGETS = {
    "int_key": ("string", "float", "uint"),
    "uint_key": ("string", "float", "int"),
    "float_key": ("string", "int", "uint"),
    "str_key": ("int", "uint", "float", "hex", "bool"),
}
"""What each source can become; anything else fails."""


def make_step(name: str, rule: list[str]) -> Step:
    source, key, kind = rule[0], rule[1], rule[2].lower()
    kind = next((each for each in CONVERSIONS if each.startswith(kind)), "")
    if not kind:
        raise ConfigError(
            f"{name}: '{rule[2]}' is no type.", f"Give one of: {', '.join(CONVERSIONS)}."
        )
    try:
        get = Accessor(source).get
    except AccessorError as error:
        raise ConfigError(f"{name}: {error}") from error
    unsigned = name == "uint_key"
    convert = CONVERSIONS[kind]
    kinds = SOURCES[name]

    can = kind in TARGETS[name]

    def step(body: Body) -> tuple[str, Any, bool] | None:
        value = get(body)
        if value is MISSING:
            return None
        if not can or type(value) not in kinds:
            return key, value, False
        converted = convert(value % (1 << 64) if unsigned else value)
        if (
            converted is None
        ):  # a float beyond the range counts as converted: it is as near as can be
            return key, value, kinds == (float,)
        return key, converted, True

    return step


def to_int(value: Any) -> int | None:
    if isinstance(value, str):
        found = None if is_hexadecimal(value) else INTEGER.match(value)
        return to_integer(found.group()) if found else None
    if isinstance(value, float):
        # Compat: the original makes another number of a float beyond the range; here it stays what it is.
        return int(value) if -FIRST_BEYOND <= value < FIRST_BEYOND else None
    number = int(value)
    return number if number < 1 << 63 else number - (1 << 64)


def is_hexadecimal(text: str) -> bool:
    return text.strip().lower().startswith("0x")


def to_uint(value: Any) -> int | None:
    """Text beyond 64 bit is the highest number; a negative one counts back from 2^64."""
    if isinstance(value, str) and not is_hexadecimal(value):
        found = INTEGER.match(value)
        if found and len(found.group()) < 40:
            return min(int(found.group()), (1 << 64) - 1) % (1 << 64)
    if isinstance(value, float) and FIRST_BEYOND <= value < 2 * FIRST_BEYOND:
        return int(value)
    number = to_int(value)
    return None if number is None else number % (1 << 64)


def to_hexadecimal(value: Any) -> int | None:
    return to_hex(value) if isinstance(value, str) else None


def to_boolean(value: Any) -> bool | None:
    """true and false by how the text begins; no other text is converted."""
    found = to_bool(value) if isinstance(value, str) else None
    return found if isinstance(found, bool) else None


def to_float(value: Any) -> float:
    """Text counts as far as it is a number, 0 if not at all; hexadecimal is read as well."""
    if not isinstance(value, str):
        return float(value)
    if is_hexadecimal(value):
        return float(to_hex(value))
    found = FRACTION.match(value)
    return float(found.group()) if found else 0.0


def to_text(value: Any) -> str:
    """Floats as JSON writes them: whole ones with one digit behind the point, others with at most 16."""
    if isinstance(value, float):
        return (
            f"{value:.1f}" if value.is_integer() and abs(value) < FIRST_BEYOND else f"{value:.16g}"
        )
    return str(value)


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "int": to_int,
    "uint": to_uint,
    "float": to_float,
    "string": to_text,
    "hex": to_hexadecimal,
    "bool": to_boolean,
}
