"""What a plugin with one server needs: its options in one group, and connections or an HTTP client made of them.

class MyOptions(OutputOptions):
    client: ClientOptions = group()

self.upstream = open_upstream(options.client, self.context, port=5170)
self.http = http_client(options.client, self.context, port=9200)
self.nodes = open_balancer(options.client, self.context, options.upstream)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tailrace.config import ConfigError, Options, group
from tailrace.config.errors import Problems
from tailrace.config.options import option_table
from tailrace.config.source import Section
from tailrace.net.http2_client import HTTP2Client
from tailrace.net.http_client import MOST_BODY_BYTES, HTTPClient
from tailrace.net.options import ConnectOptions, HostOptions, ProxyTLSOptions, TLSOptions
from tailrace.net.proxy import Proxy, parse_proxy
from tailrace.net.tls import client_tls, proxy_tls
from tailrace.net.upstream import Balancer, Node, Server, Upstream, node_sections
from tailrace.plugin import Context


class ClientOptions(Options):
    """`host`, `port`, `tls*` and `net.*` of what connects to a server."""

    server: HostOptions = group()
    tls: TLSOptions = group()
    tls_proxy: ProxyTLSOptions = group("tls.proxy.")
    net: ConnectOptions = group()


def open_upstream(
    options: ClientOptions,
    context: Context,
    *,
    port: int,
    host: str = "127.0.0.1",
    unix_path: str = "",
    proxy: Proxy | None = None,
    one_way: bool = False,
    protocols: Sequence[str] = (),
) -> Upstream:
    """The connections that the options ask for; `host` and `port` are the plugin's defaults, `protocols` are offered by ALPN."""
    server = Server(
        options.server.host or host,
        options.server.port or port,
        unix_path,
        options.tls.tls_vhost,
    )
    return Upstream(
        server,
        options.net,
        context,
        client_tls(options.tls, context.config_dir, context.log, protocols),
        tls_debug=options.tls.tls_debug,
        proxy=proxy,
        proxy_tls=lambda: proxy_tls(options.tls_proxy, context.config_dir),
        one_way=one_way,
    )


def http_client(
    options: ClientOptions,
    context: Context,
    *,
    port: int,
    host: str = "127.0.0.1",
    proxy_url: str = "",
    response_timeout: float = 60.0,
    read_idle_timeout: float = 0.0,
    body_limit: int = MOST_BODY_BYTES,
) -> HTTPClient:
    """An HTTP client for the server of the options, or by way of the proxy of `proxy_url` (its option is `proxy`)."""
    proxy = parse_proxy(proxy_url) if proxy_url else None
    # A plain proxy takes whole addresses in plain requests; everything else goes through a tunnel.
    is_absolute = proxy is not None and not proxy.tls and not options.tls.tls
    if proxy is not None and is_absolute:
        upstream = Upstream(Server(proxy.host, proxy.port), options.net, context, None, direct=True)
    else:
        upstream = open_upstream(options, context, port=port, host=host, proxy=proxy)
    return HTTPClient(
        upstream,
        host=options.server.host or host,
        port=options.server.port or port,
        response_timeout=response_timeout,
        read_idle_timeout=read_idle_timeout,
        body_limit=body_limit,
        absolute=is_absolute,
        proxy_authorization=proxy.authorization if proxy is not None and is_absolute else "",
    )


def http2_client(
    options: ClientOptions,
    context: Context,
    *,
    port: int,
    host: str = "127.0.0.1",
    proxy_url: str = "",
    response_timeout: float = 60.0,
    body_limit: int = MOST_BODY_BYTES,
    choice: Literal["negotiate", "force"] = "negotiate",
) -> HTTP2Client:
    """An HTTP/2 client for the server of the options, always by a tunnel where there is a proxy.

    With TLS it is negotiated (ALPN), and HTTP/1.1 spoken where the server wants that; `force`: HTTP/2 alone is offered.
    """
    proxy = parse_proxy(proxy_url) if proxy_url else None
    offered = ("h2",) if choice == "force" else ("h2", "http/1.1")
    upstream = open_upstream(options, context, port=port, host=host, proxy=proxy, protocols=offered)
    return HTTP2Client(
        upstream,
        context,
        host=options.server.host or host,
        port=options.server.port or port,
        response_timeout=response_timeout,
        body_limit=body_limit,
        negotiate=choice == "negotiate",
    )


def open_balancer(options: ClientOptions, context: Context, path: str) -> Balancer:
    """The servers of `upstream PATH`. Each has its own `host`, `port` and `tls*`; `net.*` is the plugin's.

    What else a node's section says is the plugin's to read (`Node.section`). `ConfigError` if a node will not do.
    """
    nodes = []
    for section in node_sections(context, path):
        for needed in ("name", "host", "port"):
            if not section.text(needed):
                raise ConfigError(
                    f"upstream: {section.place}: a node has no {needed}.",
                    "Give name, host and port.",
                )
        own = node_options(section, options.net)
        upstream = open_upstream(own, context, port=own.server.port)
        nodes.append(Node(section.text("name"), upstream, section))
    return Balancer(nodes)


def node_options(section: Section, net: ConnectOptions) -> ClientOptions:
    known = option_table(ClientOptions)
    mine = [entry for entry in section if known.find(entry.name)]
    problems = Problems()
    own = ClientOptions.read(mine, problems, f"upstream node {section.text('name')}")
    if own is None:
        raise ConfigError(f"upstream: {problems.found[0]}")
    return ClientOptions(server=own.server, tls=own.tls, tls_proxy=own.tls_proxy, net=net)
