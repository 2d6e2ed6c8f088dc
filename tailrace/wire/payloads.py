"""Metrics and traces in the form in which Fluent Bit stores and forwards them, as chunks."""

from __future__ import annotations

from tailrace.model import METRICS, TRACES, Chunk, Signal


def unpack_payload(kind: Signal, tag: str, data: bytes) -> list[Chunk]:
    """A chunk for each set that the bytes hold; a `ValueError` says why they hold none. `kind`: metrics or traces."""
    if kind is METRICS:
        from tailrace.model.metrics import metrics_chunk
        from tailrace.wire import cmetrics

        metrics = cmetrics.decode(data)
        share = len(data) // max(1, len(metrics))
        return [metrics_chunk(tag, each, share) for each in metrics]
    if kind is TRACES:
        from tailrace.model.traces import traces_chunk
        from tailrace.wire import ctraces

        traces = ctraces.decode(data)
        share = len(data) // max(1, len(traces))
        return [traces_chunk(tag, each, share) for each in traces]
    raise ValueError(f"{kind} can't be read")
