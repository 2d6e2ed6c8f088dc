"""Take a line apart with a regular expression (Ruby's syntax): named groups become fields.

Example:
    [PARSER]
        Name        level
        Format      regex
        Regex       ^(?<level>\\w+): (?<message>.*)$
        Types       code:integer
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tailrace.config import ConfigError, option
from tailrace.model import Body
from tailrace.model.regex import RegexError, RegexTimeout, budget, compile_regex
from tailrace.plugin import Parsed, parser_plugin
from tailrace.plugin.parsing import FieldParser, ParsingOptions

BATCH_SECONDS = 2.0
LINE_SECONDS = 0.2


class RegexOptions(ParsingOptions):
    regex: str = option("")
    """The expression; may stand between slashes with options behind, as: /x/i."""


@parser_plugin("regex")
class Regex(FieldParser[RegexOptions]):
    def __init__(self, options: RegexOptions) -> None:
        super().__init__(options)
        if not options.regex:
            raise ConfigError("regex is missing.", "Add: regex PATTERN.")
        try:
            self.regex = compile_regex(options.regex)
        except RegexError as error:
            raise ConfigError(f"regex: {error}") from error
        self.shape = make_shape(self.regex, options.skip_empty_values, self.convert)

    def parse(self, lines: Sequence[str]) -> Parsed:
        if not self.regex.names:
            return Parsed([None] * len(lines), [None] * len(lines))
        try:
            with budget(BATCH_SECONDS):
                bodies = self.bodies(lines)
        except RegexTimeout:
            bodies = [self.body_in_time(line) for line in lines]
        return self.finish(bodies, drop_bad=True)

    def bodies(self, lines: Sequence[str]) -> list[Body | None]:
        multi_line = any("\n" in line for line in lines)
        search = self.regex.search if multi_line else self.regex.search_line
        shape = self.shape
        return [
            shape(found.groups()) if (found := search(line)) is not None else None for line in lines
        ]

    def body_in_time(self, line: str) -> Body | None:
        """One line on its own: a line that takes too long does not parse."""
        try:
            with budget(LINE_SECONDS):
                return self.bodies([line])[0]
        except RegexTimeout:
            return None


def make_shape(
    regex: Any, skip_empty: bool, convert: dict[str, Callable[[str], Any]]
) -> Callable[[tuple[Any, ...]], Body]:
    """A function, generated for this expression, from the groups of a match to a body.

    A generated dict display costs 1.97 µs a line where `dict(zip(...))` costs 2.78.
    """
    if any(len(places) > 1 for places in regex.indexes.values()):
        return repeated_shape(regex, skip_empty, convert)
    names = regex.names
    if not names:
        return lambda groups: {}
    unfit = "not all(groups)" if skip_empty else "None in groups"
    fit = (
        "{key: value for key, value in body.items() if value}"
        if skip_empty
        else "{key: value or '' for key, value in body.items()}"
    )
    lines = [
        "def shape(groups):",
        f"    {', '.join(f'g{n}' for n in range(len(names)))}, = groups",
        f"    body = {{{', '.join(f'{name!r}: g{n}' for n, name in enumerate(names))}}}",
        f"    if {unfit}:",
        f"        body = {fit}",
    ]
    converters: dict[str, Any] = {}
    for number, (key, function) in enumerate(convert.items()):
        if key in names:
            converters[f"c{number}"] = function
            lines += [
                f"    if {key!r} in body:",
                f"        body[{key!r}] = c{number}(body[{key!r}])",
            ]
    lines.append("    return body")
    scope: dict[str, Any] = converters
    exec("\n".join(lines), scope)  # the source holds only names of groups, as literals
    made: Callable[[tuple[Any, ...]], Body] = scope["shape"]
    return made


def repeated_shape(
    regex: Any, skip_empty: bool, convert: dict[str, Callable[[str], Any]]
) -> Callable[[tuple[Any, ...]], Body]:
    """For expressions that use a name more than once: the last group that took part counts."""
    places = sorted((place, name) for name, found in regex.indexes.items() for place in found)

    def shape(groups: tuple[Any, ...]) -> Body:
        body: Body = {}
        for place, name in places:
            value = groups[place]
            if not value and (skip_empty or name in body):
                continue
            body.pop(name, None)
            body[name] = convert[name](value or "") if name in convert else value or ""
        return body

    return shape
