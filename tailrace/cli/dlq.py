"""`tailrace dlq list|show|replay|purge`: the dead letters of an agent.

The folder is given as PATH (`storage.path`, or the folder of letters itself), or taken from a configuration (`-c`).
`replay` writes letters into the storage of the agent, which delivers them within seconds if it runs, else at its next start, each to the
output that gave it up (`--to` another one, `--by-tag` as the tag says).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from tailrace.config.errors import ConfigError
from tailrace.config.load import load
from tailrace.config.types import read_seconds
from tailrace.engine.storage import REPLAY_FOLDER
from tailrace.model import shared
from tailrace.plugin.dead_letters import (
    Line,
    finish,
    letter_files,
    read_letters,
    take,
    taken_files,
)
from tailrace.plugin.log import counted
from tailrace.wire import chunkfile
from tailrace.wire.chunkfile import ChunkFile
from tailrace.wire.dead_letter import DeadLetter
from tailrace.wire.msgpack import encode_events

Wanted = Callable[[DeadLetter], bool]
EVENTS_PER_FILE = 2000


class UsageError(Exception):
    """The arguments lead nowhere; the text says what to give."""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "tailrace dlq", description="List, show, replay and purge dead letters."
    )
    parser.add_argument("command", choices=("list", "show", "replay", "purge"))
    parser.add_argument("path", nargs="?", type=Path, help="storage.path, or the folder of letters")
    parser.add_argument("-c", "--config", type=Path, help="take the folder from this configuration")
    parser.add_argument("--output", help="only letters of this output")
    parser.add_argument("--tag", help="only letters of this tag")
    parser.add_argument(
        "--reason", help="only letters whose reason matches this regular expression"
    )
    parser.add_argument("--older-than", help="only letters refused longer ago than this, as: 7d")
    parser.add_argument("-n", "--number", type=int, help="show: at most so many")
    parser.add_argument("--to", help="replay: send to the output of this name")
    parser.add_argument(
        "--by-tag", action="store_true", help="replay: send where the tag leads, not to one output"
    )
    parser.add_argument("--all", action="store_true", help="purge: without a choice, all letters")
    return parser


def run(argv: list[str]) -> int:
    arguments = make_parser().parse_args(argv)
    try:
        storage, folder = find_folders(arguments)
        wanted = choice(arguments)
        match arguments.command:
            case "list":
                return list_letters(folder, wanted)
            case "show":
                return show(folder, wanted, arguments.number)
            case "purge":
                return purge(folder, wanted, is_chosen(arguments))
        return replay(storage, folder, wanted, arguments.to, arguments.by_tag)
    except UsageError as error:
        print(f"tailrace dlq: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"tailrace dlq: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 1


def find_folders(arguments: argparse.Namespace) -> tuple[Path, Path]:
    """The storage folder and that of the letters."""
    if arguments.config is not None:
        configuration, problems = load(arguments.config, None, os.environ)
        if problems.errors:
            raise UsageError(str(problems.errors[0]))
        service = configuration.service
        storage = service.text("storage.path")
        if not storage:
            raise UsageError(f"{arguments.config} has no storage.path in its service section.")
        return Path(storage), Path(storage, service.text("storage.rejected.path") or "rejected")
    path = arguments.path
    if path is None:
        raise UsageError("give a folder, or a configuration with -c.")
    if not path.is_dir():
        raise UsageError(f"'{path}' is no folder.")
    if letter_files(path) or taken_files(path) or not (path / "rejected").is_dir():
        return path.resolve().parent, path
    return path, path / "rejected"


def is_chosen(arguments: argparse.Namespace) -> bool:
    return arguments.all or any(
        (arguments.output, arguments.tag, arguments.reason, arguments.older_than)
    )


def choice(arguments: argparse.Namespace) -> Wanted:
    """The test of a letter that the options make."""
    try:
        reason = re.compile(arguments.reason).search if arguments.reason else None
    except re.error as error:
        raise UsageError(f"--reason: {error}.") from error
    before = None
    if arguments.older_than:
        try:
            before = time.time_ns() - int(read_seconds(arguments.older_than) * 1e9)
        except ConfigError as error:
            raise UsageError(f"--older-than: {error}") from error

    def wanted(letter: DeadLetter) -> bool:
        return (
            arguments.output in (None, letter.output)
            and arguments.tag in (None, letter.tag)
            and (reason is None or reason(letter.reason) is not None)
            and (before is None or letter.refused_at < before)
        )

    return wanted


def all_lines(folder: Path) -> Iterator[tuple[Path, Line]]:
    for path in letter_files(folder):
        for line in read_letters(path):
            yield path, line


def list_letters(folder: Path, wanted: Wanted) -> int:
    """How many letters there are by output, tag, status and reason; 1 if lines can't be read."""
    counts: Counter[tuple[str, str, int, str]] = Counter()
    bad = 0
    for _, line in all_lines(folder):
        if line.letter is None:
            bad += 1
        elif wanted(line.letter):
            letter = line.letter
            counts[letter.output, letter.tag, letter.status, letter.reason] += 1
    for (output, tag, status, reason), number in counts.most_common():
        print(f"{number:8}  {output}  {tag}  {status or '-'}  {reason}")
    print(
        f"{counted(counts.total(), 'letter')} in {folder}"
        + (f", {bad} lines are none" if bad else "")
    )
    return 1 if bad else 0


def show(folder: Path, wanted: Wanted, most: int | None) -> int:
    """Print letters as they stand in their files; 1 if lines can't be read."""
    code = 0

    def chosen() -> Iterator[bytes]:
        nonlocal code
        for path, line in all_lines(folder):
            if line.letter is None:
                print(f"tailrace dlq: {path}, line {line.number}: {line.error}", file=sys.stderr)
                code = 1
            elif wanted(line.letter):
                yield line.raw

    for raw in islice(chosen(), most):
        print(raw.decode("utf-8", "replace").rstrip("\n"))
    return code


def purge(folder: Path, wanted: Wanted, is_chosen: bool) -> int:
    """Delete letters."""
    if not is_chosen:
        raise UsageError("say which letters to delete, or --all.")
    gone = 0
    for path in letter_files(folder):
        taken = take(path)
        if taken is None:
            continue
        others: list[bytes] = []
        for line in read_letters(taken):
            if line.letter is not None and wanted(line.letter):
                gone += 1
            else:
                others.append(line.raw)
        finish(taken, others, [])
    print(f"{gone} letters are deleted")
    return 0


def replay(storage: Path, folder: Path, wanted: Wanted, to: str | None, by_tag: bool) -> int:
    """Hand letters to the agent: as chunk files in its storage; then they are no letters any more."""
    sent = 0
    code = 0
    for path in letter_files(folder):
        taken = take(path)
        if taken is None:
            continue
        others: list[bytes] = []
        bad: list[bytes] = []
        parts: dict[tuple[str, tuple[str, ...]], list[DeadLetter]] = {}
        for line in read_letters(taken):
            letter = line.letter
            if letter is None:
                print(f"tailrace dlq: {path}, line {line.number}: {line.error}", file=sys.stderr)
                bad.append(line.raw)
                code = 1
            elif wanted(letter):
                target = () if by_tag else (to or letter.output,)
                parts.setdefault((letter.tag, target), []).append(letter)
            else:
                others.append(line.raw)
        for (tag, routes), letters in parts.items():
            sent += write_files(storage / REPLAY_FOLDER, tag, routes, letters)
        finish(taken, others, bad)
    if sent:
        print(f"{sent} letters are in {storage / REPLAY_FOLDER}; the agent delivers them")
    else:
        print(f"there is no letter to replay in {folder}, or none that was asked for")
    return code


def write_files(folder: Path, tag: str, routes: tuple[str, ...], letters: list[DeadLetter]) -> int:
    """Chunk files of letters of one tag; how many letters."""
    folder.mkdir(parents=True, exist_ok=True)
    logs = [letter for letter in letters if letter.kind == "logs"]
    for start in range(0, len(logs), EVENTS_PER_FILE):
        some = logs[start : start + EVENTS_PER_FILE]
        metadata = [letter.metadata for letter in some]
        events = encode_events(
            [letter.time for letter in some],
            metadata if any(metadata) else None,
            [letter.record for letter in some],
            shared(letter.group for letter in some)
            if any(letter.group for letter in some)
            else None,
        )
        write_file(folder, chunkfile.encode(ChunkFile(tag, events, routes=routes), checksum=True))
    for letter in letters:
        if letter.kind != "logs":
            write_file(folder, letter.packed)
    return len(letters)


def write_file(folder: Path, data: bytes) -> None:
    """A file that is whole from the moment that it can be seen."""
    now = time.time_ns()
    name = f"{os.getpid()}-{now // 10**9}.{now % 10**9:09d}.flb"
    hidden = folder / f".{name}"
    with hidden.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    hidden.rename(folder / name)
