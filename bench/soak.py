"""A long run: many files, many connections, little traffic; then steady load.

    bench/soak.py                                     10,000 files (100 active), 2,000 connections, 60 s idle, 600 s of load
    bench/soak.py --idle 10 --load 30 --files 1000    a short look

Tells the CPU of the agent when idle (percent of a core) and its memory at the start, before the load, and each minute of it, and ends with 1 if
idle CPU, memory or growth exceed their limits, or lines are lost.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

RAM = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
TICKS = os.sysconf("SC_CLK_TCK")
CONFIG = """
[SERVICE]
    flush     1
    grace     10
    log_level warn
[INPUT]
    name  tail
    tag   files
    path  {folder}/logs/*.log
    read_from_head on
    db    {folder}/tail.db
    refresh_interval 60
[INPUT]
    name   tcp
    tag    tcp
    listen 127.0.0.1
    port   {port}
    net.max_worker_connections 4000
    net.io_timeout 3600
[OUTPUT]
    name   file
    match  *
    path   {folder}
    file   out.txt
    format plain
"""
LINE = b'{"level":"info","message":"steady traffic of the soak test","n":%d}\n'


@dataclass
class Limits:
    """Percent of a core, megabytes."""

    idle_cpu: float
    memory: float
    growth: float


class Agent:
    """The agent under test and what /proc tells of it."""

    def __init__(self, command: str, folder: Path, port: int) -> None:
        config = folder / "agent.conf"
        config.write_text(CONFIG.format(folder=folder, port=port))
        self.process = subprocess.Popen([*shlex.split(command), "-c", str(config)])

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def connect(port: int, count: int) -> list[socket.socket]:
    """Open connections, the first as soon as the agent listens."""
    end = time.monotonic() + 60
    while True:
        try:
            first = socket.create_connection(("127.0.0.1", port), 1)
            break
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    return [first, *(socket.create_connection(("127.0.0.1", port), 5) for _ in range(count - 1))]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--agent", default="tailrace", help="the command of the agent")
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--active", type=int, default=100, help="files that are written to")
    parser.add_argument("--connections", type=int, default=2_000)
    parser.add_argument("--idle", type=int, default=60, help="seconds without traffic")
    parser.add_argument("--load", type=int, default=600, help="seconds of traffic")
    parser.add_argument("--rate", type=int, default=2_000, help="lines a second under load")
    chosen = parser.parse_args()
    limits = Limits(2.0, 150.0, 15.0)
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=RAM))
    (folder / "logs").mkdir()
    names = [folder / "logs" / f"{number:05d}.log" for number in range(chosen.files)]
    for name in names:
        name.write_bytes(LINE % 0)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    agent = Agent(chosen.agent, folder, port)
    try:
        return soak(agent, chosen, limits, names[: chosen.active], port, folder)
    finally:
        if agent.process.poll() is None:
            agent.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def soak(
    agent: Agent,
    chosen: argparse.Namespace,
    limits: Limits,
    active: list[Path],
    port: int,
    folder: Path,
) -> int:
    clients = connect(port, chosen.connections)
    print(f"{len(clients)} connections, {chosen.files} files", flush=True)
    wait_for_lines(folder, chosen.files)
    time.sleep(5)
    before = agent.cpu_seconds()
    time.sleep(chosen.idle)
    idle = (agent.cpu_seconds() - before) / chosen.idle * 100
    start = agent.memory_mb()
    print(f"idle: {idle:.2f} % of a core, {start:.0f} MB", flush=True)
    sent, memory = write_lines(agent, chosen, active, clients)
    written = wait_for_lines(folder, chosen.files + sent)
    growth = memory[-1] - memory[len(memory) // 4]
    print(
        f"{written} of {chosen.files + sent} lines, most memory {max(memory):.0f} MB, growth {growth:.1f} MB"
    )
    code = agent.stop()
    bad = (
        idle > limits.idle_cpu
        or max(memory) > limits.memory
        or growth > limits.growth
        or written != chosen.files + sent
        or code
    )
    print("exceeds its limits" if bad else "within its limits")
    return 1 if bad else 0


def write_lines(
    agent: Agent, chosen: argparse.Namespace, active: list[Path], clients: list[socket.socket]
) -> tuple[int, list[float]]:
    """Half of the lines to files, half to connections, in turn; the number of lines, and memory by the minute."""
    files = [name.open("ab", buffering=0) for name in active]
    sent, memory = 0, [agent.memory_mb()]
    began = told = time.monotonic()
    cpu = agent.cpu_seconds()
    while (now := time.monotonic()) < began + chosen.load:
        due = int((now - began) * chosen.rate)
        while sent < due:
            if sent % 2:
                clients[sent // 2 % len(clients)].sendall(LINE % sent)
            else:
                files[sent // 2 % len(files)].write(LINE % sent)
            sent += 1
        time.sleep(0.01)
        if now - told >= min(60, chosen.load / 8):
            memory.append(agent.memory_mb())
            used = (agent.cpu_seconds() - cpu) / (now - began) * 100
            print(f"{now - began:5.0f} s: {memory[-1]:.0f} MB, {used:.1f} % of a core", flush=True)
            told = now
    for file in files:
        file.close()
    memory.append(agent.memory_mb())
    return sent, memory


def wait_for_lines(folder: Path, wanted: int) -> int:
    """The lines in the output once there are as many as wanted, or no more come."""
    path, last, end = folder / "out.txt", -1, time.monotonic() + 120
    while time.monotonic() < end:
        found = path.read_bytes().count(b"\n") if path.exists() else 0
        if found >= wanted:
            return found
        if found > last:
            last, end = found, max(end, time.monotonic() + 20)
        time.sleep(0.5)
    return max(last, 0)


if __name__ == "__main__":
    sys.exit(main())
