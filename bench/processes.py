"""Records a wall second with one engine and with several: `python bench/processes.py [--processes 2] [--records 3000000]`.

Two pipelines: 128 files of JSON through filters to an HTTP server, and 64 TCP connections to a TCP server. The servers and the
feeder run in processes of their own and take a share of the processor, so give the machine more cores than engines, or read the
figures as a lower bound. The CPU a record says what spreading the work costs, whatever the machine: 1.0x means that the engines get
as much work done in a second of CPU as one alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

FILES = 128
CONNECTIONS = 64
QUIET_SECONDS = 1.0
TICKS = os.sysconf("SC_CLK_TCK")
FILTERS = """
[FILTER]
    name grep
    match *
    exclude level ^debug$
[FILTER]
    name modify
    match *
    add cluster eu
[FILTER]
    name record_modifier
    match *
    record node n1
"""
SERVICE = "[SERVICE]\n    flush 0.2\n    grace 30\n    parsers_file parsers.conf\n"


def lines(count: int) -> bytes:
    return b"".join(
        json.dumps({"n": n, "level": "info", "path": f"/a/{n % 97}", "text": "x" * 150}).encode()
        + b"\n"
        for n in range(count)
    )


class Taken:
    """What the sink has taken, told to the process that measures: lines by HTTP, bytes by TCP, and when the last came."""

    def __init__(self) -> None:
        self.count: Any = multiprocessing.Value("q", 0)
        self.last: Any = multiprocessing.Value("d", 0.0)

    def add(self, count: int) -> None:
        with self.count.get_lock():
            self.count.value += count
        self.last.value = time.monotonic()


def sink(listener: socket.socket, taken: Taken, is_http: bool) -> None:
    """Takes what comes, as cheaply as can be: it shares the processor with the agent. Each connection in a thread."""
    import threading

    def serve_tcp(connection: socket.socket) -> None:
        room = bytearray(1 << 20)
        with connection:
            while size := connection.recv_into(room, 0, socket.MSG_TRUNC):  # not even copied
                taken.add(size)

    def serve_http(connection: socket.socket) -> None:
        with connection, connection.makefile("rb", 1 << 20) as stream:
            while stream.readline():
                length = 0
                while (field := stream.readline()) not in (b"\r\n", b""):
                    if field.lower().startswith(b"content-length:"):
                        length = int(field.split(b":")[1])
                body = stream.read(length)
                taken.add(len(body) - len(body.replace(b"\n", b"")))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    while True:
        connection, _ = listener.accept()
        serve = serve_http if is_http else serve_tcp
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def cpu_seconds(pid: int) -> float:
    """Of a process and its children."""
    used = 0.0
    for each in (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        used += (int(fields[11]) + int(fields[12])) / TICKS
    return used


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Figures(NamedTuple):
    """Records a second of wall time and a second of CPU, from the first to the last that came out, and what the sink took."""

    rate: float
    per_cpu: float
    taken: float


def measure(name: str, processes: int, records: int, folder: Path) -> Figures:
    parts = FILES if name == "json_filters_http" else CONNECTIONS
    each = records // parts
    data = lines(each)
    listener = socket.create_server(("127.0.0.1", 0))
    taken = Taken()
    is_http = name == "json_filters_http"
    server = multiprocessing.Process(target=sink, args=(listener, taken, is_http), daemon=True)
    server.start()
    port, target = free_port(), listener.getsockname()[1]
    if is_http:
        for number in range(FILES):
            (folder / f"app-{number}x.log").write_bytes(data)
        source = f"[INPUT]\n    name tail\n    path {folder}/*.log\n    read_from_head on\n    parser json\n    tag t\n"
        out = f"[OUTPUT]\n    name http\n    match *\n    host 127.0.0.1\n    port {target}\n    format json_lines\n"
    else:
        source = f"[INPUT]\n    name tcp\n    listen 127.0.0.1\n    port {port}\n    format json\n    tag t\n"
        out = f"[OUTPUT]\n    name tcp\n    match *\n    host 127.0.0.1\n    port {target}\n    format json_lines\n"
    config = folder / "agent.conf"
    config.write_text(SERVICE + source + (FILTERS if is_http else "") + out)
    command = "from tailrace.cli.main import main; main()"
    agent = subprocess.Popen(
        [sys.executable, "-c", command, "-q", "-c", str(config), "--processes", str(processes)]
    )
    try:
        if not is_http:
            (folder / "feed").write_bytes(data)
            wait_for(port)
        feeder = multiprocessing.Process(target=feed, args=(port, folder / "feed"))
        if not is_http:
            feeder.start()
        figures = watch(taken, each * parts, agent.pid)
        if not is_http:
            feeder.join()
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait()
        server.kill()
        listener.close()
    return figures


def feed(port: int, path: Path) -> None:
    """All connections at once, each in a thread; the kernel sends the file."""
    import threading

    def send() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection, path.open("rb") as file:
            connection.sendfile(file)

    for _ in range(CONNECTIONS):
        threading.Thread(target=send).start()


def wait_for(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.02)


def watch(taken: Taken, records: int, pid: int) -> Figures:
    """Figures of the time until nothing has come for a while."""
    while not taken.count.value:
        time.sleep(0.002)
    began, cpu = time.monotonic(), cpu_seconds(pid)
    used = 0.0
    while time.monotonic() - taken.last.value < QUIET_SECONDS:
        used = cpu_seconds(pid) - cpu
        time.sleep(0.02)
    return Figures(records / (taken.last.value - began), records / used, taken.count.value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--records", type=int, default=3_000_000)
    parser.add_argument("-n", type=int, default=3, help="rounds")
    options = parser.parse_args()
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    for name in ("json_filters_http", "tcp_tcp"):
        rounds: dict[int, list[Figures]] = {1: [], options.processes: []}
        for _ in range(options.n):
            for count, figures in rounds.items():
                folder = Path(tempfile.mkdtemp(prefix="tailrace-bench-", dir=base))
                try:
                    figures.append(measure(name, count, options.records, folder))
                finally:
                    shutil.rmtree(folder)
        one, several = (
            Figures(*map(statistics.median, zip(*figures, strict=True)))
            for figures in rounds.values()
        )
        if abs(several.taken - one.taken) > one.taken / 1000:
            raise SystemExit(f"{name}: {one.taken:.0f} and {several.taken:.0f} came out")
        print(
            f"{name:<20} 1 engine {one.rate:>9,.0f} records/s   {options.processes} engines "
            f"{several.rate:>9,.0f} records/s   {several.rate / one.rate:.2f}x"
            f"   work a CPU second {several.per_cpu / one.per_cpu:.2f}x",
            flush=True,
        )


if __name__ == "__main__":
    main()
