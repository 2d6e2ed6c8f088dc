"""One server of the output forward: what is sent to it, and how it answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgpack

from tailrace.config import ConfigError, KeyText, Options, option
from tailrace.config.types import one_of
from tailrace.model import Chunk
from tailrace.model.accessor import AccessorError, Template
from tailrace.net.connection import Connection, Unreachable
from tailrace.net.upstream import Upstream
from tailrace.plugin import Context, Partial, Retry
from tailrace.wire.forward import ACK, CHUNK, ForwardError, as_bytes
from tailrace.wire.forward.writing import Manner, Message, encode

if TYPE_CHECKING:
    from tailrace.wire.forward.handshake import Credentials

ACK_SECONDS = 190.0
"""How long an ack is waited for when `net.io_timeout` does not say; Fluentd's own default."""
HELO_SECONDS = 0.05
MOST_ANSWER_BYTES = 64 * 1024
DEMAND = "asks for a handshake and takes nothing without: give shared_key (or empty_shared_key)"


class TargetOptions(Options):
    """What is about one server; of several, each node says it for itself."""

    tag: str = option("")
    """The tag to send instead of the events' own: a template such as new.$TAG or $app. With a key of the event, each event is a message of its own."""

    time_as_integer: bool = option(False)
    """Send whole seconds, without metadata: for Fluentd up to 0.12."""

    retain_metadata_in_forward_mode: bool | None = option(None)
    """Send events with their metadata, which Fluentd does not take. Default: on; of an upstream's nodes: on for chunks that have metadata."""

    send_options: bool = option(False)
    """Send the number of events and the kind of signal with each chunk of logs; `compress`, `require_ack_response` and `add_option` imply it."""

    require_ack_response: bool = option(False)
    """Count a chunk as delivered only when the other side has acknowledged it."""

    compress: str = option("text", reader=one_of("text", "gzip"))
    """gzip compresses what is sent; text does not."""

    add_option: list[KeyText] = option(many=True)
    """A further option of the protocol, as: KEY TEXT. May be given many times."""

    fluentd_compat: bool = option(False)
    """Send metrics and traces as an event, which Fluentd understands. Without effect on what is compressed."""

    shared_key: str | None = option(None, secret=True)
    """Key that both sides know: proven before anything is sent, in both directions."""

    empty_shared_key: bool = option(False)
    """Do the handshake with an empty key."""

    self_hostname: str = option("localhost")
    """Name of this side in the handshake."""

    username: str = option("")
    """User, for a server that asks for one. Needs a shared key."""

    password: str = option("", secret=True)
    """Password of the user."""


class Target:
    """A server with its connections. `is_node`: it is one of several."""

    def __init__(
        self, options: TargetOptions, upstream: Upstream, context: Context, is_node: bool = False
    ) -> None:
        self.upstream = upstream
        self.clock = context.clock
        self.manner = manner_of(options, is_node)
        self.credentials = credentials_of(options)
        self.answer_seconds = upstream.options.net_io_timeout or ACK_SECONDS
        self.handshake_seconds = upstream.options.net_connect_timeout or ACK_SECONDS
        self.is_trusted = self.credentials is not None or self.manner.wants_ack
        """Whether it is known that the server takes what is sent: by a handshake, by acks, or since it asked for nothing."""

    async def deliver(self, chunk: Chunk) -> None:
        """Send a chunk and, if it is to be acknowledged, wait for that; `Retry` or `Partial` if it is not delivered."""
        begun = self.clock.monotonic()
        connection = await self.upstream.acquire()
        is_sound = False
        try:
            if not self.is_trusted:
                await self.hear_demands(connection, self.clock.monotonic() - begun)
            keepalive = True
            if self.credentials is not None and connection.fresh:
                keepalive = await self.shake_hands(connection, self.credentials)
            messages = encode(chunk, self.manner, self.clock.time_ns())
            await connection.send(*[part for message in messages for part in message.parts])
            if self.manner.wants_ack:
                await self.await_acks(connection, chunk, messages)
            else:
                await asyncio.sleep(0)  # lets the loop see that the other side has hung up
                connection.check()
            if not keepalive:
                connection.close()
            is_sound = True
        finally:
            self.upstream.release(connection, is_sound)

    async def shake_hands(self, connection: Connection, mine: Credentials) -> bool:
        """Prove to hold the key, and have it proven; whether the server keeps the connection open afterwards."""
        from tailrace.wire.forward import (
            handshake as proofs,  # random numbers and digests cost 5 ms
        )

        answers = Answers(connection, self.handshake_seconds, proofs.MOST_BYTES)
        salt = proofs.new_salt()
        try:
            helo = proofs.read_helo(await answers.next())
            await connection.send(proofs.ping(helo, mine, salt))
            proofs.check_pong(await answers.next(), helo, mine, salt)
        except ForwardError as error:
            raise Unreachable(f"handshake with {connection.peer}: {error}") from error
        return helo.keepalive

    async def await_acks(
        self, connection: Connection, chunk: Chunk, messages: Sequence[Message]
    ) -> None:
        """Wait until every message is acknowledged."""
        waiting: dict[str, deque[int]] = {}
        for index, message in enumerate(messages):
            waiting.setdefault(message.token, deque()).append(index)
        answers = Answers(connection, self.answer_seconds, MOST_ANSWER_BYTES)
        try:
            while waiting:
                token = ack_of(await answers.next())
                if token not in waiting:
                    raise ForwardError(f"it acknowledged '{token}', which was not sent")
                waiting[token].popleft()
                if not waiting[token]:
                    del waiting[token]
        except (ForwardError, Unreachable) as error:
            why = f"no acknowledgement from {connection.peer}: {error}"
            first = min(indexes[0] for indexes in waiting.values())
            if first:
                raise Partial(why, chunk.slice(first, chunk.count)) from error
            raise Retry(why) from error

    async def hear_demands(self, connection: Connection, connect_seconds: float) -> None:
        """Before the first chunk: whether the server asks for a handshake, without which it drops all that it gets.

        It says so at once, but not sooner than about the time that connecting took.
        """
        try:
            words = await connection.receive(HELO_SECONDS + min(connect_seconds, 1.0))
        except Unreachable:
            connection.check()
            words = b""
        if b"HELO" in words[:16]:
            raise Retry(f"{connection.peer} {DEMAND}")
        self.is_trusted = True


class Answers:
    """MessagePack values that a server sends, each within `seconds` and of at most `limit` bytes."""

    def __init__(self, connection: Connection, seconds: float, limit: int) -> None:
        self._connection = connection
        self._seconds = seconds
        self._unpacker = msgpack.Unpacker(
            None,
            raw=False,
            strict_map_key=False,
            unicode_errors="surrogateescape",
            max_buffer_size=limit,
        )

    async def next(self) -> Any:
        """The next value; `ForwardError` if what comes is none, `Unreachable` if nothing comes."""
        while True:
            try:
                return self._unpacker.unpack()
            except msgpack.OutOfData:
                pass
            except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
                raise ForwardError(f"its answer is no MessagePack: {error}") from error
            data = await self._connection.receive(self._seconds)
            if not data:
                raise Unreachable(f"{self._connection.peer} closed the connection")
            try:
                self._unpacker.feed(data)
            except msgpack.BufferFull as error:
                raise ForwardError("its answer is too long") from error


def ack_of(value: Any) -> str:
    """The token that an answer acknowledges."""
    if type(value) is list and value[:1] == ["HELO"]:
        raise ForwardError(f"it {DEMAND}")
    token = as_bytes(value.get(ACK)) if type(value) is dict else None
    if token is None:
        raise ForwardError("its answer is no ack")
    return token.decode("utf-8", "replace")[:200]


def manner_of(options: TargetOptions, is_node: bool) -> Manner:
    """How the options ask to write; `ConfigError` if they contradict each other."""
    tag = template_of(options.tag)
    is_gzip = options.compress == "gzip"
    if is_gzip and options.time_as_integer:
        raise ConfigError(
            "compress: gzip can't go together with time_as_integer.", "Take one of them out."
        )
    if is_gzip and tag is not None and tag.accessors:
        raise ConfigError(
            f"compress: gzip can't go together with a tag made of the event ('{options.tag}').",
            "Take one of them out.",
        )
    if options.require_ack_response and any(key == CHUNK for key, _ in options.add_option):
        raise ConfigError(
            f"add_option: '{CHUNK}' is what require_ack_response sets.", "Take one of them out."
        )
    keep: bool | None = options.retain_metadata_in_forward_mode
    if keep is None and not is_node:
        keep = True
    return Manner(
        tag=tag,
        time_as_integer=options.time_as_integer,
        keep_metadata=keep,
        with_options=bool(
            options.send_options or options.require_ack_response or is_gzip or options.add_option
        ),
        wants_ack=options.require_ack_response,
        compress=is_gzip,
        fluentd_compat=options.fluentd_compat,
        extra=tuple(options.add_option),
    )


def template_of(text: str) -> Template | None:
    if not text:
        return None
    try:
        return Template(text)
    except AccessorError as error:
        raise ConfigError(f"tag: {error}") from error


def credentials_of(options: TargetOptions) -> Credentials | None:
    """What to show in the handshake; None if there is none."""
    key = "" if options.empty_shared_key else options.shared_key
    if key is None:
        if options.username or options.password:
            raise ConfigError(
                "username, password: they are shown in the handshake alone, which needs a key.",
                "Add shared_key, or empty_shared_key on.",
            )
        return None
    from tailrace.wire.forward.handshake import Credentials

    return Credentials(options.self_hostname, key, options.username, options.password)
