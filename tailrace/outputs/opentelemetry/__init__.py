"""Send logs, metrics, traces and profiles to an OpenTelemetry receiver by OTLP.

Example:
    Name     opentelemetry
    Match    *
    Host     collector.example
    Port     4318
    Header   X-Team storage
    Compress gzip

OTLP/HTTP with protobuf over HTTP/1.1, or HTTP/2 with `http2`; OTLP/gRPC with `grpc`. Each signal goes to its own path.

A status from 200 to 205 is delivered. 429, 502, 503 and 504 are tried again, after the time of `Retry-After` if the server gives one; all others
are refused, as OTLP wants it. With gRPC CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, ABORTED, OUT_OF_RANGE, INTERNAL, UNAVAILABLE and DATA_LOSS are
tried again. Where a server takes a request only in part (partial success), as many events are counted as refused; OTLP does not
say which, so that the last ones of the request stand for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tailrace.config import ConfigError
from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk
from tailrace.outputs.opentelemetry.options import OpenTelemetryOptions
from tailrace.outputs.opentelemetry.sending import Path, Sender, printable
from tailrace.plugin import Connections, Output, Partial, Refusal, Reject, Retry, output_plugin
from tailrace.wire.otlp.answer import PartialSuccess
from tailrace.wire.otlp.encode_logs import LogEncoder
from tailrace.wire.otlp.log_requests import Limits, log_requests

if TYPE_CHECKING:
    from tailrace.model.traces import ResourceSpans, ScopeSpans

DEFAULT_BATCH = 1000
EVENTS_AT_ONCE = 500
"""How many events are encoded before others have their turn: one to three milliseconds."""
TOO_DEEP = "the event is nested too deeply for OTLP"


@output_plugin("opentelemetry")
class OpenTelemetry(Output[OpenTelemetryOptions]):
    handles = LOGS | METRICS | TRACES | PROFILES

    def __init__(self, options: OpenTelemetryOptions) -> None:
        super().__init__(options)
        logs = options.logs
        for name, most in (("resources", logs.max_resources), ("scopes", logs.max_scopes)):
            if most < 0:
                raise ConfigError(
                    f"logs_max_{name}: {most} is no number of {name}.", "0: no limit."
                )
        batch = options.batch_size if options.batch_size > 0 else DEFAULT_BATCH
        self.limits = Limits(batch, logs.max_resources, logs.max_scopes)
        self.encoder = LogEncoder(logs.keys())
        self.labels = [(str(key), value) for key, value in options.add_label]
        self.paths = {
            LOGS: Path(path(logs.uri), path(options.grpc_logs_uri)),
            METRICS: Path(path(options.metrics_uri), path(options.grpc_metrics_uri)),
            TRACES: Path(path(options.traces_uri), path(options.grpc_traces_uri)),
            PROFILES: Path(path(options.profiles_uri), path(options.grpc_profiles_uri)),
        }
        for key, value, default in (
            ("resource", logs.resource_metadata_key, "Resource"),
            (
                "instrumentation_scope",
                logs.instrumentation_scope_metadata_key,
                "InstrumentationScope",
            ),
        ):
            if value != default:
                self.context.log.warn(
                    f"logs_{key}_metadata_key has no effect: resource and scope are those of the event's group"
                )
        self.sender = Sender(options, self.context)

    def connections(self) -> Connections:
        return self.sender.client.connections()

    async def stop(self) -> None:
        await self.sender.close()

    async def flush(self, chunk: Chunk) -> None:
        if chunk.kind is LOGS:
            await self.send_logs(chunk)
            return
        if chunk.kind is METRICS:
            from tailrace.wire.otlp.encode_metrics import encode_metrics

            content = encode_metrics(chunk.payload, self.labels)
        elif chunk.kind is PROFILES:
            content = chunk.payload.data
        else:
            from tailrace.wire.otlp.encode_traces import encode_traces

            content = encode_traces(chunk.payload)
        told = await self.sender.send(self.paths[chunk.kind], content)
        if not told.rejected:
            self.tell(told)
            return
        payload = chunk.payload
        total = payload.sample_count if chunk.kind is METRICS else chunk.count
        why = refused_text(told, total)
        if told.rejected >= total:
            raise Reject(why)
        if chunk.kind is TRACES:
            raise Partial(why, None, [Refusal(spans_chunk(chunk, told.rejected), why)])
        self.context.log.error(why)  # a set of metrics or profiles can't be refused in part

    async def send_logs(self, chunk: Chunk) -> None:
        """One request or several; what became of the events of each is told apart."""
        records: list[bytes | None] = []
        bad_ids = 0
        for start in range(0, chunk.count, EVENTS_AT_ONCE):
            if start:
                await asyncio.sleep(0)  # others have their turn
            encoded = self.encoder.encode(chunk, start, start + EVENTS_AT_ONCE)
            records += encoded.records
            bad_ids += encoded.bad_ids
        if bad_ids:
            self.context.log.warn(f"{bad_ids} trace or span ids are none and are left out")
        deep = [index for index, record in enumerate(records) if record is None]
        refused = [Refusal(pick(chunk, deep), TOO_DEEP)] if deep else []
        sent = 0
        for request in log_requests(records, chunk.groups, self.limits):
            try:
                told = await self.sender.send(self.paths[LOGS], request.content)
            except Reject as rejection:
                kept = pick(chunk, request.events)
                refused.append(Refusal(kept, rejection.why, rejection.status))
                continue
            except Retry as failure:
                if not sent and not refused:
                    raise
                first = request.events[0]
                rest = [at for at in range(first, chunk.count) if records[at] is not None]
                raise Partial(
                    failure.why, pick(chunk, rest), refused, failure.after, failure.status
                ) from failure
            sent += len(request.events)
            if told.rejected:
                lost = request.events[-told.rejected :]
                refused.append(Refusal(pick(chunk, lost), refused_text(told, len(request.events))))
            self.tell(told)
        if len(refused) == 1 and not sent:
            raise Reject(refused[0].why, refused[0].status)
        if refused:
            raise Partial(refused[0].why, None, refused)

    def tell(self, told: PartialSuccess) -> None:
        """A warning that came with a request that was taken whole."""
        if told.text and not told.rejected:
            self.context.log.warn(f"{self.sender.client.peer} warns: {printable(told.text)}")


def path(uri: str) -> str:
    return uri if uri.startswith("/") else "/" + uri


def refused_text(told: PartialSuccess, total: int) -> str:
    why = f": {printable(told.text)}" if told.text else ""
    return f"{told.rejected} of {total} were refused (partial success){why}"


def pick(chunk: Chunk, events: Sequence[int]) -> Chunk:
    """Some of the events, as a chunk of their own."""
    mask = bytearray(chunk.count)
    for index in events:
        mask[index] = 1
    return chunk.copy().select(mask)


def spans_chunk(chunk: Chunk, count: int) -> Chunk:
    """The last `count` spans, with their scopes and resources, as a chunk of their own."""
    from tailrace.model.traces import Traces, traces_chunk

    kept: list[ResourceSpans] = []
    left = count
    for resource in reversed(chunk.payload.resource_spans):
        scopes: list[ScopeSpans] = []
        for scope in reversed(resource.scope_spans):
            if left and scope.spans:
                scopes.insert(0, replace(scope, spans=scope.spans[-left:]))
                left -= len(scopes[0].spans)
        if scopes:
            kept.insert(0, replace(resource, scope_spans=scopes))
    part = traces_chunk(chunk.tag, Traces(kept), chunk.nbytes * count // chunk.count)
    part.receipt = chunk.receipt
    return part
