"""Options that every plugin with a network side takes: `tls.*`, `net.*`, where to listen, where to connect."""

from __future__ import annotations

from typing import Any

from tailrace.config import ConfigError, Odd, Options, Seconds, option
from tailrace.config.types import Reader, one_of, read_int, read_key_text, text

TLS_VERSIONS = ("1.0", "1.1", "1.2", "1.3")


def tls_version(word: str) -> str:
    """`TLSv1.2`, `tls1.2` and `1.2` as `1.2`."""
    return word.lower().removeprefix("tls").removeprefix("v").replace("_", ".")


class TLSOptions(Options):
    """`tls` and `tls.*` of a client or a server."""

    tls: bool = option(False, last_wins=True)
    """Speak TLS."""

    tls_verify: bool = option(True, name="tls.verify")
    """Check the other side's certificate."""

    tls_verify_client_cert: bool = option(False, name="tls.verify_client_cert")
    """As a server: refuse clients without a certificate of `tls.ca_file`."""

    tls_debug: int = option(1, name="tls.debug")
    """From 2 on: log the TLS version and cipher of each connection."""

    tls_ca_file: str = option("", name="tls.ca_file")
    """Certificates of the authorities to trust (PEM); default: the system's."""

    tls_ca_path: str = option("", name="tls.ca_path")
    """Folder of such certificates."""

    tls_crt_file: str = option("", name="tls.crt_file")
    """Own certificate with its chain (PEM); read again when the file changes."""

    tls_key_file: str = option("", name="tls.key_file")
    """Private key of the own certificate (PEM)."""

    tls_key_passwd: str = option("", name="tls.key_passwd", secret=True)
    """Passphrase of the private key."""

    tls_vhost: str = option("", name="tls.vhost")
    """Server name to ask for (SNI) and to expect in its certificate; default: the host."""

    tls_verify_hostname: bool = option(False, name="tls.verify_hostname")
    """Check that the certificate is for the host (or `tls.vhost`)."""

    tls_min_version: str = option("", name="tls.min_version")
    """Lowest TLS version: 1.0, 1.1, 1.2 or 1.3 (also as TLSv1.2)."""

    tls_max_version: str = option("", name="tls.max_version")
    """Highest TLS version."""

    tls_ciphers: str = option("", name="tls.ciphers")
    """Ciphers for TLS up to 1.2, in OpenSSL's notation."""


def tls_for_url(is_tls: bool, given: TLSOptions | None = None) -> TLSOptions:
    """Options for a server that an `https://` address names: verified, by the authorities of `given` if there are any."""
    values: dict[str, Any] = {"tls": is_tls, "tls_verify_hostname": True}
    if given is not None:
        values |= {
            "tls_ca_file": given.tls_ca_file,
            "tls_ca_path": given.tls_ca_path,
            "tls_verify": given.tls_verify,
        }
    return TLSOptions(**values)


class ProxyTLSOptions(Options):
    """`tls.proxy.*`: how an `https://` proxy is checked."""

    ca_file: str = option("")
    """Certificates of the authorities to trust for the proxy (PEM); default: the system's."""

    ca_path: str = option("")
    """Folder of such certificates."""

    verify: bool = option(True)
    """Check the proxy's certificate."""

    verify_hostname: bool = option(True)
    """Check that the certificate is for the proxy's host."""


class ConnectOptions(Options):
    """`net.*` of what connects to a server."""

    net_dns_mode: str = option(
        "", name="net.dns.mode", reader=one_of("", "udp", "tcp", otherwise="")
    )
    """Names are resolved by the system, which chooses the transport: tcp is answered with a warning."""

    net_dns_resolver: str = option(
        "", name="net.dns.resolver", reader=one_of("", "async", "legacy", otherwise="")
    )
    """Accepted for compatibility: names are always resolved beside the pipeline by the system's resolver."""

    net_dns_prefer_ipv4: bool = option(False, name="net.dns.prefer_ipv4")
    """Try IPv4 addresses first."""

    net_dns_prefer_ipv6: bool = option(False, name="net.dns.prefer_ipv6")
    """Try IPv6 addresses first."""

    net_keepalive: bool = option(True, name="net.keepalive")
    """Use a connection again."""

    net_keepalive_idle_timeout: Seconds = option(30.0, name="net.keepalive_idle_timeout")
    """Close a kept connection that was not used for this long."""

    net_keepalive_max_recycle: int = option(2000, name="net.keepalive_max_recycle")
    """How often a connection is used again; 0: without limit."""

    net_max_worker_connections: int = option(0, name="net.max_worker_connections")
    """Most connections at once; 0: without limit."""

    net_connect_timeout: Seconds = option(10.0, name="net.connect_timeout")
    """Longest time to connect, the TLS handshake included."""

    net_connect_timeout_log_error: bool = option(True, name="net.connect_timeout_log_error")
    """Log a connect timeout as an error; off: as debug."""

    net_io_timeout: Seconds = option(0.0, name="net.io_timeout")
    """Longest time without a byte sent or received; 0: without limit."""

    net_source_address: str = option("", name="net.source_address")
    """Local address to connect from."""

    net_tcp_keepalive: bool = option(False, name="net.tcp_keepalive")
    """Have the system probe idle connections (SO_KEEPALIVE)."""

    net_tcp_keepalive_time: int = option(-1, name="net.tcp_keepalive_time")
    """Idle seconds before the first probe; -1: the system's."""

    net_tcp_keepalive_interval: int = option(-1, name="net.tcp_keepalive_interval")
    """Seconds between probes; -1: the system's."""

    net_tcp_keepalive_probes: int = option(-1, name="net.tcp_keepalive_probes")
    """Unanswered probes before the connection is given up; -1: the system's."""

    net_proxy_env_ignore: bool = option(False, name="net.proxy_env_ignore")
    """Do not use the environment variables HTTP_PROXY and NO_PROXY."""


def read_port(value: Any) -> int:
    """A port; nothing and 0 are the plugin's default."""
    port = read_int(value) if text(value).strip() else 0
    if not 0 <= port <= 65535:
        raise ConfigError(f"{value!r} is no port.", "Give a number from 1 to 65535.")
    return port


PORT = Reader("integer", read_port)
LISTEN_PORT = Reader("integer", read_int)


def read_header(value: Any) -> tuple[str, str]:
    """A header of requests; one without a value is sent with its name as value, as in Fluent Bit, with a warning."""
    try:
        return read_key_text(value)
    except ConfigError as error:
        name = text(value).strip()
        if not name:
            raise
        shown = name.partition(":")[0]  # what stands behind a colon may be secret
        what = f"'{shown}' has no value; its name is sent as its value."
        raise Odd((name, name), what, f"Give one behind a blank, as: {shown} VALUE.") from error


HEADER = Reader("name and text", read_header)


class HostOptions(Options):
    """Where an output connects to."""

    host: str = option("", last_wins=True)
    """Name or address of the server."""

    port: int = option(0, last_wins=True, reader=PORT)
    """Port of the server."""


class ListenOptions(Options):
    """Where an input listens, and `net.*` of servers."""

    listen: str = option("0.0.0.0", last_wins=True)
    """Address to listen on."""

    host: str = option("localhost", last_wins=True)
    """Accepted for compatibility; `listen` is what counts."""

    port: int = option(0, last_wins=True, reader=LISTEN_PORT)
    """Port to listen on."""

    net_backlog: int = option(128, name="net.backlog")
    """Connections that may wait to be accepted."""

    net_share_port: bool = option(False, name="net.share_port")
    """Let other processes listen on the same port (SO_REUSEPORT)."""

    net_accept_timeout: Seconds = option(10.0, name="net.accept_timeout")
    """Longest time for a TLS handshake."""

    net_accept_timeout_log_error: bool = option(True, name="net.accept_timeout_log_error")
    """Log a handshake timeout as an error; off: as debug."""

    net_io_timeout: Seconds = option(0.0, name="net.io_timeout")
    """Close a connection from which nothing came for this long; 0: never."""

    net_keepalive: bool = option(True, name="net.keepalive")
    """Off: answer one HTTP request on a connection, then close it."""

    net_tcp_keepalive: bool = option(False, name="net.tcp_keepalive")
    """Have the system probe idle connections (SO_KEEPALIVE)."""

    net_tcp_keepalive_time: int = option(-1, name="net.tcp_keepalive_time")
    """Idle seconds before the first probe; -1: the system's."""

    net_tcp_keepalive_interval: int = option(-1, name="net.tcp_keepalive_interval")
    """Seconds between probes; -1: the system's."""

    net_tcp_keepalive_probes: int = option(-1, name="net.tcp_keepalive_probes")
    """Unanswered probes before the connection is given up; -1: the system's."""

    net_dns_mode: str = option(
        "", name="net.dns.mode", reader=one_of("", "udp", "tcp", otherwise="")
    )
    """Accepted for compatibility: a listener looks up no names."""

    net_dns_resolver: str = option(
        "", name="net.dns.resolver", reader=one_of("", "async", "legacy", otherwise="")
    )
    """Accepted for compatibility: a listener looks up no names."""

    net_dns_prefer_ipv4: bool = option(False, name="net.dns.prefer_ipv4")
    """Accepted for compatibility: a listener looks up no names."""

    net_dns_prefer_ipv6: bool = option(False, name="net.dns.prefer_ipv6")
    """Accepted for compatibility: a listener looks up no names."""

    net_keepalive_idle_timeout: Seconds = option(30.0, name="net.keepalive_idle_timeout")
    """Accepted for compatibility: it is about connections to a server; see `net.io_timeout`."""

    net_keepalive_max_recycle: int = option(2000, name="net.keepalive_max_recycle")
    """Accepted for compatibility: a listener connects to nowhere."""

    net_max_worker_connections: int = option(0, name="net.max_worker_connections")
    """Most connections of clients at once; 0: without limit. The next one is closed at once."""

    net_connect_timeout: Seconds = option(10.0, name="net.connect_timeout")
    """Accepted for compatibility: a listener connects to nowhere; see `net.accept_timeout`."""

    net_connect_timeout_log_error: bool = option(True, name="net.connect_timeout_log_error")
    """Accepted for compatibility: a listener connects to nowhere."""

    net_source_address: str = option("", name="net.source_address")
    """Accepted for compatibility: a listener connects to nowhere; see `listen`."""

    net_proxy_env_ignore: bool = option(False, name="net.proxy_env_ignore")
    """Accepted for compatibility: a listener connects to nowhere."""


class ServerTLSOptions(TLSOptions):
    """`tls` and `tls.*` of a server, with those that are accepted for compatibility."""

    tls_proxy_ca_file: str = option("", name="tls.proxy.ca_file")
    """Accepted for compatibility: a listener uses no proxy."""

    tls_proxy_ca_path: str = option("", name="tls.proxy.ca_path")
    """Accepted for compatibility: a listener uses no proxy."""

    tls_proxy_verify: bool = option(True, name="tls.proxy.verify")
    """Accepted for compatibility: a listener uses no proxy."""

    tls_proxy_verify_hostname: bool = option(True, name="tls.proxy.verify_hostname")
    """Accepted for compatibility: a listener uses no proxy."""
