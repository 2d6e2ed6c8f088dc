"""Profiles as Fluent Bit prints them, for people to read.

Format: `cprof_encode_text.c`, whose two forms are here: texts in place of the numbers that stand for them, as its stdout
has it, or the numbers with their texts and tables, as its input makes log records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tailrace.wire.otlp.profiles import read_profiles
from tailrace.wire.otlp.values import read_attributes, read_value

STEP = "    "
Pairs = Iterable[tuple[str, Any]]


def profiles_text(data: bytes, with_tables: bool = False) -> str:
    """All profiles of a request; `OtlpError` if the bytes are none. `with_tables`: numbers, and what they stand for."""
    request = read_profiles(data)
    if not request.resource_profiles:
        return ""
    lines = ["Profiles :"]
    for resource in request.resource_profiles:
        lines += indented(resource_lines(resource, Tables(request.dictionary, with_tables)))
    return "\n".join([*lines, ""])


def indented(lines: Iterable[str]) -> Iterator[str]:
    return (STEP + line for line in lines)


class Tables:
    """What profiles refer to by numbers."""

    def __init__(self, dictionary: Any, are_shown: bool) -> None:
        self.dictionary = dictionary
        self.are_shown = are_shown

    def text(self, index: int) -> str:
        """A text in quotes, with its number if the tables are shown; the number alone, if there is none."""
        found = self.plain(index)
        if found is None:
            return str(index)
        quoted = '"' + found.replace('"', '\\"') + '"'
        return f"{index} → {quoted}" if self.are_shown else quoted

    def plain(self, index: int) -> str | None:
        found: str | None = at(self.dictionary.string_table, index)
        return found

    def function(self, index: int) -> str | None:
        """The name of a function."""
        function = None if self.are_shown else at(self.dictionary.function_table, index)
        return None if function is None else self.plain(function.name_strindex)

    def locations(self, stack_index: int) -> str:
        """The places of a sample by the names of their functions."""
        stack = at(self.dictionary.stack_table, stack_index)
        names = []
        for index in () if stack is None else stack.location_indices:
            location = at(self.dictionary.location_table, index)
            lines = () if location is None else location.lines
            name = self.function(lines[0].function_index) if lines else None
            names.append(str(index) if name is None else f'"{name}"')
        return ", ".join(names)

    def attributes(self, indices: Iterable[int]) -> list[tuple[str, Any]]:
        """Names and values of attributes."""
        found = []
        for index in indices:
            attribute = at(self.dictionary.attribute_table, index)
            if attribute is not None:
                key = self.plain(attribute.key_strindex) or ""
                found.append((key, self.value(attribute.value)))
        return found

    def value(self, message: Any) -> Any:
        """A value; what is left out is an empty text."""
        kind = message.WhichOneof("value")
        if kind == "string_value_strindex":
            return self.plain(message.string_value_strindex)
        return "" if kind is None else read_value(message)

    def references(self, indices: Iterable[int]) -> str:
        """Attributes in one line; `<missing:5>` is one that is not there."""
        if self.are_shown:
            return ", ".join(map(str, indices))
        parts = []
        for index in indices:
            pairs = [pair for pair in self.attributes([index]) if pair != EMPTY]
            parts += [f'"{key}": {shown(value)}' for key, value in pairs]
            if not pairs:
                parts.append(f"<missing:{index}>")
        return ", ".join(parts)


EMPTY = ("", "")
"""The attribute at the head of the table, which stands for none."""


def at(table: Any, index: int) -> Any:
    return table[index] if 0 <= index < len(table) else None


def resource_lines(resource: Any, tables: Tables) -> Iterator[str]:
    yield "Resource :"
    yield f"{STEP}Attributes: {in_braces(read_attributes(resource.resource.attributes).items())}"
    yield f"{STEP}Dropped attribute count : {resource.resource.dropped_attributes_count}"
    if resource.scope_profiles:
        yield "Scope profiles :"
        for scope in resource.scope_profiles:
            yield from indented(scope_lines(scope, tables))
    yield f"Schema URL :{resource.schema_url}"


def scope_lines(spans: Any, tables: Tables) -> Iterator[str]:
    scope = spans.scope
    yield "Instrumentation scope :"
    yield f"{STEP}Name : {scope.name}"
    yield f"{STEP}Version : {scope.version}"
    yield f"{STEP}Attributes: {in_braces(read_attributes(scope.attributes).items())}"
    yield f"{STEP}Dropped attribute count : {scope.dropped_attributes_count}"
    if spans.profiles:
        yield "Profiles :"
        for profile in spans.profiles:
            yield from indented(profile_lines(profile, tables))
    yield f"Schema URL :{spans.schema_url}"


def profile_lines(profile: Any, tables: Tables) -> Iterator[str]:
    yield f"Profile id : {profile.profile_id.hex().upper()}"
    yield f"Start time unix nano: {profile.time_unix_nano}"
    yield f"End time unix nano: {profile.time_unix_nano + profile.duration_nano}"
    yield f"Attributes: {in_braces(tables.attributes(profile.attribute_indices))}"
    yield f"Dropped attributes: {profile.dropped_attributes_count}"
    if profile.HasField("sample_type"):
        yield "Sample types (1) :"
        yield from indented(type_lines(profile.sample_type, tables))
    dictionary = tables.dictionary
    yield from section("Sample", profile.samples, sample_lines, tables)
    yield from section("Mapping", dictionary.mapping_table, mapping_lines, tables)
    yield from section("Location", dictionary.location_table, location_lines, tables)
    if tables.are_shown:
        yield "Location indices : [ ]"
    yield from section("Function", dictionary.function_table, function_lines, tables)
    if tables.are_shown:
        yield from attribute_lines(tables)
    yield from section("Link", dictionary.link_table, link_lines, tables)
    if tables.are_shown:
        texts = ", ".join([f'"{text}"' for text in dictionary.string_table])
        yield f"String table ({len(dictionary.string_table)}) :"
        yield f"{STEP}[ {texts} ]"
    yield "Drop frames : 0"
    yield "Keep frames : 0"
    yield f"Time nanos : {profile.time_unix_nano}"
    yield f"Duration nanos : {profile.duration_nano}"
    yield "Period type :"
    yield from indented(type_lines(profile.period_type, tables))
    yield f"Period : {profile.period}"
    yield "Comments : [ ]"
    yield "Default sample type : 0"


def section(name: str, items: Any, lines: Any, tables: Tables) -> Iterator[str]:
    """A heading with the number of items, and each of them under its own."""
    if items:
        yield f"{name}s ({len(items)}) :"
    for number, item in enumerate(items):
        yield f"{STEP}{name} #{number} :"
        yield from indented(indented(lines(item, tables)))


def attribute_lines(tables: Tables) -> Iterator[str]:
    """The table of attributes and their units."""
    table = tables.dictionary.attribute_table
    yield f"Attribute table : {in_braces(tables.attributes(range(len(table))))}"
    if table:
        yield f"Attribute units ({len(table)}) :"
    for attribute in table:
        yield f"{STEP}Attribute key : {attribute.key_strindex}"
        yield f"{STEP}Unit : {attribute.unit_strindex}"


def type_lines(kind: Any, tables: Tables) -> Iterator[str]:
    yield f"Type : {tables.text(kind.type_strindex)}"
    yield f"Unit : {tables.text(kind.unit_strindex)}"
    yield "UNSPECIFIED"


def sample_lines(sample: Any, tables: Tables) -> Iterator[str]:
    yield f"Location index : [ {tables.locations(sample.stack_index)}]"
    yield f"Values : [ {', '.join(map(str, sample.values))}]"
    yield f"Attributes : [ {tables.references(sample.attribute_indices)}]"
    yield f"Link (link_table index) : {sample.link_index}"
    yield f"Timestamps : [ {', '.join(map(str, sample.timestamps_unix_nano))}]"


def mapping_lines(mapping: Any, tables: Tables) -> Iterator[str]:
    yield "Id : 0"
    yield f"Memory start : {mapping.memory_start}"
    yield f"Memory limit : {mapping.memory_limit}"
    yield f"File offset : {mapping.file_offset}"
    yield f"Filename : {tables.text(mapping.filename_strindex)}"
    yield f"Attributes : [ {tables.references(mapping.attribute_indices)}]"
    for what in ("functions", "filenames", "line numbers", "inline frames"):
        yield f"Has {what} : False"


def location_lines(location: Any, tables: Tables) -> Iterator[str]:
    mapping = at(tables.dictionary.mapping_table, location.mapping_index)
    if tables.are_shown:
        mapping = None
    name = None if mapping is None else tables.plain(mapping.filename_strindex)
    yield "Id : 0"
    yield f"Mapping index : {location.mapping_index}" if name is None else f"Mapping : {name}"
    yield f"Address : {location.address}"
    if location.lines:
        yield "Lines :"
    for line in location.lines:
        function = tables.function(line.function_index)
        yield (
            f"{STEP}Function index : {line.function_index}"
            if function is None
            else f"{STEP}Function : {function}"
        )
        yield f"{STEP}Line : {line.line}"
        yield f"{STEP}Column : {line.column}"
    yield f"Attributes : [ {tables.references(location.attribute_indices)}]"


def function_lines(function: Any, tables: Tables) -> Iterator[str]:
    yield "Id : 0"
    yield f"Name : {tables.text(function.name_strindex)}"
    yield f"System name : {tables.text(function.system_name_strindex)}"
    yield f"Filename : {tables.text(function.filename_strindex)}"
    yield f"Start line : {function.start_line}"


def link_lines(link: Any, tables: Tables) -> Iterator[str]:
    yield f"Trace id : {link.trace_id.ljust(16, bytes(1)).hex().upper()}"
    yield f"Span id : {link.span_id.ljust(8, bytes(1)).hex().upper()}"


def in_braces(pairs: Pairs) -> str:
    return "{" + pairs_text(pairs) + " }"


def pairs_text(pairs: Pairs) -> str:
    return ", ".join(
        f'"{key}": "{value}"' if isinstance(value, str) else f'"{key}": {shown(value)}'
        for key, value in pairs
    )


def shown(value: Any) -> str:
    """One value; lists and maps one item after another."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value)
        case float():
            return f"{value:0.4f}"
        case bytes():
            return value.hex().upper()
        case list():
            return ", ".join(map(shown, value))
        case dict():
            return pairs_text(value.items())
    return str(value)
