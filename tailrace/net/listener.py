"""Sockets to listen on."""

from __future__ import annotations

import errno
import os
import socket
import stat

from tailrace.config import ConfigError


def listening_socket(
    host: str, port: int, *, backlog: int = 128, share_port: bool = False
) -> socket.socket:
    """A TCP socket that listens, not blocking; port 0 takes a free one. `ConfigError` if it can't be had."""
    made = bound_socket(host, port, socket.SOCK_STREAM, share_port)
    made.listen(backlog)
    return made


def datagram_socket(host: str, port: int, *, share_port: bool = False) -> socket.socket:
    """A UDP socket, bound, not blocking. `ConfigError` if it can't be had."""
    return bound_socket(host, port, socket.SOCK_DGRAM, share_port)


MENDS = {
    errno.EADDRINUSE: "Take another `port`, or end the program that has it (`ss -ltnp`, `ss -lunp`).",
    errno.EADDRNOTAVAIL: "Give an address of this machine in `listen`, as: 127.0.0.1.",
    errno.EACCES: "Ports below 1024 need a privilege (CAP_NET_BIND_SERVICE): take a higher `port`, or give it.",
}


def bound_socket(host: str, port: int, kind: socket.SocketKind, share_port: bool) -> socket.socket:
    if not 0 <= port <= 65535:
        raise ConfigError(f"{port} is no port.", "Give a number from 0 (any free one) to 65535.")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=kind, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        made = socket.socket(family, kind)
    except OSError as error:
        raise ConfigError(
            f"'{host}' is no address to listen on: {error.strerror}.",
            "Give an address of this machine in `listen`, as: 127.0.0.1.",
        ) from error
    try:
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.setblocking(False)
        made.bind(address)
    except OSError as error:
        made.close()
        raise ConfigError(
            f"can't listen on {host}:{port}: {error.strerror}.",
            MENDS.get(error.errno or 0, "Take another `port`, or another address in `listen`."),
        ) from error
    return made


def unix_socket(
    path: str, kind: socket.SocketKind, *, backlog: int = 128, mode: int | None = None
) -> socket.socket:
    """A Unix socket at a path, in place of one that is there already. `ConfigError` if it can't be had."""
    made = socket.socket(socket.AF_UNIX, kind)
    try:
        if os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
        made.setblocking(False)
        made.bind(path)
        if mode is not None:
            os.chmod(path, mode)
        if kind == socket.SOCK_STREAM:
            made.listen(backlog)
    except OSError as error:
        made.close()
        raise ConfigError(
            f"can't listen on '{path}': {error.strerror}.",
            "Give a path in a folder that exists and may be written to.",
        ) from error
    return made
