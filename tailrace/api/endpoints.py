"""The HTTP API's answers: pure functions of the agent's state, no socket.

Paths and forms are Fluent Bit's (its documentation, "Monitoring"), so that dashboards and probes go on working.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from tailrace import __version__
from tailrace.engine.books import Books
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.service import ServiceOptions
from tailrace.plugin import registry
from tailrace.plugin.base import Kind

COMPATIBLE_VERSION = "5.1.1"


@dataclass(slots=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    allow: str = ""


class AgentState(Protocol):
    """What the API may know of the agent and do to it."""

    pipeline: Pipeline | None
    service: ServiceOptions | None
    started_at: float
    reloads: int
    health: Health

    def reload(self) -> None: ...


class Health:
    """Errors and given-up retries over the last `hc_period` seconds."""

    def __init__(self) -> None:
        self._history: deque[tuple[float, int, int]] = deque()

    def look(self, books: Books, service: ServiceOptions, now: float) -> tuple[int, int]:
        """Errors and given-up retries within the period, as of now."""
        errors = sum(book.errors for book in books.outputs.values())
        failed = sum(book.retries_failed for book in books.outputs.values())
        history = self._history
        history.append((now, errors, failed))
        while len(history) > 1 and history[1][0] < now - service.hc_period:
            history.popleft()
        base_errors, base_failed = (
            (history[0][1], history[0][2]) if history[0][0] < now - service.hc_period else (0, 0)
        )
        return errors - base_errors, failed - base_failed


def as_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(value), "application/json")


def answer(agent: AgentState, method: str, path: str) -> Answer:
    """The answer to one request; the query string is passed over."""
    path = path.split("?", 1)[0].rstrip("/") or "/"
    if path == "/api/v2/reload":
        return reload_answer(agent, method)
    endpoint = ENDPOINTS.get(path)
    return endpoint(agent) if endpoint else Answer(404)


def root(agent: AgentState) -> Answer:
    about = {"version": COMPATIBLE_VERSION, "edition": "Community", "flags": []}
    return as_json({"fluent-bit": about, "tailrace": {"version": __version__}})


def uptime(agent: AgentState) -> Answer:
    seconds = int(time.time() - agent.started_at)
    return as_json(
        {"uptime_sec": seconds, "uptime_hr": f"Tailrace has been running: {in_words(seconds)}"}
    )


def in_words(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return f" {days} days, {hours} hours, {minutes} minutes and {rest} seconds"


def plugins(agent: AgentState) -> Answer:
    kinds: tuple[tuple[str, Kind], ...] = (
        ("inputs", "input"),
        ("filters", "filter"),
        ("outputs", "output"),
    )
    return as_json({"plugins": {plural: registry.names(kind) for plural, kind in kinds}})


def metrics(agent: AgentState) -> Answer:
    """Counts by instance, in the form of `/api/v1/metrics`."""
    if agent.pipeline is None:
        return as_json({"input": {}, "filter": {}, "output": {}})
    books = agent.pipeline.books
    inputs = {
        name: {"records": book.records, "bytes": book.bytes} for name, book in books.inputs.items()
    }
    filters = {
        name: {"drop_records": book.removed, "add_records": book.added + book.emitted}
        for name, book in books.filters.items()
    }
    outputs = {
        name: {
            "proc_records": book.delivered,
            "proc_bytes": book.delivered_bytes,
            "errors": book.errors,
            "retries": book.retries,
            "retries_failed": book.retries_failed,
            "dropped_records": sum(book.dropped.values()) + sum(book.rejected.values()),
            "retried_records": book.retried_records,
        }
        for name, book in books.outputs.items()
    }
    return as_json({"input": inputs, "filter": filters, "output": outputs})


def health_v1(agent: AgentState) -> Answer:
    service = agent.service
    if service is None or agent.pipeline is None:
        return Answer(500, b"error\n")
    if not service.health_check:
        return Answer(404)
    return Answer(200, b"ok\n") if is_healthy(agent, service)[0] else Answer(500, b"error\n")


def health_v2(agent: AgentState) -> Answer:
    service = agent.service
    if service is None or agent.pipeline is None:
        return as_json({"status": "error"}, 500)
    healthy, errors, failed = is_healthy(agent, service)
    state = {
        "status": "ok" if healthy else "error",
        "errors": errors,
        "retries_failed": failed,
        "error_limit": service.hc_errors_count,
        "retry_failure_limit": service.hc_retry_failure_count,
        "period_limit": int(service.hc_period),
    }
    return as_json(state, 200 if healthy else 500)


def is_healthy(agent: AgentState, service: ServiceOptions) -> tuple[bool, int, int]:
    assert agent.pipeline is not None
    errors, failed = agent.health.look(agent.pipeline.books, service, time.monotonic())
    good = errors <= service.hc_errors_count and failed <= service.hc_retry_failure_count
    return good, errors, failed


def reload_answer(agent: AgentState, method: str) -> Answer:
    if method == "GET":
        return as_json({"hot_reload_count": agent.reloads})
    if method not in ("POST", "PUT"):
        return Answer(405, allow="GET, POST, PUT")
    if agent.service is None or not agent.service.hot_reload:
        return as_json({"reload": "not enabled", "status": -1})
    agent.reload()
    return as_json({"reload": "done", "status": 0})


def accounting(agent: AgentState) -> Answer:
    """Ours: the books, and what does not add up (always empty)."""
    if agent.pipeline is None:
        return as_json({})
    books = agent.pipeline.books
    outputs = {
        name: {
            "routed": book.routed,
            "delivered": book.delivered,
            "dropped": book.dropped,
            "rejected": book.rejected,
            "in_flight": book.in_flight,
            "remainder": book.remainder,
        }
        for name, book in books.outputs.items()
    }
    return as_json(
        {
            "passed": books.passed,
            "unrouted": books.unrouted,
            "outputs": outputs,
            "remainder": books.remainder(),
        }
    )


ENDPOINTS: dict[str, Callable[[AgentState], Answer]] = {
    "/": root,
    "/api/v1/uptime": uptime,
    "/api/v1/plugins": plugins,
    "/api/v1/metrics": metrics,
    "/api/v1/health": health_v1,
    "/api/v2/health": health_v2,
    "/api/v2/accounting": accounting,
}
