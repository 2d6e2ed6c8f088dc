"""Take events from Fluentd, Fluent Bit and the loggers that speak the Forward protocol.

Example:
    Name   forward
    Listen 0.0.0.0
    Port   24224

    ["app", 1700000000, {"a": 1}]  ->  {"a": 1} under the tag app

All modes are taken (Message, Forward, PackedForward, compressed with gzip or zstd), and metrics and traces that Fluent Bit forwards. The
tag is that of the message, behind `tag_prefix` if there is one; without it a `tag` of the input goes before that of the message.

A message with the option `chunk` is acknowledged when its events are delivered, or lie in filesystem storage, or have ended in
another way that was counted. Without it nobody is told what arrives; a client whose events the pipeline can't take fast enough has to wait.

With `shared_key` a client has to prove that it holds the same key before anything is read from it; with `security.users` also a password.
"""

from __future__ import annotations

import socket
from pathlib import Path

from tailrace.config import ConfigError, KeyText, Size, group, option
from tailrace.inputs.forward.inflow import ChunkInflow
from tailrace.inputs.forward.session import Session
from tailrace.model import METRICS, TRACES, Chunk
from tailrace.net.acceptor import Acceptor, accept_settings
from tailrace.net.gathering import ServerInput
from tailrace.net.listener import listening_socket, unix_socket
from tailrace.net.options import ListenOptions, ServerTLSOptions
from tailrace.net.tls import server_tls
from tailrace.plugin import InputOptions, input_plugin
from tailrace.wire.forward import SIGNAL_NUMBERS, ForwardError
from tailrace.wire.forward.admission import Guard
from tailrace.wire.payloads import unpack_payload

DEFAULT_PORT = 24224
LEAST_BUFFER_BYTES = 1024


class ForwardOptions(InputOptions):
    listen: ListenOptions = group()
    tls: ServerTLSOptions = group()

    tag_prefix: str = option("")
    """Put this before the tag of each message."""

    unix_path: str = option("")
    """Listen on a Unix socket at this path instead of `listen` and `port`. Of several processes the first one does."""

    unix_perm: str = option("")
    """Permissions of that socket, as octal digits: 0660."""

    buffer_chunk_size: Size = option(1_024_000)
    """Counts as `buffer_max_size` if it is larger; buffers grow as they need."""

    buffer_max_size: Size = option(6_144_000)
    """Largest message, and largest content of a compressed one; a larger one ends its connection."""

    shared_key: str | None = option(None, secret=True)
    """Take messages only from clients that hold the same key."""

    empty_shared_key: bool = option(False)
    """Hold the handshake with an empty key, as to ask for users alone."""

    self_hostname: str = option("localhost")
    """Name of this server in the handshake."""

    security_users: list[KeyText] = option(many=True, name="security.users", secret=True)
    """A user who may send, with the password: `NAME PASSWORD`. May be given many times; needs a key."""

    workers: int = option(1)
    """Accepted for compatibility: one loop serves all clients. More cores are used with the service's `processes`."""


@input_plugin("forward")
class Forward(ServerInput[ForwardOptions]):
    padding = 0
    acknowledges = True
    grace_seconds = 0.5  # for answers

    def __init__(self, options: ForwardOptions) -> None:
        super().__init__(options)
        self.limit = max(options.buffer_chunk_size, options.buffer_max_size, LEAST_BUFFER_BYTES)
        self.guard = make_guard(options)
        self.unix_mode = read_mode(options.unix_perm)
        if options.unix_path and options.workers > 1:
            raise ConfigError("workers can't be more than 1 with unix_path.", "Leave it out.")
        if options.workers > 1:
            self.context.log.info("one loop serves all clients; for more cores set `processes`")
        self.tls = server_tls(options.tls, self.context.config_dir, self.context.log)
        self.inflow = ChunkInflow()

    async def start(self) -> None:
        options, log = self.options, self.context.log
        listen = options.listen
        if options.unix_path and self.context.share.index:
            return  # processes can share a port, but no path: the first has it
        if options.unix_path:
            made = unix_socket(
                options.unix_path,
                socket.SOCK_STREAM,
                backlog=listen.net_backlog,
                mode=self.unix_mode,
            )
        else:
            made = listening_socket(
                listen.listen,
                listen.port or DEFAULT_PORT,
                backlog=listen.net_backlog,
                share_port=listen.net_share_port,
            )
        waits = [each for each in (listen.net_io_timeout, listen.net_accept_timeout) if each]
        settings = accept_settings(listen, options.tls, self.tls)
        self.acceptor = Acceptor(lambda: Session(self), log, settings, min([1.0, *waits]) / 4)
        await self.open([made])
        where = options.unix_path or f"{listen.listen}:{self.acceptor.ports[0]}"
        log.info(f"listening on {where}")

    async def stop(self) -> None:
        was_open = self.is_open
        await super().stop()
        if was_open and self.options.unix_path:
            remove(self.options.unix_path)

    @property
    def has_one_tag(self) -> bool:
        return bool(self.options.tag) and not self.options.tag_prefix

    def tag_of(self, tag: str) -> str:
        """The tag of events that came under `tag`."""
        options = self.options
        if options.tag_prefix:
            return options.tag_prefix + tag
        return options.tag or tag

    def payload_chunks(self, tag: str, signal: int, data: bytes) -> list[Chunk]:
        """Chunks of metrics or traces; `ForwardError` if they are none."""
        kind = METRICS if signal == SIGNAL_NUMBERS[METRICS] else TRACES
        try:
            return unpack_payload(kind, tag, data)
        except ValueError as error:
            raise ForwardError(f"what came under '{tag}' can't be read: {error}") from error


def remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def make_guard(options: ForwardOptions) -> Guard | None:
    """What clients are asked for; `ConfigError` for what would let in too many."""
    key = "" if options.empty_shared_key else options.shared_key
    users = dict(options.security_users)
    if key is None:
        if users:
            raise ConfigError(
                "security.users is set, but no shared_key.",
                "Add a shared_key, or empty_shared_key on to ask for users alone.",
            )
        return None
    if not key and not options.empty_shared_key:
        raise ConfigError(
            "shared_key is empty.", "Give a key, or empty_shared_key on if that is meant."
        )
    return Guard(options.self_hostname, key, users)


def read_mode(text: str) -> int | None:
    """Permissions of a file from octal digits."""
    if not text:
        return None
    try:
        return int(text, 8) & 0o7777
    except ValueError:
        raise ConfigError(
            f"unix_perm: '{text}' are no permissions.", "Give octal digits, as: 0660."
        ) from None
