"""`net.tcp_keepalive*`: have the system probe connections that are idle."""

from __future__ import annotations

import socket
from typing import Any

from tailrace.net.options import ConnectOptions, ListenOptions

Keepalive = tuple[int, int, int]
"""Idle seconds before the first probe, seconds between probes, unanswered probes; -1 leaves the system's value."""
NAMES = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")


def keepalive_of(options: ConnectOptions | ListenOptions) -> Keepalive | None:
    """What the options ask for; None if nothing."""
    if not options.net_tcp_keepalive:
        return None
    return (
        options.net_tcp_keepalive_time,
        options.net_tcp_keepalive_interval,
        options.net_tcp_keepalive_probes,
    )


def set_keepalive(connection: Any, keepalive: Keepalive | None) -> None:
    """Set it on a socket, as far as the system knows it. None, or a Unix socket: nothing to do."""
    if connection is None or keepalive is None or connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in zip(NAMES, keepalive, strict=True):
        if value >= 0 and hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
