"""Keep a part of all traces: a percentage of them, or those that meet a condition once all their spans have come.

Example:
    name:              sampling
    type:              probabilistic
    sampling_settings: {sampling_percentage: 40}

`probabilistic` decides by the trace identifier alone, so that all spans of a trace share its fate, whatever agent sees them.

`tail` holds the spans of each trace for `decision_wait` (30s) and then keeps the trace if one of its spans meets one of the
`conditions`; without conditions it keeps all. More than `max_traces` (50000) traces are never held: the oldest is decided
at once. The types of conditions are `latency` (threshold_ms_low, threshold_ms_high), `span_count` (min_spans,
max_spans), `status_code` (status_codes), `string_attribute` (key, match_type, values), `numeric_attribute` (key, match_type,
min_value, max_value), `boolean_attribute` (key, match_type, value) and `trace_state` (values).

At a stop and a reload all that is held is decided. Other signals than traces pass.
"""

from __future__ import annotations

import sys
from itertools import compress
from typing import Any

from tailrace.config import ConfigError, Structure, one_of, option
from tailrace.config.errors import did_you_mean
from tailrace.config.types import read_bool, read_int, read_seconds
from tailrace.model import TRACES, Chunk
from tailrace.model.regex import RegexTimeout, budget
from tailrace.model.traces import Traces
from tailrace.plugin import Processor, ProcessorOptions, processor_plugin
from tailrace.processors.sampling.conditions import Test, any_meets, read_conditions
from tailrace.processors.sampling.holding import HeldTrace, HeldTraces, chunks_of

MOST_HELD_BYTES = 64 << 20
"""Raw bytes of held spans; beyond, the oldest traces are decided early."""
ANSWERED_WITHIN = 1.0
"""A client that waits for an answer is kept waiting for a decision no longer than so many seconds."""
MATCH_SECONDS = 1.0
"""How long the regular expressions may take for the traces of one turn."""
AT_ONCE = 256
"""Traces that are decided in one turn."""
PARTS = 1_000_000
HEAD_SETTINGS = {"sampling_percentage": "10"}
TAIL_SETTINGS = {"decision_wait": "30s", "max_traces": "50000", "legacy_reconcile": "off"}
"""With their defaults, as they stand in a configuration."""


class SamplingOptions(ProcessorOptions):
    type: str = option(reader=one_of("probabilistic", "tail"))
    """probabilistic (a percentage of all traces) or tail (by `conditions`, when a trace is complete)."""

    debug: bool = option(False)
    """Print the spans that come and those that are left to standard output."""

    sampling_settings: Structure = option(None)
    """A map; probabilistic: `sampling_percentage` (10); tail: `decision_wait` (30s), `max_traces` (50000), `legacy_reconcile` (false)."""

    conditions: Structure = option(None)
    """tail: a list of conditions, each a map with a `type`; one that holds for one span keeps its trace."""


@processor_plugin("sampling")
class Sampling(Processor[SamplingOptions]):
    handles = TRACES

    def __init__(self, options: SamplingOptions) -> None:
        super().__init__(options)
        is_tail = options.type == "tail"
        settings = settings_of(
            options.sampling_settings, TAIL_SETTINGS if is_tail else HEAD_SETTINGS
        )
        conditions = read_conditions(options.conditions, self.context.log.warn)
        self.tail = TailSampling(self, settings, conditions) if is_tail else None
        self.emits_anew = is_tail
        self.answers_early = self.tail is not None and self.tail.wait > ANSWERED_WITHIN
        self.percentage = 100.0 if is_tail else percentage_of(settings)
        if is_tail and self.context.share.count > 1:
            self.context.log.warn(
                "each of several processes decides on the spans that came to it: take processes 1"
            )
        if conditions is not None and not is_tail:
            self.context.log.warn("conditions have no effect: they are for type tail")

    def process(self, chunk: Chunk) -> Chunk:
        if self.options.debug:
            show(f"Debug sampling '{self.options.type}' ({id(chunk.payload):#x}): before", chunk)
        if self.tail is not None:
            self.tail.take(chunk)
            return nothing_of(chunk)
        keep_part(chunk, self.percentage)
        if self.options.debug:
            show(f"Debug sampling '{self.options.type}' ({id(chunk.payload):#x}): after", chunk)
        return chunk

    def drain(self) -> list[Chunk]:
        """What is held is decided now."""
        return self.tail.decide_all() if self.tail is not None else []


class TailSampling:
    """Holds traces, and decides them after a while."""

    def __init__(self, owner: Sampling, settings: dict[str, str], tests: list[Test] | None) -> None:
        self.context = owner.context
        self.wait = read_seconds(settings["decision_wait"])
        self.most_traces = most_traces_of(settings)
        self.one_by_one = read_bool(settings["legacy_reconcile"])
        self.tests = tests
        self.held = HeldTraces()
        self._is_timed = False
        self._told: set[str] = set()

    def take(self, chunk: Chunk) -> None:
        """Hold the spans of a chunk; what the limits ask for is decided and goes on."""
        receipt = chunk.receipt
        if receipt is not None and receipt.urgent and self.wait > ANSWERED_WITHIN:
            self._tell_once(
                f"clients get their answers before traces are decided (decision_wait {self.wait:g} s): "
                "a crash loses what is held, a stop does not"
            )
            receipt = None
        self.held.add(chunk, self.context.clock.monotonic(), receipt)
        early = []
        while len(self.held) > self.most_traces or self.held.nbytes > MOST_HELD_BYTES:
            early.append(self.held.take_oldest())
        if early:
            self._tell_once("too much is held: the oldest traces are decided before decision_wait")
            self._send(self._decide(early))
        if not self.wait:
            self._send(self.decide_all())
        self._set_timer()

    def decide_all(self) -> list[Chunk]:
        chunks = []
        while self.held.oldest is not None:
            chunks += self._decide(self.held.take_born_before(float("inf"), AT_ONCE))
        return chunks

    def _decide(self, traces: list[HeldTrace]) -> list[Chunk]:
        """Chunks of those to be kept; the others end here."""
        try:
            with budget(MATCH_SECONDS):
                wanted = [self._is_wanted(trace) for trace in traces]
        except RegexTimeout:
            wanted = [self._is_wanted_in_time(trace) for trace in traces]
        for trace, is_wanted in zip(traces, wanted, strict=True):
            if not is_wanted:
                trace.release()
        return chunks_of(compress(traces, wanted), self.one_by_one)

    def _is_wanted(self, trace: HeldTrace) -> bool:
        return any_meets(self.tests, trace.with_resources(), len(trace.spans))

    def _is_wanted_in_time(self, trace: HeldTrace) -> bool:
        try:
            with budget(MATCH_SECONDS / AT_ONCE):
                return self._is_wanted(trace)
        except RegexTimeout:
            self._tell_once("a regular expression takes too long: its traces are kept")
            return True

    def _set_timer(self) -> None:
        oldest = self.held.oldest
        if oldest is not None and not self._is_timed:
            self._is_timed = True
            due = oldest.born + self.wait - self.context.clock.monotonic()
            self.context.call_later(max(0.001, due), self._on_time)

    def _on_time(self) -> None:
        """Decide what is due, not so many at once that others wait long."""
        self._is_timed = False
        before = self.context.clock.monotonic() - self.wait
        self._send(self._decide(self.held.take_born_before(before, AT_ONCE)))
        self._set_timer()

    def _send(self, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            self.context.emit(chunk)

    def _tell_once(self, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.context.log.warn(f"{what} (told once)")


def keep_part(chunk: Chunk, percentage: float) -> None:
    """Leave those spans whose trace identifier falls into the percentage, and nothing that is empty."""
    traces: Traces = chunk.payload
    limit = percentage * PARTS / 100
    for resource in traces.resource_spans:
        for scope in resource.scope_spans:
            scope.spans = [span for span in scope.spans if place_of(span.trace_id) < limit]
        resource.scope_spans = [scope for scope in resource.scope_spans if scope.spans]
    traces.resource_spans = [each for each in traces.resource_spans if each.scope_spans]
    before, chunk.count = chunk.count, traces.span_count
    chunk.nbytes = chunk.nbytes * chunk.count // max(1, before)


def place_of(trace_id: bytes | None) -> int:
    """Where a trace falls among a million; those without a whole identifier come first."""
    if trace_id is None or len(trace_id) < 16:
        return 0
    return int.from_bytes(trace_id[:8], "big") % PARTS


def nothing_of(chunk: Chunk) -> Chunk:
    """What stays of a chunk all of whose spans are held."""
    chunk.payload, chunk.count = Traces(), 0
    return chunk


# Settings


def settings_of(given: Any, defaults: dict[str, str]) -> dict[str, str]:
    """The map under `sampling_settings`, checked for its keys, with the defaults of those that are not given."""
    if given is None:
        return defaults
    if not isinstance(given, dict):
        raise ConfigError("sampling_settings: a map is expected.", "As: {decision_wait: 5s}.")
    for key, value in given.items():
        if key not in defaults:
            mend = did_you_mean(key, defaults) or f"There are: {', '.join(defaults)}."
            raise ConfigError(f"sampling_settings: there is no '{key}'.", mend)
        if isinstance(value, (dict, list)):
            raise ConfigError(f"sampling_settings: {key} is no list and no map.")
    return {**defaults, **{key: value for key, value in given.items() if value is not None}}


def percentage_of(settings: dict[str, str]) -> float:
    given = settings["sampling_percentage"]
    try:
        return float(given)
    except ValueError as error:
        raise ConfigError(
            f"sampling_settings: sampling_percentage {given!r} is no number.",
            "Give a number from 0 to 100.",
        ) from error


def most_traces_of(settings: dict[str, str]) -> int:
    most = read_int(settings["max_traces"])
    if most < 1:
        raise ConfigError(f"sampling_settings: max_traces {most} is too few.", "Give 1 or more.")
    return most


# Debugging

EDGE = "─" * 65


def show(title: str, chunk: Chunk) -> None:
    """Print the spans of each trace in a box."""
    by_trace: dict[bytes, list[str]] = {}
    for span in chunk.payload.spans():
        line = f"id={(span.span_id or b'').hex()} name={span.name:<32}"
        by_trace.setdefault(span.trace_id or b"", []).append(line)
    lines = ["", f"🔍 {title}"]
    for trace_id, spans in by_trace.items():
        lines += [f"   ┌{EDGE}┐", f"   │ trace_id={trace_id.hex()}{' ' * 23}│", f"   ├{EDGE}┤"]
        lines += [f"   │ spans:{' ' * 58}│", *(f"   │   ├── {line} │" for line in spans)]
        lines += [f"   └{EDGE}┘", ""]
    text = "\n".join(lines) + "\n"
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
