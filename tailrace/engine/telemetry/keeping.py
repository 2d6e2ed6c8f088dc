"""What keeps events: the storage, the memory budget, dead letters, and the process itself."""

from __future__ import annotations

import os
import resource

from tailrace.engine.pipeline import Pipeline
from tailrace.engine.telemetry.writer import Writer


def write_storage(write: Writer, pipeline: Pipeline) -> None:
    on_disk, in_memory, loaded = storage_counts(pipeline)
    for name, description, value in (
        ("chunks", "Total number of chunks in the storage layer.", on_disk + in_memory),
        ("mem_chunks", "Total number of memory chunks.", in_memory),
        ("fs_chunks", "Total number of filesystem chunks.", on_disk),
        ("fs_chunks_up", "Total number of filesystem chunks up in memory.", loaded),
        ("fs_chunks_down", "Total number of filesystem chunks down.", on_disk - loaded),
    ):
        write.gauge(f"fluentbit_storage_{name}", description, value)


def storage_counts(pipeline: Pipeline) -> tuple[int, int, int]:
    """Chunks on disk, chunks in memory alone, and those on disk whose events are in memory too."""
    ports, backlog = pipeline.inputs, pipeline.backlog
    on_disk = sum(port.source.stored_chunks for port in ports) + backlog.stored_chunks
    in_memory = sum(port.book.held_chunks for port in ports)
    return on_disk, in_memory, min(on_disk, pipeline.loaded_chunks)


def write_keeping(write: Writer, pipeline: Pipeline) -> None:
    """The memory budget, the state of the filesystem storage, and dead letters."""
    write.gauge(
        "tailrace_memory_limit_bytes", "Memory that events may wait in.", pipeline.budget.limit
    )
    write.gauge(
        "tailrace_memory_held_bytes",
        "What inputs hold of messages that are not whole.",
        pipeline.held_bytes,
    )
    if pipeline.storage is not None:
        write.gauge(
            "tailrace_storage_full",
            "Whether the disk takes nothing, so that inputs wait.",
            int(pipeline.disk_is_full),
        )
        write.count(
            "tailrace_storage_damaged_files_total",
            "Chunk files of which not all could be read.",
            pipeline.storage.damaged_files,
        )
    if pipeline.dead_letters is not None:
        write.count(
            "tailrace_dead_letters_records_total",
            "Events that were kept as dead letters.",
            pipeline.dead_letters.kept,
        )
        write.count(
            "tailrace_dead_letters_lost_records_total",
            "Events given up that could not be kept: the limit or the disk.",
            pipeline.dead_letters.lost,
        )


def write_process(write: Writer) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    write.count(
        "tailrace_process_cpu_seconds_total",
        "CPU time of the process, user and system.",
        usage.ru_utime + usage.ru_stime,
    )
    write.gauge(
        "tailrace_process_resident_memory_bytes", "Memory of the process.", resident_bytes()
    )


def resident_bytes() -> int:
    """The memory that the process has now; its peak where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
