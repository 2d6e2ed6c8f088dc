"""`tailrace chunks list|check|dump|repair PATH`: look into folders of chunk files (`storage.path`), Fluent Bit's too.

`check` ends with 1 if a file is damaged. `repair` keeps the sound events of damaged files and moves the originals into
`PATH/.damaged`; it refuses while an agent uses the folder.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tailrace.engine.payloads import READABLE, unpack
from tailrace.engine.storage import (
    DAMAGED_FOLDER,
    LOCK_NAME,
    age,
    events_of,
    stream_files,
    survey,
)
from tailrace.plugin.log import counted
from tailrace.wire import chunkfile
from tailrace.wire.chunkfile import ChunkFile, ChunkFileError
from tailrace.wire.dead_letter import expressed, group_value, time_text
from tailrace.wire.msgpack import encode_events

KINDS = ("logs", "metrics", "traces", "profiles")


@dataclass(slots=True)
class Report:
    """What one file holds, and what is wrong with it; `file` is None if nothing can be read."""

    path: Path
    size: int
    file: ChunkFile | None
    events: int = 0
    damage: str = ""
    has_checksum: bool = False

    def as_json(self) -> dict[str, object]:
        file = self.file
        return {
            "path": str(self.path),
            "bytes": self.size,
            "tag": file.tag if file else None,
            "kind": KINDS[file.kind] if file else None,
            "routes": list(file.routes) if file else [],
            "events": self.events,
            "checksum": self.has_checksum,
            "damage": self.damage or None,
        }


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "tailrace chunks", description="Look into folders of chunk files, Fluent Bit's too."
    )
    parser.add_argument("command", choices=("list", "check", "dump", "repair"))
    parser.add_argument("path", type=Path, help="a storage folder, or one chunk file")
    parser.add_argument("--json", action="store_true", help="list, check: one JSON object a line")
    parser.add_argument("--tag", help="only files of this tag")
    arguments = parser.parse_args(argv)
    try:
        paths = files_of(arguments.path)
    except OSError as error:
        print(f"tailrace: '{arguments.path}' can't be read: {error.strerror}.", file=sys.stderr)
        return 1
    reports = (examine(path) for path in paths)
    wanted = (
        report
        for report in reports
        if arguments.tag is None or (report.file is not None and report.file.tag == arguments.tag)
    )
    if arguments.command == "dump":
        return dump(wanted)
    if arguments.command == "repair":
        return repair(arguments.path, wanted)
    return show(wanted, arguments.command == "check", arguments.json)


def files_of(path: Path) -> list[Path]:
    """The chunk files of a storage folder, of one stream's folder, or the file itself; oldest first."""
    if path.is_file():
        return [path]
    found = [each for each in stream_files(path) if each.suffix != ".jsonl"]
    found += [each for each in path.iterdir() if each.is_file() and each.suffix == ".flb"]
    return sorted(found, key=age)


def examine(path: Path) -> Report:
    """Read one file and say what is wrong with it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return Report(path, 0, None, damage=f"it can't be read: {error.strerror}")
    if not data:
        return Report(path, 0, None, damage="it is empty")
    try:
        file = chunkfile.decode(data)
        crc = struct.unpack_from(">I", data, 2)[0]
        if file.kind == chunkfile.LOGS:
            events, damage = survey(file)
        elif file.kind in READABLE:
            events, damage = sum(chunk.count for chunk in unpack(file)), ""
        else:
            events, damage = 0, ""
    except ChunkFileError as error:
        return Report(path, len(data), None, damage=str(error))
    if crc and not damage:
        try:
            chunkfile.decode(data, checksum=True)
        except ChunkFileError as error:
            damage = str(error)
    return Report(path, len(data), file, events, damage, crc != 0)


def show(reports: Iterator[Report], only_verdict: bool, as_json: bool) -> int:
    """Print a line for each file; the exit code of a check."""
    files = events = damaged = size = 0
    for report in reports:
        files, events, size = files + 1, events + report.events, size + report.size
        damaged += bool(report.damage)
        if as_json:
            print(json.dumps(report.as_json()))
        elif not only_verdict or report.damage:
            print(line_of(report))
    if not as_json:
        print(
            f"{counted(files, 'file')}, {counted(events, 'event')}, {size} bytes, {damaged} damaged"
        )
    return 1 if only_verdict and damaged else 0


def line_of(report: Report) -> str:
    file = report.file
    if file is None:
        return f"{report.path}: damaged: {report.damage}"
    text = f"{report.path}: {KINDS[file.kind]} '{file.tag}', {counted(report.events, 'event')}, {report.size} bytes"
    if file.routes:
        text += f", to {', '.join(file.routes)}"
    return f"{text}, damaged: {report.damage}" if report.damage else text


def dump(reports: Iterator[Report]) -> int:
    """Print events as JSON lines: of logs tag, time, group (resource and scope), metadata, record; of metrics and traces a document of OTLP each, of profiles their text.

    1 if something could not be read.
    """
    code = 0
    for report in reports:
        if report.damage:
            print(f"tailrace: {line_of(report)}", file=sys.stderr)
            code = 1
        if report.file is None:
            continue
        if report.file.kind != chunkfile.LOGS:
            if report.file.kind in READABLE:
                dump_signals(report.file)
            continue
        times, metadata, bodies, groups = events_of(report.file)[0]
        for index, (time_ns, body) in enumerate(zip(times, bodies, strict=True)):
            event: dict[str, Any] = {"tag": report.file.tag, "time": time_text(time_ns)}
            if groups is not None and (group := groups[index]) is not None:
                event["group"] = group_value(group)
            if metadata and metadata[index]:
                event["metadata"] = expressed(metadata[index])
            print(json.dumps({**event, "record": expressed(body)}))
    return code


def dump_signals(file: ChunkFile) -> None:
    """Print metrics or traces in the JSON form of OTLP, a line for each set; of profiles the text."""
    from tailrace.wire.otlp.encode_json_metrics import metrics_json
    from tailrace.wire.otlp.encode_json_traces import traces_json

    if file.kind == chunkfile.PROFILES:
        from tailrace.wire.otlp.profiles_text import profiles_text

        print(json.dumps({"tag": file.tag, "profiles": profiles_text(file.events)}))
        return
    encode: Any = traces_json if file.kind == chunkfile.TRACES else metrics_json
    for chunk in unpack(file):
        print(
            f'{{"tag": {json.dumps(file.tag)}, "{KINDS[file.kind]}": {encode(chunk.payload).decode()}}}'
        )


class InUseError(Exception):
    """An agent works with the folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a storage folder; `InUseError` if an agent holds it."""
    descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InUseError from None
    finally:
        os.close(descriptor)


def repair(path: Path, reports: Iterator[Report]) -> int:
    """Mend what can be mended. 1 if something went wrong."""
    root = path.parent.parent if path.is_file() else path
    try:
        with locked(root):
            mended = [mend(report, root) for report in reports if report.damage]
    except InUseError:
        print(f"tailrace: '{root}' is used by a running agent; stop it first.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"tailrace: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 1
    for line in mended:
        print(line)
    print(f"{counted(len(mended), 'file')} repaired")
    return 0


def mend(report: Report, root: Path) -> str:
    """Keep a damaged file's sound events under its name and the original in `.damaged`; what was done."""
    path = report.path
    if report.size == 0 and report.file is None:
        path.unlink()
        return f"{path}: it was empty and is removed"
    folder = root / DAMAGED_FOLDER / path.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / path.name
    kept.write_bytes(path.read_bytes())
    kept.with_name(f"{path.name}.reason").write_text(f"{report.damage}\n")
    if report.file is None or not report.events:
        path.unlink()
        return f"{path}: nothing in it can be read; it is in {kept}"
    events = encode_events(*events_of(report.file)[0])
    whole = replace(report.file, events=events, is_cut=False)
    if report.file.kind != chunkfile.LOGS:
        whole = replace(report.file, is_cut=False)
    fresh = path.with_name(f".{path.name}")
    fresh.write_bytes(chunkfile.encode(whole, report.has_checksum))
    fresh.replace(path)
    return f"{path}: {report.events} sound events are kept; the original is {kept}"
