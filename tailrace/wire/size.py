"""How large events are as MessagePack, found without writing them all.

Apart from the format itself, since every pipeline counts bytes, and many never need the encoder.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tailrace.model.chunk import LOGS, METRICS, Chunk, Groups, group_runs

if TYPE_CHECKING:
    from tailrace.model.metrics import MetricSet

EVENT_HEAD = 13
"""Bytes of an event beside its body: two lists, EventTime, empty metadata."""
MOST_MEASURED = 16
MANY, FEW_MEASURED = 128, 8
"""Of a chunk of this many events so many are measured: each filter's count of bytes costs a few microseconds then."""


def packed_size(chunk: Chunk) -> int:
    """Bytes that the events of a chunk take as Fluent Bit keeps them, which is what its counters of bytes count.

    Of a chunk of many events a few are measured, which costs microseconds; raw lines are not decoded for it.
    """
    count = chunk.count
    if not count:
        return 0
    if chunk.packed is not None:
        return len(chunk.packed) + chunk.padding * count
    if chunk.kind is METRICS:
        return _size_of_metrics(chunk.payload)
    if chunk.kind is not LOGS:
        return chunk.nbytes
    step = max(1, count // (MOST_MEASURED if count < MANY else FEW_MEASURED))
    if chunk.block is not None and step > 1:
        return _size_of_block(chunk, chunk.block)
    if chunk.lines is not None:
        texts = chunk.lines[::step]
        head = EVENT_HEAD + 1 + _text_size(chunk.key) + chunk.padding
        size = sum(map(_text_size, texts)) + head * len(texts)
        return size if step == 1 else size * count // len(texts)
    each = chunk.bodies[::step]
    try:
        size = (
            len(_measure(each)) - _list_head(len(each)) + (EVENT_HEAD + chunk.padding) * len(each)
        )
        if chunk.metadata is not None:
            metadata = chunk.metadata[::step]
            size += len(_measure(metadata)) - _list_head(len(metadata)) - len(metadata)
        marks = 0 if chunk.groups is None else _size_of_marks(chunk.groups)
    except (ValueError, TypeError, RecursionError):
        return chunk.nbytes
    return marks + (size if step == 1 else size * count // len(each))


MOST_REPEATED_BYTES = 32 << 20
"""What the groups of one chunk may take where each event shows its own."""


def groups_shown(groups: Groups) -> Groups:
    """The groups that events show where each has to show its own.

    All of them, unless they are so large that they would multiply what came in: then a group stands at its first event alone.
    """
    shown, total = groups, 0
    for group, start, end in group_runs(groups):
        if group is None or end - start == 1:
            continue
        try:
            size = len(_measure(group.body))
        except (ValueError, TypeError, RecursionError):
            size = MOST_REPEATED_BYTES
        if total + size * (end - start) <= MOST_REPEATED_BYTES:
            total += size * (end - start)
            continue
        if shown is groups:
            shown = list(groups)
        shown[start + 1 : end] = [None] * (end - start - 1)
    return shown


def _size_of_marks(groups: Groups) -> int:
    """The marks before and behind each group, which are events of their own."""
    return sum(
        2 * EVENT_HEAD + len(_measure(group.metadata)) + len(_measure(group.body))
        for group, _, _ in group_runs(groups)
        if group is not None
    )


def _size_of_block(chunk: Chunk, block: bytes) -> int:
    """Raw lines that were never split, as if all were equally long."""
    size = len(block) + 1 - chunk.count
    average = size // chunk.count
    text_head = 1 if average < 32 else 2 if average < 256 else 3 if average < 65536 else 5
    each = EVENT_HEAD + 1 + _text_size(chunk.key) + chunk.padding + text_head
    return size + each * chunk.count


def _size_of_metrics(metrics: MetricSet) -> int:
    """Fluent Bit writes a hash of eight bytes with each sample that has labels, which we leave out."""
    from tailrace.wire import cmetrics  # where there are metrics

    labelled = sum(bool(each.labels) for metric in metrics.metrics for each in metric.samples)
    return len(cmetrics.encode(metrics)) + 8 * labelled


def _list_head(length: int) -> int:
    return 1 if length < 16 else 3 if length < 65536 else 5


@cache
def _packer() -> Any:
    import msgpack

    return msgpack.Packer(default=_plain, unicode_errors="surrogateescape", autoreset=True)


def _measure(value: Any) -> bytes:
    packed: bytes = _packer().pack(value)
    return packed


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, int) else str(value)


def _text_size(text: str) -> int:
    size = len(text.encode("utf-8", "surrogateescape"))
    return size + (1 if size < 32 else 2 if size < 256 else 3 if size < 65536 else 5)
