"""Several engines under one supervisor, as a user starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

CONFIG = """
[SERVICE]
    flush 0.1
    grace 2
    http_server on
    http_port {api}
    processes 2
    hot_reload on
[INPUT]
    name tcp
    listen 127.0.0.1
    port {tcp}
    tag t
[INPUT]
    name dummy
    samples 3
    rate 100
    tag d
[INPUT]
    name tail
    path {folder}/*.log
    db {folder}/pos.db
    read_from_head on
    tag l
[OUTPUT]
    name file
    match *
    path {folder}
    file out.txt
    format plain
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Fleet:
    def __init__(self, folder):
        self.folder, self.api, self.tcp = folder, free_port(), free_port()
        (folder / "a.conf").write_text(CONFIG.format(api=self.api, tcp=self.tcp, folder=folder))
        self.log = (folder / "log").open("w")
        command = "from tailrace.cli.main import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", command, "-c", str(folder / "a.conf")],
            stderr=self.log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def ask(self, path, method="GET"):
        data = b"{}" if method == "POST" else None
        url = f"http://127.0.0.1:{self.api}{path}"
        request = urllib.request.Request(url, data, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.load(answer)

    def until(self, holds):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                if holds():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def children(self):
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text().split()]

    def delivered(self):
        return self.ask("/api/v2/accounting")["outputs"]["file.0"]["delivered"]


@pytest.fixture
def fleet(tmp_path):
    for number in range(8):
        (tmp_path / f"app{number}x.log").write_text(f"line {number}\n")
    made = Fleet(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    made.log.close()


def test_engines_divide_the_work_and_one_that_crashes_starts_again(fleet):
    fleet.until(lambda: fleet.delivered() == 11)
    for number in range(20):
        with socket.create_connection(("127.0.0.1", fleet.tcp)) as client:
            client.sendall(b'{"n":%d}\n' % number)
    fleet.until(lambda: fleet.delivered() == 31)
    books = fleet.ask("/api/v2/accounting")
    assert (books["received"], books["remainder"]) == (31, 0)
    assert fleet.ask("/api/v2/pipeline")["processes"] == 2
    assert fleet.ask("/api/v2/reload", "POST") == {"reload": "done", "status": 0}

    first = fleet.children()
    assert len(first) == 2
    os.kill(first[-1], signal.SIGKILL)
    fleet.until(lambda: len(set(fleet.children()) - set(first)) == 1)
    lines = sorted((fleet.folder / "out.txt").read_text().splitlines())
    assert len(lines) == len(set(lines)) + 2  # the three dummy events are alike

    fleet.process.send_signal(signal.SIGTERM)
    assert fleet.process.wait(15) == 0
