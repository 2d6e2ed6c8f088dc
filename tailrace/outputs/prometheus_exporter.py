"""Serve the last metrics of each tag to Prometheus, at `/metrics`.

Example:
    Name      prometheus_exporter
    Match     metrics.*
    Host      127.0.0.1
    Port      2021
    Add_label site lab
"""

from __future__ import annotations

from collections import OrderedDict

from tailrace.config import KeyText, Seconds, Size, option
from tailrace.config.options import group
from tailrace.model import METRICS, Chunk
from tailrace.model.metrics import MetricSet, joined_sets
from tailrace.net.acceptor import AcceptSettings
from tailrace.net.http_server import HttpLimits, HttpServer, Request, Response, serve_http
from tailrace.net.listener import listening_socket
from tailrace.net.options import ServerTLSOptions
from tailrace.net.tls import server_tls
from tailrace.plugin import Output, OutputOptions, output_plugin
from tailrace.wire import prometheus

MOST_SETS = 1000
"""Sets of metrics that are kept; the longest unchanged goes first."""


class PrometheusExporterOptions(OutputOptions):
    host: str = option("0.0.0.0")
    """Address to listen on."""

    port: int = option(2021)
    """Port to listen on."""

    add_timestamp: bool = option(False)
    """Show each sample's time (milliseconds)."""

    add_label: list[KeyText] = option(many=True)
    """A label for all samples: `KEY VALUE`. May be given many times."""

    tls: ServerTLSOptions = group()
    """TLS of the listener."""

    http2: bool = option(True, aliases=("http_server.http2",))
    """Speak HTTP/2 with clients that ask for it."""

    idle_timeout: Seconds = option(10.0, name="http_server.idle_timeout")
    """Close a connection on which nothing comes for this long."""

    buffer_max_size: Size = option(4_000_000, aliases=("http_server.buffer_max_size",))
    """Largest request."""

    buffer_chunk_size: Size = option(512_000, aliases=("http_server.buffer_chunk_size",))
    """Accepted for compatibility: buffers grow as they are needed."""

    max_connections: Size = option(0, aliases=("http_server.max_connections",))
    """Most connections at once; 0: any number."""

    http_server_workers: int = option(1, name="http_server.workers")
    """Accepted for compatibility: the answer is made already when it is asked for."""

    ingress_queue_event_limit: Size = option(8192, name="http_server.ingress_queue_event_limit")
    """Accepted for compatibility: nothing comes in here."""

    ingress_queue_byte_limit: Size = option(
        256_000_000, name="http_server.ingress_queue_byte_limit"
    )
    """Accepted for compatibility: nothing comes in here."""


@output_plugin("prometheus_exporter")
class PrometheusExporter(Output[PrometheusExporterOptions]):
    handles = METRICS
    exclusive = True

    def __init__(self, options: PrometheusExporterOptions) -> None:
        super().__init__(options)
        self._labels = {str(key): value for key, value in options.add_label}
        self._tls = server_tls(options.tls, self.context.config_dir, self.context.log)
        self._sets: OrderedDict[tuple[str, ...], MetricSet] = OrderedDict()
        self._page: bytes | None = b""
        self._server: HttpServer | None = None

    async def start(self) -> None:
        options = self.options
        self._server = await serve_http(
            self._answer,
            [listening_socket(options.host, options.port)],
            log=self.context.log,
            limits=HttpLimits(
                body_bytes=options.buffer_max_size,
                idle_seconds=options.idle_timeout,
                http2=options.http2,
            ),
            settings=AcceptSettings(tls=self._tls, connections=options.max_connections),
        )
        self.context.log.info(f"listening on {options.host}:{self.port}")

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return self._server.ports[0]

    async def flush(self, chunk: Chunk) -> None:
        """Put metrics in the place of the last ones of the same source, tag and names."""
        metrics: MetricSet = chunk.payload
        names = sorted({metric.full_name for metric in metrics.metrics})
        key = (chunk.stream[0] if chunk.stream else "", chunk.tag, *names)
        labelled = MetricSet(
            metrics.metrics, {**metrics.static_labels, **self._labels}, external=metrics.external
        )
        self._sets[key] = labelled
        self._sets.move_to_end(key)
        if len(self._sets) > MOST_SETS:
            self._sets.popitem(last=False)
        self._page = None

    async def _answer(self, request: Request) -> Response:
        if request.path == "/":
            return Response(200, b"Fluent Bit Prometheus Exporter\n")
        if request.path != "/metrics":
            return Response(404)
        return Response(200, self._text(), (("Content-Type", prometheus.CONTENT_TYPE),))

    def _text(self) -> bytes:
        if self._page is None:
            sets = list(self._sets.values())
            shown = sets[0] if len(sets) == 1 else joined_sets(sets)
            text = prometheus.encode(shown, self.options.add_timestamp)
            self._page = text.encode("utf-8", "replace")
        return self._page
