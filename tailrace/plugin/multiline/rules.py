"""What a multiline parser is, and how a `[MULTILINE_PARSER]` section becomes one.

Example:
    [MULTILINE_PARSER]
        Name           dated
        Type           regex
        Flush_Timeout  1000
        Rule  "start_state"  "/^\\[\\d{4}-/"    "more"
        Rule  "more"         "/^(?!\\[\\d{4}-)/"  "more"

A rule is `STATE[, STATE ...] REGEX NEXT_STATE`: in one of its states, a line that matches goes on with the message, which then is
in the next state. A message begins with a rule of `start_state`. In YAML `rules` is a list of maps of `state`, `regex`
and `next_state`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from tailrace.config import ConfigError, option
from tailrace.config.errors import FAILED_LOAD, Problems
from tailrace.config.options import Options
from tailrace.config.source import Section, Value
from tailrace.config.types import Reader, read_words, text
from tailrace.model.regex import Regex, RegexError, compile_regex
from tailrace.plugin.base import Parser
from tailrace.plugin.multiline.choice import NO_CHOICE, Choice

START = "start_state"
FLUSH_MS = 4000
LEAST_FLUSH_MS = 500

FindParser = Callable[[str], Parser[Any]]


class RuleText(NamedTuple):
    """A rule as it was written; `next_state` may be empty: then nothing can follow."""

    states: tuple[str, ...]
    regex: str
    next_state: str


class Rule:
    """One rule, linked to those that may come after it.

    `nexts` are the rules that a following line may match; `may_end` says that the message is complete with the
    line that matched, because another one may begin after it. `search_line` is for texts without line feeds.
    `choice` tells which of `nexts` a line matches.
    """

    __slots__ = (
        "choice",
        "is_start",
        "may_end",
        "next_state",
        "nexts",
        "regex",
        "search",
        "search_line",
        "states",
    )

    def __init__(self, states: tuple[str, ...], regex: Regex, next_state: str) -> None:
        self.states = states
        self.regex = regex
        self.search = regex.search
        self.search_line = regex.search_line
        self.next_state = next_state
        self.is_start = START in states
        self.nexts: tuple[Rule, ...] = ()
        self.may_end = False
        self.choice = NO_CHOICE


@dataclass(frozen=True, slots=True)
class MultilineParser:
    """A multiline parser as it was defined; shared, and without state.

    `kind` is regex (rules), endswith or equal: then a text that ends in, or is, `match_string` completes a message (with
    `negate`, one that doesn't). The text is the line itself, or the field `key_pattern` or else `key_content` of
    what `parser` makes of it. `key_group` is the field that tells apart messages which come mixed.
    """

    name: str
    kind: str
    rules: tuple[Rule, ...] = ()
    match_string: str = ""
    negate: bool = False
    flush_ms: int = FLUSH_MS
    key_content: str = ""
    key_pattern: str = ""
    key_group: str = ""
    parser: Parser[Any] | None = None
    warning: str = ""
    """What is odd about the definition; whoever uses it says so."""


def read_kind(value: Value) -> str:
    word = text(value).strip().lower()
    if word == "eq":
        return "equal"
    if word in ("regex", "endswith", "equal"):
        return word
    raise ConfigError(f"{value!r} is not known.", "Give regex, endswith or equal.")


def read_rule(value: Value) -> RuleText:
    words = read_words(value)
    if len(words) < 2:
        raise ConfigError(
            f"'{' '.join(words)}' will not do.",
            'Give states, a regex and the next state, as: "start_state" "/^ERROR/" "more".',
        )
    return RuleText(read_states(words[0]), words[1], " ".join(words[2:]))


def read_states(value: str) -> tuple[str, ...]:
    states = tuple(state.strip() for state in value.split(",") if state.strip())
    if not states:
        raise ConfigError("a rule without a state.", f"Begin it with one, as: {START}.")
    return states


def read_rule_maps(value: Value) -> list[RuleText]:
    """The `rules` of YAML."""
    if not isinstance(value, list):
        raise ConfigError(f"{value!r} is no list.", "Give a list of maps.")
    return [read_rule_map(item) for item in value]


def read_rule_map(item: Value) -> RuleText:
    if not isinstance(item, dict):
        raise ConfigError(f"{item!r} is no rule.", "Give a map of state, regex and next_state.")
    given = {str(key).lower(): value for key, value in item.items()}
    for key in ("state", "regex", "next_state"):
        if not isinstance(given.get(key), str):
            raise ConfigError(f"a rule without '{key}'.", f"Add: {key}: VALUE.")
    return RuleText(
        read_states(text(given["state"])), text(given["regex"]), text(given["next_state"])
    )


class MultilineOptions(Options):
    """What a multiline parser takes."""

    name: str
    """The name by which inputs and filters call it."""

    type: str = option(reader=Reader("regex | endswith | equal", read_kind))
    """regex: by rules; endswith, equal (or eq): up to a text that ends in, or is, `match_string`."""

    match_string: str = ""
    """The text that completes a message, for endswith and equal."""

    negate: bool = False
    """A text that is not `match_string` completes a message."""

    key_content: str = ""
    """The field whose texts are joined, of what `parser` makes of a line."""

    key_pattern: str = ""
    """The field that tells whether a message is complete; without it `key_content` does."""

    key_group: str = ""
    """The field that tells apart messages whose lines come mixed, as stdout and stderr."""

    parser: str = ""
    """A parser for each line."""

    flush_timeout: int = 0
    """Milliseconds after which a message is given out though more lines may come; at least 500, 0: 4000."""

    rule: list[RuleText] = option(many=True, reader=Reader("rule", read_rule))
    """`STATE[, STATE ...] REGEX NEXT_STATE`, for regex. May be given many times; the first must be of start_state."""

    rules: list[RuleText] = option(list, reader=Reader("rules", read_rule_maps))
    """The same in YAML: a list of maps of `state`, `regex` and `next_state`."""


def link(rules: Iterable[RuleText]) -> tuple[Rule, ...]:
    """Rules that know which may come after them; `ConfigError` if one leads nowhere."""
    made = [Rule(rule.states, compiled(rule.regex), rule.next_state) for rule in rules]
    if not made:
        raise ConfigError("rule is missing.", f'Add: rule "{START}" "/REGEX/" "NEXT_STATE".')
    if not made[0].is_start:
        raise ConfigError(f"the first rule is not one of {START}.", f"Begin it with: {START}.")
    choices: dict[tuple[Rule, ...], Choice] = {}
    for rule in made:
        if not rule.next_state:
            continue
        following = [each for each in made if rule.next_state in each.states]
        if not following:
            raise ConfigError(
                f"no rule is of the state '{rule.next_state}', to which one leads.",
                "Add one, or mend its name.",
            )
        rule.nexts = tuple(each for each in following if not each.is_start)
        rule.choice = choices.setdefault(rule.nexts, NO_CHOICE)
        if rule.choice is NO_CHOICE and rule.nexts:
            rule.choice = choices[rule.nexts] = Choice(rule.nexts)
        rule.may_end = any(each.is_start for each in following)
    for choice in choices.values():
        if choice is not NO_CHOICE:
            stays = (each.choice is choice and not each.may_end for each in choice.rules[1:])
            choice.stays = (False, *stays)
    return tuple(made)


def compiled(pattern: str) -> Regex:
    try:
        return compile_regex(pattern)
    except RegexError as error:
        raise ConfigError(f"rule: {error}") from error


def make_rules(
    section: Section, problems: Problems, find_parser: FindParser
) -> MultilineParser | None:
    """The multiline parser that a section defines; what is wrong goes into `problems`."""
    where = f"multiline parser {section.text('name') or '(without a name)'}"
    found = Problems()
    options = MultilineOptions.read(section.entries, found, where, section.place, frozenset())
    for problem in found:
        problems.add(
            problem.what, mend=problem.mend, place=problem.place, where=where, exit_code=FAILED_LOAD
        )
    if options is None:
        return None
    try:
        return from_options(options, find_parser)
    except ConfigError as error:
        problems.add(error.what, mend=error.mend, place=section.place, where=where)
        return None


def from_options(options: MultilineOptions, find_parser: FindParser) -> MultilineParser:
    rules: tuple[Rule, ...] = ()
    if options.type == "regex":
        rules = link([*options.rules, *options.rule])
    elif not options.match_string:
        raise ConfigError("match_string is missing.", "Add: match_string TEXT.")
    parser, warning = None, ""
    if options.parser:
        try:
            parser = find_parser(options.parser)
        except ConfigError as error:
            # Compat: it goes on without (conformance: multiline/undefined_inner_parser).
            warning = f"multiline parser '{options.name}': {error} Lines are joined unparsed."
    return MultilineParser(
        options.name,
        options.type,
        rules,
        options.match_string,
        options.negate,
        options.flush_timeout if options.flush_timeout > 0 else FLUSH_MS,
        options.key_content,
        options.key_pattern,
        options.key_group,
        parser,
        warning,
    )


def flush_ms_of(parsers: Iterable[MultilineParser]) -> int:
    """How long a message may wait for more lines where several parsers share a stream: the longest of theirs."""
    longest = max(parser.flush_ms for parser in parsers)
    if longest < LEAST_FLUSH_MS:
        raise ConfigError(
            f"a flush timeout of {longest} milliseconds is too short.",
            f"Give {LEAST_FLUSH_MS} or more.",
        )
    return longest
