"""What the agent tells of itself, as one set of metrics: the HTTP API, `fluentbit_metrics` and `tailrace top` read it.

Names, labels and descriptions that begin with `fluentbit_` are Fluent Bit's; `tailrace_` begins what it does not have.
Sets of several engines add up by `adding.add_up`.
"""

from __future__ import annotations

import os
import socket
import time
from typing import Protocol

from tailrace import __version__
from tailrace.engine.metrics import MetricRegistry
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.service import ServiceOptions
from tailrace.engine.telemetry.books import write_books, write_plugins
from tailrace.engine.telemetry.filters import write_filters, write_processors
from tailrace.engine.telemetry.inputs import write_inputs
from tailrace.engine.telemetry.keeping import write_keeping, write_process, write_storage
from tailrace.engine.telemetry.outputs import write_outputs, write_routes
from tailrace.engine.telemetry.writer import Writer
from tailrace.model.metrics import MetricSet
from tailrace.plugin.log import LEVELS, LogSink

COMPATIBLE_VERSION = "5.1.1"


class Observed(Protocol):
    """What is told of."""

    pipeline: Pipeline | None
    service: ServiceOptions | None
    metrics: MetricRegistry
    sink: LogSink
    started_at: float
    """Seconds since the epoch."""
    reloads: int


def collect(agent: Observed) -> MetricSet:
    """Everything, as of now."""
    write = Writer(time.time_ns())
    pipeline = agent.pipeline
    _write_agent(write, agent)
    if pipeline is not None:
        write_storage(write, pipeline)
    _write_log(write, agent.sink)
    if pipeline is not None:
        pipeline.measure()
        write_routes(write, pipeline.books)
        write_inputs(write, pipeline)
        write_plugins(write, agent.metrics, "fluentbit_input_")
        write_processors(write, pipeline.books)
        write_filters(write, pipeline)
        write_plugins(write, agent.metrics, "fluentbit_filter_")
        write_outputs(write, pipeline)
        write_books(write, pipeline)
        write_keeping(write, pipeline)
        write_plugins(write, agent.metrics)
    write_process(write)
    return write.set


def _write_agent(write: Writer, agent: Observed) -> None:
    host = socket.gethostname() or "unknown"
    now = time.time()
    write.count(
        "fluentbit_uptime",
        "Number of seconds that Fluent Bit has been running.",
        int(now) - int(agent.started_at),
        hostname=host,
    )
    write.gauge(
        "fluentbit_process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        int(agent.started_at),
        hostname=host,
    )
    write.gauge(
        "fluentbit_build_info",
        "Build version information.",
        int(agent.started_at),
        hostname=host,
        version=COMPATIBLE_VERSION,
        os="linux" if os.uname().sysname == "Linux" else os.uname().sysname.lower(),
    )
    write.count(
        "fluentbit_hot_reloaded_times",
        "Collect the count of hot reloaded times.",
        agent.reloads,
        hostname=host,
    )
    write.gauge("tailrace_build_info", "Version of Tailrace.", 1, version=__version__)


def _write_log(write: Writer, sink: LogSink) -> None:
    for level in ("error", "warn", "info", "debug", "trace"):
        write.count(
            "fluentbit_logger_logs_total",
            "Total number of logs",
            sink.counts.get(level, 0),
            message_type=level,
        )
    total = sum(sink.counts.get(level, 0) for level in LEVELS)
    for name, description, value in (
        ("enqueued", "Total number of logger queue enqueues", total),
        ("dropped", "Total number of logger queue drops", 0),
        ("drained", "Total number of logger queue records drained", total),
    ):
        write.count(f"fluentbit_logger_queue_{name}_total", description, value)
