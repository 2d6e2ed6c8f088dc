"""Whatever is killed whenever, every line arrives."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.faults.sink import Sink

KILLS = int(os.environ.get("TAILRACE_KILLS", "30"))
AGENT = Path(sys.executable).with_name("tailrace")

TAIL_TO_HTTP = """
[SERVICE]
    flush 0.1
    grace 5
    log_level error
    scheduler.base 1
    scheduler.cap 1
[INPUT]
    name   tail
    path   {folder}/app.log*
    tag    t
    db     {folder}/positions.db
    read_from_head on
    refresh_interval 1
[OUTPUT]
    name   http
    match  *
    host   127.0.0.1
    port   {port}
    format json_lines
    retry_limit no_limits
"""


class Writer(threading.Thread):
    """Appends numbered lines, and renames the file away now and then."""

    def __init__(self, path, seed):
        super().__init__()
        self.path, self.random = path, random.Random(seed)
        self.written, self.rotations = [], 0
        self.ended = threading.Event()

    def run(self):
        file = self.path.open("a")
        while not self.ended.wait(0.01):
            for _ in range(20):
                line = f"line {len(self.written):07d}"
                self.written.append(line)
                file.write(line + "\n")
            file.flush()
            if self.random.random() < 0.02:
                file.close()
                self.rotations += 1
                self.path.rename(f"{self.path}.{self.rotations}")
                file = self.path.open("a")
        file.close()


def start(config):
    return subprocess.Popen([AGENT, "-c", config], stderr=subprocess.DEVNULL)


@pytest.mark.timeout(240)
def test_kill_9_at_random_moments_loses_no_line(tmp_path):
    sink, pick = Sink(failing=0.2), random.Random(3)
    config = tmp_path / "agent.conf"
    config.write_text(TAIL_TO_HTTP.format(folder=tmp_path, port=sink.port))
    writer = Writer(tmp_path / "app.log", seed=5)
    writer.start()
    agent = start(config)
    try:
        for _ in range(KILLS):
            time.sleep(pick.uniform(0.2, 0.9))
            agent.send_signal(signal.SIGKILL)
            agent.wait()
            agent = start(config)
        writer.ended.set()
        writer.join()
        sink.failing = 0.0
        end = time.monotonic() + 60
        while len(sink.lines) < len(writer.written) and time.monotonic() < end:
            time.sleep(0.1)
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(20) == 0
    finally:
        writer.ended.set()
        agent.kill()
        agent.wait()
        sink.close()
    missing = [line for line in writer.written if line not in sink.lines]
    assert not missing, (
        f"{len(missing)} of {len(writer.written)} lines are lost, the first: {missing[0]}"
    )
    assert writer.rotations > 3


@pytest.mark.timeout(60)
def test_a_dead_output_never_pauses_the_healthy_one(tmp_path):
    healthy = Sink()
    config = tmp_path / "agent.conf"
    text = TAIL_TO_HTTP.format(folder=tmp_path, port=healthy.port)
    config.write_text(
        text
        + "[OUTPUT]\n    name http\n    match *\n    host 127.0.0.1\n    port 1\n    retry_limit no_limits\n"
    )
    lines = [f"line {number:07d} {'x' * 200}" for number in range(60_000)]
    (tmp_path / "app.log").write_text("\n".join(lines) + "\n")
    agent = start(config)
    try:
        end = time.monotonic() + 40
        while len(healthy.lines) < len(lines) and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        agent.kill()
        agent.wait()
        healthy.close()
    assert len(healthy.lines) == len(lines)
