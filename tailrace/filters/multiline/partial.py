"""Mode `partial_message`: joining the parts of messages that Docker's log drivers split.

Each part bears `partial_message: true`, `partial_id`, and `partial_last`, which is true in the last one. The joined
event has the other fields of the first part, without those that begin with `partial_`, and the joined text behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tailrace.filters.multiline.holding import Way, nothing_of
from tailrace.model import Body, Chunk, Group, Groups, Metadata, Receipt
from tailrace.plugin.multiline import TRUNCATED

PREFIX = "partial_"
OVERHEAD_BYTES = 200
"""What a message costs beside its text."""


def is_true(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value[:4].lower() == "true")


class Message:
    """The parts of one message so far. `touched_ns` is when the last one came, `receipts` are held once each."""

    __slots__ = (
        "body",
        "group",
        "metadata",
        "pieces",
        "receipts",
        "size",
        "time",
        "touched_ns",
        "way",
    )

    def __init__(self, body: Body, key: str, time: int, way: Way, group: Group | None) -> None:
        self.body = {
            name: value
            for name, value in body.items()
            if name != key and not name.startswith(PREFIX)
        }
        self.time = time
        self.group = group
        self.metadata: Metadata = {}
        self.pieces: list[str] = []
        self.size = 0
        self.touched_ns = 0
        self.receipts: dict[Receipt, None] = {}
        self.way = way

    def add(self, text: str, metadata: Metadata | None, receipt: Receipt | None) -> None:
        self.pieces.append(text)
        self.size += len(text)
        if metadata:
            self.metadata.update(metadata)
        if receipt is not None and receipt not in self.receipts:
            receipt.hold()
            self.receipts[receipt] = None

    def joined(self, key: str) -> Body:
        self.body[key] = "".join(self.pieces)
        return self.body


class PartialMessages:
    """The messages whose last part has not come. `limit` is how many characters one may have, 0: no limit."""

    def __init__(
        self,
        key: str,
        owner: Any,
        limit: int,
        on_truncated: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        self._key = key
        self._owner = owner
        self._limit = limit
        self._on_truncated = on_truncated
        self._warn = warn
        self._messages: dict[Any, Message] = {}
        self.held_bytes = 0

    def process(self, chunk: Chunk, now_ns: int) -> tuple[Chunk, list[Chunk]]:
        """What goes on now: whole events, and messages whose last part has come, in its place."""
        bodies = chunk.bodies
        partial = [is_true(body.get("partial_message")) for body in bodies]
        if not any(partial):
            return chunk, []
        result = nothing_of(chunk)
        times, made, metadata = result.times, result.bodies, []
        groups: Groups = []
        sources = chunk.groups or [None] * chunk.count
        source: Sequence[Metadata | None] = chunk.metadata or [None] * chunk.count
        way = Way(chunk, self._owner)
        for time, body, extra, group, is_part in zip(
            chunk.times, bodies, source, sources, partial, strict=True
        ):
            message = self._message(body, time, way, group) if is_part else None
            if message is None:
                times.append(time)
                made.append(body)
                metadata.append(extra or {})
                groups.append(group)
                continue
            text = body[self._key]
            message.add(text, extra, chunk.receipt)
            message.touched_ns = now_ns
            self.held_bytes += len(text)
            too_long = bool(self._limit) and message.size > self._limit
            if too_long:
                message.metadata[TRUNCATED] = True
                self._on_truncated()
            if too_long or is_true(body.get("partial_last")):
                self._forget(message, body)
                times.append(message.time)
                made.append(message.joined(self._key))
                metadata.append(message.metadata)
                groups.append(message.group)
                for receipt in message.receipts:
                    if receipt is chunk.receipt:
                        receipt.release()
                    else:
                        chunk.receipt.follow(receipt)
        result.bodies = made
        result.metadata = metadata if any(metadata) else None
        result.groups = groups
        result.nbytes = max(1, chunk.nbytes)
        return result, []

    def _key_of(self, way: Way, body: Body) -> Any:
        return way.tag, way.stream, str(body["partial_id"])

    def _message(self, body: Body, time: int, way: Way, group: Group | None) -> Message | None:
        """The message of a part, begun if it is the first; None if it is no proper part."""
        if "partial_id" not in body:
            self._warn("a part of a message has no partial_id; it goes on as it is")
            return None
        if not isinstance(body.get(self._key), str):
            self._warn(f"a part of a message has no text '{self._key}'; it goes on as it is")
            return None
        key = self._key_of(way, body)
        message = self._messages.get(key)
        if message is None:
            message = self._messages[key] = Message(body, self._key, time, way, group)
            self.held_bytes += OVERHEAD_BYTES
        return message

    def _forget(self, message: Message, body: Body) -> None:
        del self._messages[self._key_of(message.way, body)]
        self.held_bytes -= message.size + OVERHEAD_BYTES

    def flush(self) -> list[Chunk]:
        """Everything that is held, as it is."""
        messages, self._messages, self.held_bytes = self._messages, {}, 0
        return [self._chunk(message) for message in messages.values()]

    def flush_due(self, before_ns: int) -> list[Chunk]:
        """What had its last part at or before a moment."""
        due = {
            key: message
            for key, message in self._messages.items()
            if message.touched_ns <= before_ns
        }
        for key, message in due.items():
            del self._messages[key]
            self.held_bytes -= message.size + OVERHEAD_BYTES
        return [self._chunk(message) for message in due.values()]

    def _chunk(self, message: Message) -> Chunk:
        body = message.joined(self._key)
        metadata = [message.metadata] if message.metadata else None
        made = message.way.chunk(
            [message.time], [body], metadata, message.size, message.receipts, [message.group]
        )
        for receipt in message.receipts:
            receipt.release()
        return made
