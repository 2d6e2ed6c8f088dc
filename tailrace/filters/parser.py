"""Parse the text of a field and put its fields in the event's place.

Example:
    Name         parser
    Match        *
    Key_Name     log
    Parser       json
    Reserve_Data on

The first parser that takes the text wins. A time that it finds becomes the event's.
"""

from __future__ import annotations

from typing import Any

from tailrace.config import CommaList, ConfigError, option
from tailrace.model import Body, Chunk
from tailrace.model.accessor import MISSING, Accessor, AccessorError
from tailrace.plugin import Filter, FilterOptions, filter_plugin


class ParserOptions(FilterOptions):
    key_name: str
    """The field to parse, by name or record accessor."""

    parser: list[CommaList] = option(many=True)
    """A parser to try. May be given many times."""

    preserve_key: bool = option(False)
    """Keep the parsed field."""

    reserve_data: bool = option(False)
    """Keep the other fields of the event."""

    unescape_key: bool = option(False)
    """Accepted for compatibility: outdated in the original too; a parser's decoders unescape."""


@filter_plugin("parser")
class Parser(Filter[ParserOptions]):
    def __init__(self, options: ParserOptions) -> None:
        super().__init__(options)
        try:
            self.accessor = Accessor(options.key_name)
        except AccessorError as error:
            raise ConfigError(f"key_name: {error}") from error
        self.parsers = self.find_parsers([name for names in options.parser for name in names])

    def find_parsers(self, names: list[str]) -> list[Any]:
        """The parsers; a missing one is an error only if it is the only one."""
        if not names:
            raise ConfigError("parser is missing.", "Add: parser NAME.")
        found, problems = [], []
        for name in names:
            try:
                found.append(self.context.parser(name))
            except ConfigError as error:
                problems.append(error)
        for problem in problems if found else ():
            self.context.log.error(f"parser: {problem}; the other parsers are used")
        if not found:
            raise ConfigError(f"parser: {problems[0].what}", problems[0].mend)
        return found

    def process(self, chunk: Chunk) -> Chunk:
        bodies = chunk.bodies
        get = self.accessor.get
        texts = [get(body) for body in bodies]
        open_places = [index for index, text in enumerate(texts) if type(text) is str]
        for parser in self.parsers:
            if not open_places:
                break
            open_places = self.apply(chunk, parser, texts, open_places)
        return chunk

    def apply(self, chunk: Chunk, parser: Any, texts: list[Any], places: list[int]) -> list[int]:
        """Try one parser on the texts at some places; the places whose text it did not take."""
        parsed = parser.parse([texts[place] for place in places])
        bodies, times, left = chunk.bodies, list(chunk.times), []
        for place, time, body in zip(places, parsed.times, parsed.bodies, strict=True):
            if body is None:
                left.append(place)
                continue
            bodies[place] = self.joined(bodies[place], body)
            if time is not None:
                times[place] = time
        chunk.times = times
        return left

    def joined(self, old: Body, new: Body) -> Body:
        """The parsed fields, then what is kept of the old ones (which win).

        Compat: a key that was named as an accessor (`$log`) stays with reserve_data
        (conformance: parsers/parser_filter_accessor_quirk).
        """
        options, accessor = self.options, self.accessor
        if not options.reserve_data:
            if options.preserve_key and accessor.get(old) is not MISSING:
                keep_key(new, accessor.key, old[accessor.key])
            return new
        for key, value in old.items():
            if key == accessor.text and not options.preserve_key:
                continue
            keep_key(new, key, value)
        return new


def keep_key(body: Body, key: str, value: Any) -> None:
    body.pop(key, None)
    body[key] = value
