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
from tailrace.plugin.parsing import FieldParser, ParsingOptions, to_integer

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
        self.bodies_of = make_loop(self.regex, options.skip_empty_values, self.convert)

    takes_blocks = True

    def parse(self, lines: Sequence[str]) -> Parsed:
        return self.parse_texts(lines, "\n" in "".join(lines))

    def parse_block(self, block: bytes) -> Parsed:
        return self.parse_texts(block.decode("utf-8", "surrogateescape").split("\n"), False)

    def parse_texts(self, lines: Sequence[str], multi_line: bool) -> Parsed:
        """As `parse`; `multi_line`: there may be line feeds in the texts."""
        if not self.regex.names:
            return Parsed([None] * len(lines), [None] * len(lines))
        try:
            with budget(BATCH_SECONDS):
                bodies = self.bodies(lines, multi_line)
        except RegexTimeout:
            bodies = [self.body_in_time(line) for line in lines]
        return self.finish(bodies, drop_bad=True)

    def bodies(self, lines: Sequence[str], multi_line: bool) -> list[Body | None]:
        return self.bodies_of(lines, self.regex.search if multi_line else self.regex.search_line)

    def body_in_time(self, line: str) -> Body | None:
        """One line on its own: a line that takes too long does not parse."""
        try:
            with budget(LINE_SECONDS):
                return self.bodies([line], "\n" in line)[0]
        except RegexTimeout:
            return None


Loop = Callable[[Sequence[str], Callable[[str], Any]], list["Body | None"]]
"""From lines and a search to the body of each line, None where it does not match."""


def make_loop(regex: Any, skip_empty: bool, convert: dict[str, Callable[[str], Any]]) -> Loop:
    """The loop over lines, generated for this expression: the usual line costs no call but those of the engine.

    Lines with groups that matched nothing go through `make_shape`.
    """
    shape = make_shape(regex, skip_empty, convert)
    if not regex.names or any(len(places) > 1 for places in regex.indexes.values()):
        return lambda lines, search: [
            shape(found.groups()) if (found := search(line)) is not None else None for line in lines
        ]
    scope: dict[str, Any] = {"shape": shape}
    items = []
    for number, name in enumerate(regex.names):
        value = f"g{number}"
        if name in convert:
            scope[f"c{number}"] = convert[name]
            value = f"c{number}({value})"
            if convert[name] is to_integer:
                value = (
                    f"int(g{number}) if g{number}.isdecimal() and len(g{number}) < 19 else {value}"
                )
        items.append(f"{name!r}: {value}")
    lines = [
        "def bodies(lines, search):",
        "    made = []",
        "    add = made.append",
        "    for line in lines:",
        "        found = search(line)",
        "        if found is None:",
        "            add(None)",
        "            continue",
        "        groups = found.groups()",
        f"        if {'all(groups)' if skip_empty else 'None not in groups'}:",
        f"            {', '.join(f'g{n}' for n in range(len(regex.names)))}, = groups",
        f"            add({{{', '.join(items)}}})",
        "        else:",
        "            add(shape(groups))",
        "    return made",
    ]
    exec("\n".join(lines), scope)  # the source holds only names of groups, as literals
    made: Loop = scope["bodies"]
    return made


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
