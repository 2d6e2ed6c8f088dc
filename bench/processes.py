"""Records a wall second with one engine and with several: `python bench/processes.py [--processes 2] [--records 400000]`.

Two pipelines: 32 files of JSON through filters to an HTTP server, and eight TCP connections to a TCP server. The servers and the
feeder run in processes of their own, so give the machine more cores than engines, or read the figures as a lower bound.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FILES = 32
CONNECTIONS = 8
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


def sink(listener: socket.socket, counted: Any, is_http: bool) -> None:
    """Counts the records that come; each connection in a thread."""
    import threading

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while True:
                if not is_http:
                    data = connection.recv(1 << 18)
                    if not data:
                        return
                    with counted.get_lock():
                        counted.value += data.count(b"\n")
                    continue
                length = 0
                head = stream.readline()
                while (field := stream.readline()) not in (b"\r\n", b""):
                    if field.lower().startswith(b"content-length:"):
                        length = int(field.split(b":")[1])
                if not head:
                    return
                body = stream.read(length)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                with counted.get_lock():
                    counted.value += body.count(b'"n":')

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(name: str, processes: int, records: int, folder: Path) -> float:
    """Records a second, from the first to the last that came out."""
    parts = FILES if name == "json_filters_http" else CONNECTIONS
    each = records // parts
    data = lines(each)
    listener = socket.create_server(("127.0.0.1", 0))
    counted = multiprocessing.Value("q", 0)
    is_http = name == "json_filters_http"
    server = multiprocessing.Process(target=sink, args=(listener, counted, is_http), daemon=True)
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
        feeders = []
        if not is_http:
            wait_for(port)
            feeders = [
                multiprocessing.Process(target=feed, args=(port, data)) for _ in range(CONNECTIONS)
            ]
            for feeder in feeders:
                feeder.start()
        seconds = wait_until(counted, each * parts)
        for feeder in feeders:
            feeder.join()
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait()
        server.kill()
        listener.close()
    return each * parts / seconds


def feed(port: int, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(data)


def wait_for(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.02)


def wait_until(counted: Any, count: int) -> float:
    """Seconds from the first to the last record."""
    end = time.monotonic() + 300
    while not counted.value:
        time.sleep(0.002)
    began, first = time.monotonic(), counted.value
    while counted.value < count:
        if time.monotonic() > end:
            raise SystemExit(f"only {counted.value} of {count} records came out")
        time.sleep(0.002)
    return (time.monotonic() - began) * count / max(1, count - first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("-n", type=int, default=3, help="rounds")
    options = parser.parse_args()
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    for name in ("json_filters_http", "tcp_tcp"):
        best = {}
        for _ in range(options.n):
            for count in (1, options.processes):
                folder = Path(tempfile.mkdtemp(prefix="tailrace-bench-", dir=base))
                try:
                    rate = measure(name, count, options.records, folder)
                finally:
                    shutil.rmtree(folder)
                best[count] = max(best.get(count, 0.0), rate)
        one, several = best[1], best[options.processes]
        print(
            f"{name:<20} 1 engine {one:>9,.0f} records/s   {options.processes} engines "
            f"{several:>9,.0f} records/s   {several / one:.2f}x",
            flush=True,
        )


if __name__ == "__main__":
    main()
