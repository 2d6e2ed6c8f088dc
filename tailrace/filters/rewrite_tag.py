"""Send events on under another tag, by rules over their fields.

Example:
    Name  rewrite_tag
    Match app.*
    Rule  $level ^(error)$ alert.$1.$TAG[1] false

A rule is `FIELD REGEX NEW_TAG KEEP`; the first that matches is done. The event goes through all filters again under its new tag;
the original goes on as well if KEEP is true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tailrace.config import ConfigError, Reader, Size, one_of, option
from tailrace.config.source import Value
from tailrace.config.types import BOOLEANS, read_words
from tailrace.model import Body, Chunk
from tailrace.model.accessor import Accessor, AccessorError, Template
from tailrace.model.regex import RegexError, budget, compile_regex
from tailrace.plugin import Filter, FilterOptions, filter_plugin

CHUNK_SECONDS = 2.0


def read_rule(value: Value) -> list[str]:
    words = read_words(value)
    if len(words) < 4:
        raise ConfigError(
            f"'{' '.join(words)}' will not do.",
            "Give a field, a regex, a new tag and true or false.",
        )
    return words


class RewriteTagOptions(FilterOptions):
    rule: list[list[str]] = option(many=True, reader=Reader("rule", read_rule))
    """`FIELD REGEX NEW_TAG KEEP`. The new tag may hold `$TAG`, `$TAG[n]`, `$0` to `$9` and record accessors. May be given many times."""

    emitter_name: str = option("")
    """A name for what sends the events on, in metrics."""

    emitter_storage_type: str = option(
        "memory", name="emitter_storage.type", reader=one_of("memory", "filesystem", "memrb")
    )
    """filesystem: the events are written to disk under their new tag. memory, memrb: only if their input's are (`storage.type`)."""

    emitter_mem_buf_limit: Size = option(10_000_000)
    """Accepted for compatibility: nothing waits between the filter and the queues of the outputs."""


class Rule:
    """One rule, made once. `new_tag` gives the tag for a body, or None."""

    def __init__(self, words: list[str]) -> None:
        field, pattern, template, keep = words[0], words[1], words[2], words[-1]
        try:
            self.get = Accessor(field).get
            self.regex = compile_regex(pattern)
            self.template = Template(template)
        except (AccessorError, RegexError) as error:
            raise ConfigError(f"rule: {error}") from error
        # Compat: any other word than a true one means false (conformance: filters/rewrite_tag_keep_words).
        self.keep = BOOLEANS.get(keep.lower(), False)


@filter_plugin("rewrite_tag")
class RewriteTag(Filter[RewriteTagOptions]):
    emits_anew = True

    padding = None
    emits = True

    def __init__(self, options: RewriteTagOptions) -> None:
        super().__init__(options)
        if not options.rule:
            self.context.warn_of(
                "there is no rule, so nothing gets another tag.",
                "Add: rule $FIELD REGEX NEW_TAG true.",
            )
        self.rules = [Rule(words) for words in options.rule]
        self.tests = [
            (rule.get, rule.regex.search, rule.template.render, rule.keep) for rule in self.rules
        ]

    def process(self, chunk: Chunk) -> Chunk:
        with budget(CHUNK_SECONDS):
            found = [self.new_tag(body, chunk.tag) for body in chunk.bodies]
        if not any(found):
            return chunk
        tags = [each[0] if each else None for each in found]
        for tag, part in chunk.split(tags).items():
            if tag is not None:
                self.context.emit(own(part, chunk).with_tag(tag))
        stays = [each is None or each[1] for each in found]
        return chunk.copy().select(stays)

    def new_tag(self, body: Body, tag: str) -> tuple[str, bool] | None:
        """The new tag and whether the original stays, by the first rule that matches; None if none does."""
        get: Callable[[Body], Any]
        for get, search, render, keep in self.tests:
            value = get(body)
            if type(value) is not str:
                continue
            match = search(value)
            if match is not None:
                captures = [match.group(), *(group or "" for group in match.groups())]
                new = render(body, tag, captures)
                return (new, keep) if new and new != tag else None
        return None


def own(part: Chunk, chunk: Chunk) -> Chunk:
    """A part whose bodies nobody else changes, with a share of the receipt."""
    made = part.copy(deep=True)
    made.receipt, made.hops, made.stream = chunk.receipt, chunk.hops, chunk.stream
    # Another tag is another way: all filters see it, and it decides where to.
    made.passed_by = made.routed = ()
    return made
