"""The HTTP API's server: who may ask, typed reading of what is asked, and the answer.

It listens on loopback unless told otherwise. With `http_token` every request but the health checks needs
`Authorization: Bearer TOKEN`; with `http_tls.verify_client_cert` a client needs a certificate. Pages of other sites can neither read nor
change anything: a foreign `Origin` is refused, and on loopback a foreign `Host` as well.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from pathlib import Path
from urllib.parse import parse_qs, unquote

from tailrace.api.endpoints import ENDPOINTS, JSON, Answer, answer, as_json, health
from tailrace.api.traces import TraceProblem, read_inputs, read_trace
from tailrace.api.view import Control, Health, View
from tailrace.engine.service import ServiceOptions
from tailrace.net.http_server import (
    AcceptSettings,
    HttpLimits,
    HttpServer,
    Request,
    Response,
    serve_http,
)
from tailrace.net.listener import listening_socket
from tailrace.net.tls import server_tls
from tailrace.plugin.log import Log

HEALTH_SECONDS = 1.0
MOST_BODY = 1_000_000
OPEN_PATHS = ("/api/v1/health", "/api/v2/health")
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class ApiServer:
    """Serves the API of one agent (or supervisor), as its service section says; `apply` follows a reload."""

    def __init__(self, control: Control, log: Log, config_dir: Path) -> None:
        self._control = control
        self._log = log
        self._config_dir = config_dir
        self._health = Health()
        self._server: HttpServer | None = None
        self._watch: asyncio.Task[None] | None = None
        self._bound: tuple[object, ...] = ()

    @property
    def ports(self) -> list[int]:
        return self._server.ports if self._server is not None else []

    async def apply(self, service: ServiceOptions) -> None:
        """Listen as the service says; `ConfigError` if that can't be done. What has not changed stays open."""
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(
                self._watch_health(), name="health"
            )
        wanted = (service.http_listen, service.http_port, repr(service.http_tls))
        if service.http_server and self._server is not None and wanted == self._bound:
            return
        if not service.http_server:
            await self._shut()
            return
        tls = server_tls(service.http_tls, self._config_dir, self._log, ("http/1.1",))
        listener = listening_socket(service.http_listen, service.http_port)
        await self._shut()
        limits = HttpLimits(body_bytes=MOST_BODY, held_bytes=16 * MOST_BODY)
        self._server = await serve_http(
            self.handle,
            [listener],
            log=self._log,
            limits=limits,
            settings=AcceptSettings(tls=tls, connections=200),
        )
        self._bound = wanted
        scheme = "https" if tls is not None else "http"
        self._log.info(
            f"[http_server] listening on {scheme}://{service.http_listen}:{self.ports[0]}/"
        )
        if is_open_to_others(service):
            self._log.warn(
                f"[http_server] whoever reaches {service.http_listen} can {open_doors(service)}: set http_token, "
                "or http_tls with http_tls.verify_client_cert, or listen on 127.0.0.1"
            )

    async def close(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        await self._shut()

    async def _shut(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.close(grace_seconds=1.0)

    async def _watch_health(self) -> None:
        """Note errors and given-up retries as time passes."""
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            if self._server is not None and self._control.service is not None:
                await self._errors(self._control.service)

    async def _errors(self, service: ServiceOptions) -> tuple[int, int]:
        """Errors and given-up retries within the health check's period."""
        errors, failed = await self._control.errors()
        return self._health.look(errors, failed, service.hc_period, time.monotonic())

    async def _look(self) -> View | None:
        control = self._control
        service = control.service
        if service is None:
            return None
        return View(
            service,
            control.started_at,
            control.reloads,
            await control.metrics(),
            control.topology(),
        )

    # Requests

    async def handle(self, request: Request) -> Response:
        service = self._control.service
        if service is None:
            return Response(503)
        refusal = refused(request, service)
        made = refusal if refusal is not None else await self._answer(request, service)
        headers = list(made.headers.items())
        if made.content_type:
            headers.append(("Content-Type", made.content_type))
        return Response(made.status, made.body, headers)

    async def _answer(self, request: Request, service: ServiceOptions) -> Answer:
        path = request.path
        if path == "/api/v2/reload":
            return await self._reload(request, service)
        if path.startswith(("/api/v1/trace/", "/api/v1/traces/", "/api/v2/tap/")):
            if not service.enable_chunk_trace:
                return Answer(404)
            return await self._trace(request, path)
        if path == "/" and "text/html" in request.headers.get("accept", ""):
            return page()
        if path in OPEN_PATHS:
            errors, failed = await self._errors(service)
            return health(service, errors, failed, version=int(path[6]))
        if path not in ENDPOINTS:
            return Answer(404)
        view = await self._look()
        assert view is not None
        return answer(view, path)

    async def _reload(self, request: Request, service: ServiceOptions) -> Answer:
        if request.method == "GET":
            return as_json({"hot_reload_count": self._control.reloads})
        if request.method not in ("POST", "PUT"):
            return Answer(405, headers={"Allow": "GET, POST, PUT"})
        if not service.hot_reload:
            return as_json({"reload": "not enabled", "status": -1})
        result = await self._control.reload()
        told: dict[str, object] = {"reload": result.word, "status": result.status}
        if result.error:
            told["error"] = result.error
        return as_json(told, {-2: 400, -3: 500}.get(result.status, 200))

    async def _trace(self, request: Request, path: str) -> Answer:
        try:
            if path == "/api/v1/traces/":
                return await self._trace_many(request)
            kind, _, name = path.removeprefix("/api/").partition("/")[2].partition("/")
            name = unquote(name)
            if kind == "tap":
                return as_json({"records": await self._control.read_tap(name)})
            return await self._trace_one(request, name)
        except TraceProblem as problem:
            return as_json({"status": "error", "message": str(problem)}, problem.status)
        except LookupError as error:
            return as_json({"status": "not found", "message": str(error)}, 404)

    async def _trace_one(self, request: Request, name: str) -> Answer:
        known = {
            each[key] for each in self._control.topology()["inputs"] for key in ("name", "unique")
        }
        if name not in known or request.method not in ("GET", "POST", "DELETE"):
            return as_json({"status": "not found"}, 404)
        if request.method == "DELETE":
            await self._control.stop_trace(name)
            return as_json({"status": "ok"}, 201)
        wanted = read_trace(b'{"prefix":"trace."}' if request.method == "GET" else request.body)
        wanted.input = name
        problem = await self._control.start_trace(wanted)
        if problem:
            raise TraceProblem(503, problem)
        return as_json({"status": "ok"})

    async def _trace_many(self, request: Request) -> Answer:
        """Several inputs at once. Compat: where Fluent Bit says `error` of each trace that it has started, this says `ok`."""
        told: dict[str, dict[str, object]] = {}
        for name in read_inputs(request.body):
            if request.method == "DELETE":
                await self._control.stop_trace(name)
                told[name] = {"status": "ok"}
            elif request.method == "POST":
                wanted = read_trace(request.body)
                wanted.input = name
                problem = await self._control.start_trace(wanted)
                if problem:
                    self._log.error(f"[http_server] no trace: {problem}")
                told[name] = {"status": "error", "returncode": -1} if problem else {"status": "ok"}
            else:
                told[name] = {"status": "error", "message": "method not allowed"}
        return as_json({"inputs": told, "result": {"status": "ok"}})


def page() -> Answer:
    from tailrace.api.page import HTML

    headers = {
        "Content-Security-Policy": PAGE_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return Answer(200, HTML, "text/html; charset=utf-8", headers)


def refused(request: Request, service: ServiceOptions) -> Answer | None:
    """Why a request is not answered; None if it is."""
    origin = request.headers.get("origin", "")
    host = request.headers.get("host", "")
    if origin and origin.partition("://")[2] != host:
        return as_json({"error": "requests from other sites are refused"}, 403)
    if is_loopback(service.http_listen) and host and not is_own_name(host):
        return as_json({"error": f"this is not {host}"}, 403)
    if not service.http_token or request.path in OPEN_PATHS:
        return None
    given = request.headers.get("authorization", "")
    if not given and request.path == "/" and request.method == "GET":
        given = f"Bearer {parse_qs(request.query).get('token', [''])[0]}"
    wanted = f"Bearer {service.http_token}"
    if hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode()):
        return None
    return Answer(
        401,
        b'{"error":"a token is needed: Authorization: Bearer TOKEN"}',
        JSON,
        {"WWW-Authenticate": "Bearer"},
    )


def is_open_to_others(service: ServiceOptions) -> bool:
    """Whether other machines may ask without showing who they are."""
    has_certificates = service.http_tls.tls and service.http_tls.tls_verify_client_cert
    return not (is_loopback(service.http_listen) or service.http_token or has_certificates)


def open_doors(service: ServiceOptions) -> str:
    """What others can do then, in words."""
    doors = ["read the metrics"]
    if service.hot_reload:
        doors.append("reload the configuration")
    if service.enable_chunk_trace:
        doors.append("read records")
    return " and ".join(doors)


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def is_own_name(host: str) -> bool:
    """Whether a Host header names this machine by address or as localhost; no page of another site can make a browser say so."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.lower() == "localhost"
    return True
