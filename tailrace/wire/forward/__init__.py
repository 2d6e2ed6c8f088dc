"""The Forward protocol of Fluentd, version 1 (fluentd's wiki, "Forward Protocol Specification v1"): MessagePack over TCP or a Unix socket.

    [tag, time, body, options]                      Message: one event
    [tag, [[time, body], ...], options]             Forward
    [tag, packed events, options]                   PackedForward; with the option `compressed`: CompressedPackedForward

Fluent Bit writes an event as `[[time, metadata], body]` as well, and sends metrics and traces: `fluent_signal` in the options says
what the entries are. `handshake` holds who proves what to whom when a shared key is set, `writing` makes messages.
"""

from __future__ import annotations

from typing import Any, Final

from tailrace.model import LOGS, METRICS, TRACES
from tailrace.model.chunk import Signal

SIGNAL_NUMBERS: Final[dict[Signal, int]] = {LOGS: 0, METRICS: 1, TRACES: 2}
"""The values of the option `fluent_signal`."""

CHUNK, SIZE, COMPRESSED, SIGNAL, METADATA, ACK = (
    "chunk",
    "size",
    "compressed",
    "fluent_signal",
    "metadata",
    "ack",
)
"""Keys of the options, and of the answer that acknowledges a chunk."""


class ForwardError(ValueError):
    """Bytes that do not keep to the protocol, or a side that proves not to be who it should be."""


def as_bytes(value: Any) -> bytes | None:
    """The bytes of a str or bin; None if it is neither. Text that is no UTF-8 has come as surrogate escapes."""
    if type(value) is bytes:
        return value
    if type(value) is str:
        return value.encode("utf-8", "surrogateescape")
    return None
