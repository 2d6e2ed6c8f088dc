"""Whole pipelines on several corpora: CPU seconds for a million records, and how they compare.

    bench/run.py                                  all pipelines on all corpora
    bench/run.py -k filters -n 5                  pipelines with "filters" in their name, five rounds
    bench/run.py --other "fluent-bit"             another agent that takes the same configuration, in turn with ours

CPU seconds are user and system time of the agent alone, minus nothing: the start is in them. The last columns set the corpus
against `uniform`, per byte, and the other agent against Tailrace (above 1: Tailrace is cheaper). A run that loses records counts as failed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from corpora import corpus

RAM = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
SERVICE = (
    "[SERVICE]\n    flush 0.2\n    grace 10\n    log_level error\n    parsers_file parsers.conf\n"
)
PARSERS = (
    "[PARSER]\n    Name json\n    Format json\n    Time_Key time\n    Time_Format %Y-%m-%dT%H:%M:%S.%L%z\n"
    "[PARSER]\n    Name apache\n    Format regex\n"
    '    Regex ^(?<host>\\S+) \\S+ (?<user>\\S+) \\[(?<time>[^\\]]+)\\] "(?<method>\\S+) (?<path>\\S+)(?: (?<protocol>[^"]*))?"'
    ' (?<code>\\d+) (?<size>\\d+|-)(?: "(?<referer>[^"]*)" "(?<agent>[^"]*)")?$\n'
    "    Time_Key time\n    Time_Format %d/%b/%Y:%H:%M:%S %z\n    Types code:integer size:integer\n"
)
FILTERS = (
    "[FILTER]\n    name modify\n    match *\n    add cluster prod\n    rename service svc\n    remove method\n"
    "[FILTER]\n    name record_modifier\n    match *\n    record hostname web-1\n"
    "[FILTER]\n    name grep\n    match *\n    exclude level ^none$\n"
)
NULL = "[OUTPUT]\n    name null\n    match *\n"
FILE = (
    "[OUTPUT]\n    name file\n    match *\n    path {folder}\n    file out.txt\n    format plain\n"
)


def tail(parser: str = "", storage: str = "") -> str:
    return (
        "[INPUT]\n    name tail\n    tag bench\n    path {data}\n    read_from_head true\n    exit_on_eof true\n"
        + (f"    parser {parser}\n" if parser else "")
        + storage
    )


STORED = "    storage.path {folder}/storage\n    storage.sync normal\n"
JSON = ("uniform", "mixed", "unicode")
PIPELINES: dict[str, tuple[str, tuple[str, ...]]] = {
    "raw_null": (SERVICE + tail() + NULL, JSON),
    "raw_file": (SERVICE + tail() + FILE, JSON),
    "json_null": (SERVICE + tail("json") + NULL, JSON),
    "json_file": (SERVICE + tail("json") + FILE, JSON),
    "json_filters_file": (SERVICE + tail("json") + FILTERS + FILE, JSON),
    "json_stored_file": (
        SERVICE + STORED + tail("json", "    storage.type filesystem\n") + FILE,
        JSON,
    ),
    "apache_file": (SERVICE + tail("apache") + FILE, ("apache",)),
}


@dataclass
class Result:
    cpu: float
    rss_mb: float


def measure(command: str, config: str, data: Path, count: int) -> Result:
    """One run; `RuntimeError` if it fails or loses records."""
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=RAM))
    try:
        (folder / "parsers.conf").write_text(PARSERS)
        (folder / "agent.conf").write_text(config.format(folder=folder, data=data))
        with subprocess.Popen(
            [*shlex.split(command), "-c", "agent.conf"], cwd=folder, stdout=subprocess.DEVNULL
        ) as agent:
            _, status, usage = os.wait4(agent.pid, 0)
            agent.returncode = os.waitstatus_to_exitcode(status)
        if agent.returncode:
            raise RuntimeError(f"exit code {agent.returncode}")
        if "{folder}" in config and (written := count_lines(folder / "out.txt")) != count:
            raise RuntimeError(f"{written} of {count} records")
        return Result((usage.ru_utime + usage.ru_stime) / count * 1e6, usage.ru_maxrss / 1024)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def count_lines(path: Path) -> int:
    """In small pieces: what this process has ever held would count as the next agent's peak memory."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 16), b""))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-k", default="", help="only pipelines whose name contains this")
    parser.add_argument("-n", type=int, default=3, help="rounds (3)")
    parser.add_argument("--lines", type=int, default=500_000, help="records per run (500,000)")
    parser.add_argument("--agent", default="tailrace", help="the command of Tailrace")
    parser.add_argument("--other", default="", help="the command of another agent")
    chosen = parser.parse_args()
    agents = {"tailrace": chosen.agent, **({"other": chosen.other} if chosen.other else {})}
    print(f"{'pipeline':20} {'corpus':8} {'agent':9} {'CPU s/M':>8} {'ns/byte':>8} {'RSS MB':>7}")
    for name, (config, kinds) in PIPELINES.items():
        if chosen.k not in name:
            continue
        plain = 0.0
        for kind in kinds:
            data = corpus(RAM, kind, chosen.lines)
            runs: dict[str, list[Result]] = {agent: [] for agent in agents}
            for _ in range(chosen.n):
                for agent, command in agents.items():
                    try:
                        runs[agent].append(measure(command, config, data, chosen.lines))
                    except (RuntimeError, OSError) as error:
                        print(f"{name:20} {kind:8} {agent:9} failed: {error}")
            ours = 0.0
            for agent, results in runs.items():
                if not results:
                    continue
                cpu = statistics.median(result.cpu for result in results)
                rss = statistics.median(result.rss_mb for result in results)
                per_byte = cpu * 1e3 / (data.stat().st_size / chosen.lines)
                note = ""
                if agent == "tailrace":
                    ours, plain = cpu, plain or per_byte
                    note = f"  {per_byte / plain:.2f} of uniform" if kind != kinds[0] else ""
                elif ours:
                    note = f"  {cpu / ours:.2f} times Tailrace's"
                print(
                    f"{name:20} {kind:8} {agent:9} {cpu:8.2f} {per_byte:8.2f} {rss:7.0f}{note}",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
