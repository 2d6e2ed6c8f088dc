"""Change one key of events: insert, upsert, delete, rename, hash, extract or convert it.

Example:
    name:   content_modifier
    action: insert
    key:    color
    value:  blue

    {"a": 1}  ->  {"a": 1, "color": "blue"}

The key is a plain name at the top of the body, or of what `context` names:

| context | of | what |
| --- | --- | --- |
| body, message, record | logs | the body; the default |
| attributes, metadata | logs | the metadata |
| otel_log_attributes | logs | the attributes of an OpenTelemetry record, in its metadata under `otlp` |
| otel_resource_attributes | logs, metrics | the attributes of the OpenTelemetry resource |
| otel_scope_attributes | logs, metrics | the attributes of the OpenTelemetry scope |
| otel_scope_name, otel_scope_version | logs, metrics | the scope's name or version; the key need not be given |
| span_attributes | traces | the attributes of each span; the default |
| span_name, span_kind, span_status | traces | as in Fluent Bit the attributes of each span, too |

Resource and scope are those of all records that came with them. What has none stays as it is.
"""

from __future__ import annotations

from tailrace.config import ConfigError, one_of, option
from tailrace.model import LOGS, METRICS, TRACES, Chunk
from tailrace.model.regex import budget
from tailrace.plugin import Processor, ProcessorOptions, processor_plugin
from tailrace.processors.content_modifier.actions import ACTIONS, NEEDS_VALUE, make_step
from tailrace.processors.content_modifier.contexts import (
    CONTEXTS,
    DEFAULTS,
    FIXED_KEYS,
    KNOWN,
    nothing,
)

EXTRACT_SECONDS = 1.0
NOT_FOR_FIXED_KEYS = ("rename", "extract", "convert")


class ContentModifierOptions(ProcessorOptions):
    action: str = option(reader=one_of(*ACTIONS))
    """insert (unless the key is there), upsert, delete, rename, hash (SHA-256), extract (by `pattern`) or convert."""

    context: str | None = option(None, reader=one_of(*KNOWN))
    """What to change; default: the body of logs, the attributes of spans."""

    key: str | None = option(None)
    """Name of the key."""

    value: str | None = option(None)
    """Text to insert or upsert, or the key's new name."""

    pattern: str = option("")
    """Regular expression with named groups to extract from the key's text."""

    converted_type: str = option("", reader=one_of("string", "boolean", "int", "double"))
    """Type to convert to."""


@processor_plugin("content_modifier")
class ContentModifier(Processor[ContentModifierOptions]):
    handles = LOGS | METRICS | TRACES

    def __init__(self, options: ContentModifierOptions) -> None:
        super().__init__(options)
        signal = self.context.signal
        contexts = CONTEXTS.get(signal)
        if contexts is None:
            raise ConfigError(
                f"content_modifier does nothing to {str(signal.name).lower()}.",
                "Put it under logs, metrics or traces.",
            )
        context = DEFAULTS[signal] if options.context is None else options.context
        if context not in contexts:
            raise ConfigError(
                f"context: there is no {context} of this signal.",
                f"Give one of: {', '.join(contexts)}.",
            )
        self.maps = contexts[context]
        if self.maps is nothing:
            self.context.warn_of(
                f"context {context} of metrics: nothing is changed.",
                "For labels there is the processor labels.",
            )
        key = FIXED_KEYS.get(context, options.key)
        check_requirements(options, context, key)
        self.step = make_step(
            options.action,
            key or "",
            options.value or "",
            options.pattern,
            options.converted_type,
        )

    def process(self, chunk: Chunk) -> Chunk:
        step = self.step
        with budget(EXTRACT_SECONDS):
            for item in self.maps(chunk):
                step(item)
        return chunk


def check_requirements(options: ContentModifierOptions, context: str, key: str | None) -> None:
    """Refuse an action that lacks what it needs, or that the context does not allow."""
    action = options.action
    fixed = FIXED_KEYS.get(context)
    if fixed is not None:
        if action in NOT_FOR_FIXED_KEYS:
            raise ConfigError(
                f"action: {action} can't be done to {context}.",
                "Give insert, upsert, delete or hash.",
            )
        if options.key is not None and options.key.lower() != fixed:
            raise ConfigError(
                f"key: {context} has no key '{options.key}'.", f"Leave key out, or give: {fixed}."
            )
    if key is None:
        raise ConfigError(f"action: {action} needs a key.", "Add: key: NAME.")
    if action in NEEDS_VALUE and options.value is None:
        raise ConfigError(f"action: {action} needs a value.", "Add: value: TEXT.")
    if action == "extract" and not options.pattern:
        raise ConfigError("action: extract needs a pattern.", "Add: pattern: REGEX.")
    if action == "convert" and not options.converted_type:
        raise ConfigError("action: convert needs a type.", "Add: converted_type: int.")
