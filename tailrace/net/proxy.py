"""HTTP proxies: which one the environment names for a host, and the tunnel through it (CONNECT)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from tailrace.config import ConfigError
from tailrace.net.connection import Connection, Unreachable

MOST_HEAD_BYTES = 16 * 1024


class Proxy(NamedTuple):
    """An HTTP proxy. `tls`: the connection to the proxy itself is TLS. `authorization`: value of the header, or nothing."""

    host: str
    port: int
    tls: bool = False
    authorization: str = ""


def parse_proxy(url: str) -> Proxy:
    """`http://user:password@host:port`; `ConfigError` if it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"proxy: '{hide(url)}' is no proxy.", "Give http://HOST:PORT.")
    authorization = ""
    if parts.username is not None:
        from tailrace.net.auth import basic

        authorization = basic(unquote(parts.username), unquote(parts.password or ""))
    tls = parts.scheme == "https"
    return Proxy(parts.hostname, port or (443 if tls else 80), tls, authorization)


def hide(url: str) -> str:
    """The address without user and password."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('//')[0]}//{tail}" if at else url


def proxy_of_environment(host: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy that `HTTP_PROXY` names, unless `NO_PROXY` excepts the host.

    `NO_PROXY` holds names between commas: whole names, `.domain` for all below it, or `*`.
    """
    variables = os.environ if environ is None else environ
    url = variables.get("HTTP_PROXY") or variables.get("http_proxy") or ""
    if not url:
        return None
    excepted = variables.get("NO_PROXY") or variables.get("no_proxy") or ""
    for name in excepted.split(","):
        word = name.strip()
        if word and (word in ("*", host) or (word[0] == "." and host.endswith(word))):
            return None
    return parse_proxy(url)


def authority(host: str, port: int) -> str:
    """`host:port`; an IPv6 address gets its brackets."""
    return f"[{host}]:{port}" if ":" in host and host[0] != "[" else f"{host}:{port}"


async def open_tunnel(connection: Connection, host: str, port: int, authorization: str) -> None:
    """Ask the proxy at the other end for a connection to `host`; `Unreachable` if it makes none."""
    target = authority(host, port)
    head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
    if authorization:
        head += f"Proxy-Authorization: {authorization}\r\n"
    await connection.send(
        f"{head}User-Agent: Fluent-Bit\r\nProxy-Connection: KeepAlive\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = await connection.receive()
        if not data or len(answer) > MOST_HEAD_BYTES:
            raise Unreachable(f"the proxy {connection.peer} gave no answer to CONNECT {target}")
        answer += data
    head_bytes, _, rest = answer.partition(b"\r\n\r\n")
    words = head_bytes.split(b"\r\n", 1)[0].split(None, 2)
    if len(words) < 2 or not words[1].startswith(b"2"):
        status = words[1].decode("ascii", "replace") if len(words) > 1 else "nothing"
        raise Unreachable(f"the proxy {connection.peer} answered {status} to CONNECT {target}")
    connection.push_back(rest)
