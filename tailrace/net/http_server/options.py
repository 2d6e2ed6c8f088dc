"""Options that every input takes which is spoken to over HTTP, and the server they make."""

from __future__ import annotations

from tailrace.config import Options, Seconds, Size, option
from tailrace.net.acceptor import accept_settings
from tailrace.net.http_server import ALPN, Handler, HttpLimits, HttpServer, serve_http
from tailrace.net.listener import listening_socket
from tailrace.net.options import ListenOptions, ServerTLSOptions
from tailrace.net.tls import server_tls
from tailrace.plugin import Context


class HttpServerOptions(Options):
    """`http_server.*`, and the older names of the same."""

    http2: bool = option(True, name="http_server.http2", aliases=("http2",))
    """Speak HTTP/2 with clients that ask for it."""

    idle_timeout: Seconds = option(10.0, name="http_server.idle_timeout")
    """Close a connection from which nothing comes for this long; 0: never. `net.io_timeout` goes before it."""

    buffer_max_size: Size = option(
        4_000_000, name="http_server.buffer_max_size", aliases=("buffer_max_size",)
    )
    """Largest request body; a larger one is answered with 413. Unpacked it may be sixteen times that."""

    buffer_chunk_size: Size = option(
        512_000, name="http_server.buffer_chunk_size", aliases=("buffer_chunk_size",)
    )
    """Accepted for compatibility: buffers grow as they need."""

    max_connections: Size = option(
        0, name="http_server.max_connections", aliases=("max_connections",)
    )
    """Most connections at once; 0: without limit. The next one is closed at once."""

    workers: int = option(1, name="http_server.workers", aliases=("workers",))
    """Accepted for compatibility: one loop serves all clients. More cores are used with the service's `processes`."""

    ingress_queue_event_limit: Size = option(8192, name="http_server.ingress_queue_event_limit")
    """Most requests that may wait for their answer at once; more are answered with 503."""

    ingress_queue_byte_limit: Size = option(
        256_000_000, name="http_server.ingress_queue_byte_limit"
    )
    """Most bytes of requests that may come in or wait for their answer at once; more are answered with 503."""


UNPACKED_RATIO = 16
"""How many times the largest body what it unpacks to may be."""


async def open_http_server(
    handler: Handler,
    http: HttpServerOptions,
    listen: ListenOptions,
    tls: ServerTLSOptions,
    context: Context,
    default_port: int,
) -> HttpServer:
    """The server that an input's options ask for; it listens. `ConfigError` if it can't."""
    log = context.log
    protocols = ALPN if http.http2 else ALPN[1:]
    settings = accept_settings(
        listen, tls, server_tls(tls, context.config_dir, context.log, protocols)
    )
    settings.connections = http.max_connections or settings.connections
    limits = HttpLimits(
        body_bytes=http.buffer_max_size,
        held_bytes=http.ingress_queue_byte_limit,
        idle_seconds=listen.net_io_timeout or http.idle_timeout,
        http2=http.http2,
        keep_alive=listen.net_keepalive,
    )
    made = listening_socket(
        listen.listen,
        listen.port or default_port,
        backlog=listen.net_backlog,
        share_port=listen.net_share_port,
    )
    server = await serve_http(handler, [made], log=log, limits=limits, settings=settings)
    log.info(f"listening on {listen.listen}:{server.ports[0]}")
    return server
