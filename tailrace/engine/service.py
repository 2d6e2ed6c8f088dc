"""The typed options of the service section."""

from __future__ import annotations

import re
from typing import Any

from tailrace.config import ConfigError, Options, Seconds, Size, group, one_of, option
from tailrace.config.types import Reader, read_seconds, read_size, text
from tailrace.net.options import TLSOptions
from tailrace.plugin.base import LOG_LEVEL
from tailrace.plugin.log import Level
from tailrace.plugin.tag_records import SERVICE_TELEMETRY, TagRecords

BUFFER_SIZE = re.compile(r"([0-9]{1,15})([kmg]?)(?:i?b)?")
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def read_limit(value: Any) -> int:
    """Bytes; `false`, `off` and 0 are no limit."""
    return read_size(value)


def read_buffer_limit(value: Any) -> int:
    """Bytes: units of 1024 (`2MB`, `64KiB`); 0: no limit."""
    found = BUFFER_SIZE.fullmatch(text(value).strip().lower())
    if found is None:
        raise ConfigError(f"{value!r} is no size.", "Give bytes with k, m or g, as: 2M.")
    return int(found.group(1)) * UNITS[found.group(2)]


LIMIT = Reader("size", read_limit)


def read_flush(value: Any) -> float:
    """Seconds above 0."""
    seconds = read_seconds(value)
    if seconds <= 0:
        raise ConfigError(f"{value!r} is no interval.", "Give a time above 0, as: 0.2.")
    return seconds


class ServiceOptions(Options):
    """What the service section takes. The help texts are the reference."""

    flush: Seconds = option(1.0, reader=Reader("time", read_flush))
    """Seconds between two flushes of what inputs gave; a fraction is allowed."""

    grace: int = option(5)
    """Seconds that the agent has at its end to deliver what it holds; -1: as long as it takes."""

    exit_code_on_loss: int = option(0)
    """Exit code when the grace time is over and events are lost; 0: as Fluent Bit, which tells nobody."""

    daemon: bool = option(False)
    """Run in the background."""

    log_level: Level = option(Level.INFO, reader=LOG_LEVEL)
    """off, error, warn, info, debug or trace."""

    log_file: str = option("")
    """Write the log to this file instead of standard error."""

    parsers_file: list[str] = option(many=True)
    """A file of parsers; may be given many times."""

    plugins_file: list[str] = option(many=True)
    """A file of external plugins."""

    streams_file: list[str] = option(many=True)
    """A file of stream processor tasks."""

    sp_convert_from_str_to_num: bool = option(True, name="sp.convert_from_str_to_num")
    """Stream processor: numbers in text count as numbers."""

    processes: int = option(1)
    """Engines to run under a supervisor; they share listening ports and divide tailed files."""

    http_server: bool = option(False)
    """Serve the HTTP API."""

    http_listen: str = option("127.0.0.1")
    """The address of the HTTP API. Compat: Fluent Bit listens on all addresses unless told otherwise."""

    http_port: int = option(2020)
    """The port of the HTTP API."""

    http_token: str = option("", secret=True)
    """What clients of the HTTP API must give as `Authorization: Bearer TOKEN`; empty: nothing. Health checks go without."""

    http_tls: TLSOptions = group("http_")
    """TLS of the HTTP API: `http_tls on`, `http_tls.crt_file`, `http_tls.key_file`, `http_tls.verify_client_cert` and the others of `tls.*`."""

    health_check: bool = option(False)
    """Let `/api/v1/health` judge by errors and retries."""

    hc_errors_count: int = option(5)
    """Errors within `hc_period` that make the agent unhealthy."""

    hc_retry_failure_count: int = option(5)
    """Given-up retries within `hc_period` that make the agent unhealthy."""

    hc_period: Seconds = option(60.0)
    """Seconds over which the health check looks."""

    hot_reload: bool = option(False)
    """Let SIGHUP and the HTTP API reload the configuration."""

    hot_reload_ensure_thread_safety: bool = option(True, name="hot_reload.ensure_thread_safety")
    """At a reload wait for undelivered data without limit; off: only for the grace time."""

    hot_reload_timeout: Seconds = option(0.0, name="hot_reload.timeout")
    """Give up waiting for undelivered data at a reload after this many seconds; 0: never."""

    scheduler_base: Seconds = option(5.0, name="scheduler.base")
    """Seconds before the first retry."""

    scheduler_cap: Seconds = option(2000.0, name="scheduler.cap")
    """Most seconds between two retries."""

    json_convert_nan_to_null: bool = option(
        False, name="json.convert_nan_to_null", aliases=("json_convert_nan_to_null",)
    )
    """Print a NaN as null in JSON."""

    json_escape_unicode: bool = option(
        True, name="json.escape_unicode", aliases=("json_escape_unicode",)
    )
    """Print characters beyond ASCII as `\\\\uXXXX` in JSON."""

    multiline_buffer_limit: int = option(2 << 20, reader=Reader("size", read_buffer_limit))
    """Most bytes that a joined event may have; the rest is cut off and marked."""

    dns_mode: str = option("", name="dns.mode", reader=one_of("", "udp", "tcp", otherwise=""))
    """Accepted for compatibility: names are resolved by the system, which chooses the transport."""

    dns_resolver: str = option(
        "", name="dns.resolver", reader=one_of("", "async", "legacy", otherwise="")
    )
    """Accepted for compatibility: names are always resolved beside the pipeline by the system's resolver."""

    dns_prefer_ipv4: bool = option(False, name="dns.prefer_ipv4")
    """Try IPv4 addresses first."""

    dns_prefer_ipv6: bool = option(False, name="dns.prefer_ipv6")
    """Try IPv6 addresses first."""

    storage_path: str = option("", name="storage.path")
    """The folder of chunks on disk; must be set for `storage.type filesystem`."""

    storage_type: str = option(
        "memory", name="storage.type", reader=one_of("memory", "filesystem", "memrb")
    )
    """What inputs use that say nothing of their own, if `storage.inherit` is on."""

    storage_inherit: bool = option(False, name="storage.inherit")
    """Let inputs take `storage.type` from here."""

    storage_sync: str = option("normal", name="storage.sync", reader=one_of("normal", "full"))
    """`full`: each write reaches the disk before it counts; `normal`: the system writes soon after."""

    storage_checksum: bool = option(False, name="storage.checksum")
    """Write and check CRC32 of chunk files."""

    storage_max_chunks_up: int = option(128, name="storage.max_chunks_up")
    """Chunks on disk that may be in memory at once."""

    storage_backlog_mem_limit: Size = option(5_000_000, name="storage.backlog.mem_limit")
    """Memory for chunks of an earlier run that are being delivered."""

    storage_backlog_flush_on_shutdown: bool = option(
        False, name="storage.backlog.flush_on_shutdown"
    )
    """At the end deliver all of the backlog of earlier runs, within `grace`; off: what is in the queues by then."""

    storage_metrics: bool = option(False, name="storage.metrics")
    """Serve the storage's figures at `/api/v1/storage`."""

    storage_delete_irrecoverable_chunks: bool = option(
        False, name="storage.delete_irrecoverable_chunks"
    )
    """Delete damaged chunk files instead of setting them aside."""

    storage_trim_files: bool = option(False, name="storage.trim_files")
    """Cut chunk files to their content when they are closed; ours always are."""

    storage_keep_rejected: bool = option(False, name="storage.keep.rejected")
    """Keep what outputs refused, as dead letters."""

    storage_rejected_path: str = option("rejected", name="storage.rejected.path")
    """The folder of dead letters under `storage.path`."""

    storage_rejected_limit: int = option(0, name="storage.rejected.limit", reader=LIMIT)
    """Most bytes of dead letters; 0: no limit."""

    enable_chunk_trace: bool = option(False)
    """Let records be tapped (`-Z`)."""

    telemetry: TagRecords = option(TagRecords(), reader=SERVICE_TELEMETRY)
    """YAML only: a map in which `metrics.logs.tag_records` has `enabled`, `max_series` (500) and `max_tag_length` (128): count the events of inputs by tag."""

    memory_limit: Size = option(0)
    """Most memory for events that wait (as they lie in memory, decoded or not): then inputs wait; 0: a quarter of the machine's or the cgroup's."""

    coro_stack_size: int = option(24576)
    """Accepted for compatibility: coroutines have no stack of a size here."""

    windows_maxstdio: int = option(512, name="windows.maxstdio")
    """Accepted for compatibility: only of use on Windows."""


SERVICE_NAMES_ELSEWHERE = frozenset({"name"})
