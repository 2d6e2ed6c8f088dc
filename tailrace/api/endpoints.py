"""The HTTP API's answers: pure functions of a `View`, no socket.

Paths and forms are Fluent Bit's (its documentation, "Monitoring"), so that dashboards and probes go on working. What it does not
have: `/api/v2/metrics/tailrace`, `/api/v2/accounting`, `/api/v2/pipeline`, and a page for browsers at `/`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from tailrace import __version__
from tailrace.api.view import View
from tailrace.engine.service import ServiceOptions
from tailrace.engine.telemetry import COMPATIBLE_VERSION
from tailrace.model.metrics import MetricSet
from tailrace.plugin import registry
from tailrace.plugin.base import Kind
from tailrace.wire import metrics_text, prometheus

JSON = "application/json"
OWN = "tailrace_"
NOT_IN_V1 = (
    "fluentbit_input_metrics_scrapes_total",
    "fluentbit_input_http_server_ingress_queue_busy_total",
)


@dataclass(slots=True)
class Answer:
    """What is sent back."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(value), JSON)


def answer(view: View, path: str) -> Answer:
    """The answer to a request that only reads; any method does, as in Fluent Bit."""
    endpoint = ENDPOINTS.get(path)
    return endpoint(view) if endpoint else Answer(404)


def root(view: View) -> Answer:
    flags = [f"TAILRACE_{__version__}"]
    return as_json(
        {"fluent-bit": {"version": COMPATIBLE_VERSION, "edition": "Community", "flags": flags}}
    )


def uptime(view: View) -> Answer:
    seconds = int(time.time()) - int(view.started_at)
    return as_json(
        {"uptime_sec": seconds, "uptime_hr": f"Fluent Bit has been running: {in_words(seconds)}"}
    )


def in_words(seconds: int) -> str:
    """As Fluent Bit words it: ` 0 day, 1 hour, 2 minutes and 3 seconds`."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)

    def counted(number: int, word: str) -> str:
        return f"{number} {word}{'s' if number > 1 else ''}"

    return (
        f" {counted(days, 'day')}, {counted(hours, 'hour')}, "
        f"{counted(minutes, 'minute')} and {counted(rest, 'second')}"
    )


def plugins(view: View) -> Answer:
    kinds: tuple[tuple[str, Kind], ...] = (
        ("inputs", "input"),
        ("filters", "filter"),
        ("outputs", "output"),
    )
    return as_json({"plugins": {plural: registry.names(kind) for plural, kind in kinds}})


def counts_v1(view: View) -> dict[str, dict[str, dict[str, int]]]:
    """Counts by kind and instance under Fluent Bit's short names."""
    inputs: dict[str, dict[str, int]] = {}
    for name in view.names("fluentbit_input_records_total"):
        inputs[name] = {
            "records": view.number("fluentbit_input_records_total", name),
            "bytes": view.number("fluentbit_input_bytes_total", name),
        }
    for instance in view.topology["inputs"]:
        for metric in instance["counters"]:
            short = metric.removeprefix("fluentbit_input_").removesuffix("_total")
            if instance["name"] in inputs and short != metric and metric not in NOT_IN_V1:
                inputs[instance["name"]][short] = view.number(metric, instance["name"])
    known = {each["name"]: each["emits"] for each in view.topology["filters"]}
    counters = {
        each["name"]: [
            metric.removeprefix("fluentbit_filter_").removesuffix("_total")
            for metric in each["counters"]
            if metric.startswith("fluentbit_filter_")
        ]
        for each in view.topology["filters"]
    }
    filters = {}
    for name in view.names("fluentbit_filter_records_total"):
        if name not in known:  # a processor of an input
            continue
        keys = ["drop_records", "add_records", "records", "bytes", "drop_bytes"]
        keys += [key for key in counters.get(name, ()) if key not in keys]
        if known[name]:
            keys.append("emit_records")
        filters[name] = {key: view.number(f"fluentbit_filter_{key}_total", name) for key in keys}
    outputs = {
        name: {key: view.number(f"fluentbit_output_{key}_total", name) for key in OUTPUT_KEYS}
        for name in view.names("fluentbit_output_proc_records_total")
    }
    return {"input": inputs, "filter": filters, "output": outputs}


OUTPUT_KEYS = (
    "proc_records",
    "proc_bytes",
    "errors",
    "retries",
    "retries_failed",
    "dropped_records",
    "retried_records",
)
HELP_V1 = (
    ("input_bytes", "Number of input bytes."),
    ("input_records", "Number of input records."),
    ("output_errors", "Number of output errors."),
    (
        "output_retries_failed",
        "Number of abandoned batches because the maximum number of re-tries was reached.",
    ),
    ("output_retries", "Number of output retries."),
    ("output_proc_records", "Number of processed output records."),
    ("output_proc_bytes", "Number of processed output bytes."),
    ("output_dropped_records", "Number of dropped records."),
    ("output_retried_records", "Number of retried records."),
)


def metrics_v1(view: View) -> Answer:
    return as_json(counts_v1(view))


def prometheus_v1(view: View) -> Answer:
    """The counts of `/api/v1/metrics`, sorted, each with its time in milliseconds."""
    now_ms = time.time_ns() // 1_000_000
    found: dict[str, list[str]] = {}
    for kind, instances in counts_v1(view).items():
        for name, counts in instances.items():
            for key, value in counts.items():
                metric = f"fluentbit_{kind}_{key}_total"
                found.setdefault(metric, []).append(
                    f"{metric}{{{prometheus.label('name', name)}}} {value} {now_ms}\n"
                )
    parts = []
    for metric in sorted(found):
        told = next((text for word, text in HELP_V1 if word in metric), "Fluentbit metrics.")
        parts += [f"# HELP {metric} {told}\n# TYPE {metric} counter\n", *sorted(found[metric])]
    started = int(view.started_at)
    parts.append(
        "# HELP fluentbit_uptime Number of seconds that Fluent Bit has been running.\n"
        f"# TYPE fluentbit_uptime counter\nfluentbit_uptime {int(time.time()) - started}\n"
        "# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.\n"
        f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {started}\n"
        "# HELP fluentbit_build_info Build version information.\n# TYPE fluentbit_build_info gauge\n"
        f'fluentbit_build_info{{version="{COMPATIBLE_VERSION}",edition="Community"}} 1\n'
    )
    return Answer(200, "".join(parts).encode(), prometheus.CONTENT_TYPE)


def shown(view: View) -> MetricSet:
    """Fluent Bit's metrics."""
    return MetricSet(
        [metric for metric in view.metrics.metrics if not metric.full_name.startswith(OWN)]
    )


def own_metrics(view: View) -> Answer:
    """What Fluent Bit does not have, for Prometheus: queues, lag, books, reasons, time per instance."""
    own = [metric for metric in view.metrics.metrics if metric.full_name.startswith(OWN)]
    text = prometheus.encode(MetricSet(own))
    return Answer(200, text.encode("utf-8", "replace"), prometheus.CONTENT_TYPE)


def metrics_v2(view: View) -> Answer:
    return Answer(200, metrics_text.encode(shown(view)).encode("utf-8", "replace"))


def prometheus_v2(view: View) -> Answer:
    text = prometheus.encode(shown(view))
    return Answer(200, text.encode("utf-8", "replace"), prometheus.CONTENT_TYPE)


def storage(view: View) -> Answer:
    """Chunks in memory and on disk, with `storage.metrics`."""
    if not view.service.storage_metrics:
        return Answer(404)
    layer = {
        key: view.number(f"fluentbit_storage_{metric}")
        for key, metric in (
            ("total_chunks", "chunks"),
            ("mem_chunks", "mem_chunks"),
            ("fs_chunks", "fs_chunks"),
            ("fs_chunks_up", "fs_chunks_up"),
            ("fs_chunks_down", "fs_chunks_down"),
        )
    }
    limits = {each["name"]: each["memory_limit"] for each in view.topology["inputs"]}
    inputs = {
        name: input_storage(view, name, limits.get(name, 0))
        for name in view.names("fluentbit_input_records_total")
    }
    return as_json({"storage_layer": {"chunks": layer}, "input_chunks": inputs})


def input_storage(view: View, name: str, limit: int) -> dict[str, Any]:
    def gauge(key: str) -> int:
        return view.number(f"fluentbit_input_storage_{key}", name)

    return {
        "status": {
            "overlimit": bool(gauge("overlimit")),
            "mem_size": human_size(gauge("memory_bytes")),
            "mem_limit": human_size(limit),
        },
        "chunks": {
            "total": gauge("chunks"),
            "up": gauge("chunks_up"),
            "down": gauge("chunks_down"),
            "busy": gauge("chunks_busy"),
            "busy_size": human_size(gauge("chunks_busy_bytes")),
        },
    }


UNITS = "KMGTPE"


def human_size(size: int) -> str:
    """As Fluent Bit writes it: `30b`, `4.8M`."""
    if size < 1024:
        return f"{size}b"
    power = min((size.bit_length() - 1) // 10, len(UNITS))
    return f"{size / 1024**power:.1f}{UNITS[power - 1]}"


def health(service: ServiceOptions, errors: int, failed: int, version: int) -> Answer:
    """`errors` and `failed` are those of the period."""
    good = errors <= service.hc_errors_count and failed <= service.hc_retry_failure_count
    if version == 1:
        if not service.health_check:
            return Answer(404)
        return Answer(200, b"ok\n") if good else Answer(500, b"error\n")
    state = {
        "status": "ok" if good else "error",
        "errors": errors,
        "retries_failed": failed,
        "error_limit": service.hc_errors_count,
        "retry_failure_limit": service.hc_retry_failure_count,
        "period_limit": int(service.hc_period),
    }
    return as_json(state, 200 if good else 500)


def accounting(view: View) -> Answer:
    """The books: where the events of each output went, and what does not add up (0 at every moment)."""
    outputs = {}
    for name in view.names("tailrace_output_routed_records_total"):
        outputs[name] = {
            "routed": view.number("tailrace_output_routed_records_total", name),
            "delivered": view.number("tailrace_output_delivered_records_total", name),
            "dropped": view.by_label("tailrace_output_dropped_records_total", name),
            "rejected": view.by_label("tailrace_output_rejected_records_total", name),
            "kept": view.number("tailrace_output_kept_records_total", name),
            "in_flight": view.number("tailrace_output_queue_records", name),
            "remainder": view.number("tailrace_accounting_remainder", name),
        }
    return as_json(
        {
            "received": view.number("tailrace_pipeline_received_records_total"),
            "passed": view.number("tailrace_pipeline_passed_records_total"),
            "unrouted": view.number("tailrace_pipeline_unrouted_records_total"),
            "outputs": outputs,
            "remainder": view.number("tailrace_accounting_remainder", "pipeline"),
        }
    )


def pipeline(view: View) -> Answer:
    """The instances with their figures of this moment: what the page and `tailrace top` show."""
    counts = counts_v1(view)
    made: dict[str, Any] = {
        "version": __version__,
        "uptime_sec": int(time.time()) - int(view.started_at),
        "reloads": view.reloads,
        "cpu_sec": round(sum(view.samples("tailrace_process_cpu_seconds_total").values()), 3),
        "memory_bytes": view.total("tailrace_process_resident_memory_bytes"),
        "processes": view.topology.get("processes", 1),
    }
    busy = view.samples("tailrace_instance_busy_seconds_total")
    for kind in ("inputs", "filters", "outputs"):
        made[kind] = [
            {
                **{
                    key: each[key]
                    for key in ("name", "plugin", "match", "tag", "guarantee")
                    if key in each
                },
                **counts[kind[:-1]].get(each["name"], {}),
                "busy_sec": round(busy.get((kind[:-1], each["name"]), 0.0), 3),
            }
            for each in view.topology[kind]
        ]
    for each in made["inputs"]:
        each["paused"] = bool(view.number("fluentbit_input_ingestion_paused", each["name"]))
        each["lag_bytes"] = sum(
            view.by_label("tailrace_input_file_lag_bytes", each["name"]).values()
        )
    for each in made["filters"]:
        failed = view.number("tailrace_filter_failed_chunks_total", each["name"])
        each["failed_chunks"] = failed
    for each in made["outputs"]:
        for key in ("records", "chunks", "bytes", "limit_bytes", "age_seconds", "retrying", "full"):
            each[f"queue_{key}"] = view.number(f"tailrace_output_queue_{key}", each["name"])
        each["failing"] = view.number("tailrace_output_failing", each["name"])
    made["routes"] = [
        {"input": labels[0], "output": labels[1], "records": int(value)}
        for labels, value in view.samples("fluentbit_routing_logs_records_total").items()
    ]
    made["books"] = orjson.loads(accounting(view).body)
    return as_json(made)


ENDPOINTS: dict[str, Callable[[View], Answer]] = {
    "/": root,
    "/api/v1/uptime": uptime,
    "/api/v1/plugins": plugins,
    "/api/v1/metrics": metrics_v1,
    "/api/v1/metrics/prometheus": prometheus_v1,
    "/api/v1/storage": storage,
    "/api/v2/metrics": metrics_v2,
    "/api/v2/metrics/prometheus": prometheus_v2,
    "/api/v2/metrics/tailrace": own_metrics,
    "/api/v2/accounting": accounting,
    "/api/v2/pipeline": pipeline,
}
