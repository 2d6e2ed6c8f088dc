"""What is sent where: the paths of OTLP's signals, and how each is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import orjson

from tailrace.model import Chunk
from tailrace.model.metrics import metrics_chunk
from tailrace.model.profiles import profiles_chunk
from tailrace.model.traces import traces_chunk
from tailrace.plugin.clock import Clock
from tailrace.wire.otlp.decode_logs import LogKeys, decode_logs
from tailrace.wire.otlp.decode_logs_json import decode_logs_json
from tailrace.wire.otlp.decode_metrics import decode_metrics, decode_metrics_json
from tailrace.wire.otlp.decode_traces import decode_traces, decode_traces_json
from tailrace.wire.otlp.errors import OtlpError
from tailrace.wire.otlp.profiles import count_profiles, json_text
from tailrace.wire.otlp.profiles_text import profiles_text
from tailrace.wire.otlp.protobuf import message, text, uint
from tailrace.wire.otlp.values import document

PROFILE_KEY = "Profile"
PROTOBUF_TYPES = ("application/protobuf", "application/x-protobuf")
JSON_TYPE = "application/json"


class Signal(Enum):
    """The value is the tag that the path makes."""

    LOGS = "v1_logs"
    METRICS = "v1_metrics"
    TRACES = "v1_traces"
    PROFILES = "v1development_profiles"

    @property
    def tag(self) -> str:
        return self.value

    @property
    def rejected_name(self) -> str:
        """The field of a partial success that counts what was refused."""
        return REJECTED[self]


REJECTED = {
    Signal.LOGS: "rejectedLogRecords",
    Signal.METRICS: "rejectedDataPoints",
    Signal.TRACES: "rejectedSpans",
    Signal.PROFILES: "rejectedProfiles",
}

SERVICES = {
    Signal.LOGS: ("logs.v1.LogsService", "log.v1.LogService"),
    Signal.METRICS: ("metrics.v1.MetricsService", "metric.v1.MetricService"),
    Signal.TRACES: ("trace.v1.TraceService", "traces.v1.TracesService"),
    Signal.PROFILES: (
        "profiles.v1development.ProfilesService",
        "profiles.v1experimental.ProfilesService",
    ),
}
"""gRPC's services below `opentelemetry.proto.collector`: that of the specification, and one that Fluent Bit takes as well."""


@dataclass(slots=True, frozen=True)
class Endpoint:
    """What a path takes."""

    signal: Signal
    is_grpc: bool


def endpoints(with_profiles: bool) -> dict[str, Endpoint]:
    """All paths."""
    made = {}
    for signal, services in SERVICES.items():
        if signal is Signal.PROFILES and not with_profiles:
            continue
        made["/" + signal.tag.replace("_", "/")] = Endpoint(signal, is_grpc=False)
        for service in services:
            made[f"/opentelemetry.proto.collector.{service}/Export"] = Endpoint(
                signal, is_grpc=True
            )
    return made


class Payload:
    """What a request says of its body."""

    def __init__(self, signal: Signal, content_type: str | None, is_grpc: bool) -> None:
        self.signal = signal
        self.is_grpc = is_grpc
        media_type = (content_type or "").partition(";")[0].strip().lower()
        self.is_protobuf = is_grpc or media_type in PROTOBUF_TYPES
        # Compat: without a type, logs and traces are JSON (Fluent Bit 5.1.1).
        untyped = content_type is None and signal in (Signal.LOGS, Signal.TRACES)
        self.is_json = media_type == JSON_TYPE or untyped
        self.content_type = content_type

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Of an answer with a body, which has the form of the request."""
        return (("Content-Type", JSON_TYPE if self.is_json else PROTOBUF_TYPES[1]),)


@dataclass(slots=True)
class Taken:
    """What was left out of a request; `why` says it of the first."""

    rejected: int = 0
    why: str = ""

    def answer(self, signal: Signal, is_json: bool) -> bytes:
        """An `Export…ServiceResponse`: empty, or with a partial success."""
        if not self.rejected:
            return b"{}" if is_json else b""
        if is_json:
            partial = {signal.rejected_name: str(self.rejected), "errorMessage": self.why}
            return orjson.dumps({"partialSuccess": partial})
        return message(b"\x0a", uint(b"\x08", self.rejected) + text(b"\x12", self.why))


class Reader:
    """Makes chunks of requests."""

    def __init__(
        self, keys: LogKeys, raw_traces: bool, profiles_as_log: bool, clock: Clock
    ) -> None:
        self.keys = keys
        self.raw_traces = raw_traces
        self.profiles_as_log = profiles_as_log
        self.clock = clock

    def read(self, payload: Payload, data: bytes, tag: str, taken: Taken) -> Iterator[Chunk]:
        """The chunks of one request's message; `OtlpError` if it is none."""
        if not payload.is_json and not payload.is_protobuf:
            raise OtlpError(f"the content type {payload.content_type!r} is none of OTLP")
        if payload.signal is Signal.LOGS:
            yield from self.logs(payload, data, tag)
        elif payload.signal is Signal.METRICS:
            yield from self.metrics(payload, data, tag, taken)
        elif payload.signal is Signal.PROFILES:
            yield self.profiles(payload, data, tag)
        elif self.raw_traces and payload.is_json:
            yield self.raw(data, tag)
        else:
            yield from self.traces(payload, data, tag, taken)

    def logs(self, payload: Payload, data: bytes, tag: str) -> Iterator[Chunk]:
        decode = decode_logs_json if payload.is_json else decode_logs
        events = decode(data, self.keys, self.clock.time_ns())
        if events.times:
            yield Chunk(tag, events.times, events.bodies, events.metadata, len(data), events.groups)

    def metrics(self, payload: Payload, data: bytes, tag: str, taken: Taken) -> Iterator[Chunk]:
        decoded = (decode_metrics_json if payload.is_json else decode_metrics)(data)
        taken.rejected += decoded.rejected
        taken.why = taken.why or decoded.why
        share = len(data) // max(1, len(decoded.sets))
        for metrics in decoded.sets:
            yield metrics_chunk(tag, metrics, share)

    def traces(self, payload: Payload, data: bytes, tag: str, taken: Taken) -> Iterator[Chunk]:
        decoded = (decode_traces_json if payload.is_json else decode_traces)(data)
        taken.why = taken.why or decoded.why
        yield traces_chunk(tag, decoded.traces, len(data))

    def profiles(self, payload: Payload, data: bytes, tag: str) -> Chunk:
        """A request of profiles as it came, or its text as a record: what came as JSON stays that."""
        if self.profiles_as_log:
            text = json_text(data) if payload.is_json else profiles_text(data, with_tables=True)
            return Chunk(tag, [self.clock.time_ns()], [{PROFILE_KEY: text}], None, len(data))
        if payload.is_json:
            raise OtlpError("profiles are taken as protobuf, or as logs")
        return profiles_chunk(tag, data, count_profiles(data))

    def raw(self, data: bytes, tag: str) -> Chunk:
        """A request of traces as one record: what it holds, or its text."""
        try:
            body = document(data)
        except OtlpError:
            body = None
        if type(body) is not dict:
            body = {"trace": data.decode("utf-8", "surrogateescape")}
        return Chunk(tag, [self.clock.time_ns()], [body], None, len(data))
