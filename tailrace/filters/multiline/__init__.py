"""Join events whose texts belong together, as the lines of a stack trace, or the parts of a line that Docker split.

Example:
    Name                   multiline
    Match                  app.*
    multiline.parser       java, python
    multiline.key_content  log

Events are joined per tag and, where the input tells (tail), per file. With `buffer` on, what may go on is held back and
the joined events go through all filters again, but past this one; with `buffer` off, only events that came together are joined.
A joined event has the time and the other fields of its first one.

With `mode partial_message` the parts of each `partial_id` are joined up to the one that says `partial_last`.
"""

from __future__ import annotations

import sys

from tailrace.config import CommaList, ConfigError, Size, one_of, option
from tailrace.filters.multiline.partial import PartialMessages
from tailrace.filters.multiline.streams import Streams
from tailrace.model import Chunk
from tailrace.plugin import Filter, FilterOptions, filter_plugin
from tailrace.plugin.multiline import LEAST_FLUSH_MS, MultilineParser
from tailrace.wire.notation import event_text


class MultilineOptions(FilterOptions):
    mode: str = option("parser", reader=one_of("parser", "partial_message"))
    """parser: join by `multiline.parser`; partial_message: join the parts of messages that Docker split."""

    multiline_parser: list[CommaList] = option(name="multiline.parser", many=True)
    """Multiline parsers, separated by commas; the first that takes an event is used."""

    multiline_key_content: str = option("", name="multiline.key_content")
    """The field whose texts are joined."""

    buffer: bool = option(True)
    """Join over batches, holding back what may go on. Off: join only events that came together."""

    flush_ms: int = option(2000)
    """Milliseconds without a further event after which a joined one is given out; at least 500 with `buffer`."""

    debug_flush: bool = option(False)
    """Print each joined event to standard output."""

    emitter_name: str = option("")
    """A name for what sends the joined events on, in metrics."""

    emitter_storage_type: str = option(
        "memory", name="emitter_storage.type", reader=one_of("memory", "filesystem")
    )
    """filesystem: joined events are written to disk. memory: only if their input's are (`storage.type`). What is held back is not yet its
    input's to commit."""

    emitter_mem_buf_limit: Size = option(10_000_000)
    """Most bytes that are held back; beyond it everything is given out as it is. 0: no limit."""


@filter_plugin("multiline")
class Multiline(Filter[MultilineOptions]):
    def __init__(self, options: MultilineOptions) -> None:
        super().__init__(options)
        counter = self.context.metrics.counter
        self._emitted = counter(
            "fluentbit_filter_emit_records_total", "Total number of emitted records"
        )
        self._truncated = counter(
            "fluentbit_filter_emit_truncated_total",
            "Total number of truncated occurence of multiline",
        )
        self._told: set[str] = set()
        self.joiner = (
            self._partial_messages() if options.mode == "partial_message" else self._streams()
        )
        self.emits_anew = options.buffer or options.mode == "partial_message"
        if self.emits_anew:
            seconds = max(0.05, options.flush_ms / 4000)
            self.context.every(seconds, self._give_out_due)

    def _partial_messages(self) -> PartialMessages:
        options = self.options
        if not options.multiline_key_content:
            raise ConfigError(
                "mode partial_message needs multiline.key_content.", "Name the field to be joined."
            )
        if not options.buffer:
            # Compat: it goes on (Fluent Bit logs an error).
            self.context.log.warn("mode partial_message holds parts back: buffer off has no effect")
        return PartialMessages(
            options.multiline_key_content,
            self,
            self.context.service("multiline_buffer_limit"),
            self._on_truncated,
            self._tell_once,
        )

    def _streams(self) -> Streams:
        options = self.options
        names = [name for names in options.multiline_parser for name in names]
        if not names:
            raise ConfigError(
                "multiline.parser is missing.",
                "Add: multiline.parser NAME, or mode partial_message.",
            )
        if options.buffer and options.flush_ms < LEAST_FLUSH_MS:
            raise ConfigError(
                f"flush_ms {options.flush_ms} is too short.", f"Give {LEAST_FLUSH_MS} or more."
            )
        parsers = [self.context.multiline_parser(name) for name in names]
        self._warn_of(parsers)
        return Streams(
            parsers,
            options.multiline_key_content,
            self,
            options.buffer,
            self.context.service("multiline_buffer_limit"),
            self._on_truncated,
            self._tell_once,
        )

    def _warn_of(self, parsers: list[MultilineParser]) -> None:
        for parser in parsers:
            if parser.warning:
                self.context.log.warn(parser.warning)
            if not self.options.multiline_key_content and not parser.key_content:
                self.context.log.warn(
                    f"multiline.key_content is not given: parser '{parser.name}' joins nothing"
                )

    def process(self, chunk: Chunk) -> Chunk:
        if self in chunk.passed_by or not chunk.count:
            return chunk
        result, complete = self.joiner.process(chunk, self.context.clock.time_ns())
        self._send(complete)
        limit = self.options.emitter_mem_buf_limit
        if limit and self.joiner.held_bytes > limit:
            self._tell_once(
                f"more than emitter_mem_buf_limit ({limit} bytes) is held back: it is given out as it is"
            )
            self._send(self.joiner.flush())
        if self.options.debug_flush and not complete:
            print_events(result)
        return result

    def drain(self) -> list[Chunk]:
        return self.joiner.flush()

    def _give_out_due(self) -> None:
        before = self.context.clock.time_ns() - self.options.flush_ms * 1_000_000
        self._send(self.joiner.flush_due(before))

    def _send(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            if self.options.debug_flush:
                print_events(chunk)
            self._emitted.inc(chunk.count)
            self.context.emit(chunk)

    def _on_truncated(self) -> None:
        self._truncated.inc()
        self._tell_once("multiline message truncated due to multiline_buffer_limit")

    def _tell_once(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.context.log.warn(f"{what} (told once)")


def print_events(chunk: Chunk) -> None:
    """Joined events for `debug_flush`."""
    metadata = chunk.metadata or [{}] * chunk.count
    rows = zip(chunk.times, metadata, chunk.bodies, strict=True)
    lines = [f"[multiline] {chunk.tag}: {event_text(*row)}\n" for row in rows]
    sys.stdout.buffer.write("".join(lines).encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
