"""Whatever is killed whenever, every line arrives."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.faults.lines_sink import Sink

KILLS = int(os.environ.get("TAILRACE_KILLS", "8"))
"""How often each test kills the agent; 30 and more are the long form."""
AGENT = Path(sys.executable).with_name("tailrace")

TAIL_TO_HTTP = """
[SERVICE]
    flush 0.1
    grace 5
    log_level error
    scheduler.base 1
    scheduler.cap 1
    parsers_file {folder}/parsers.conf
[INPUT]
    name   tail
    path   {folder}/app.log*
    {more}
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

PARSERS = """
[MULTILINE_PARSER]
    name  stack
    type  regex
    flush_timeout 500
    rule  "start_state" "/^START/" "more"
    rule  "more"        "/^  /"    "more"
"""
LINE = "line {number:07d}\n"
STACK = "START {number:07d}\n  at one\n  at two\n"


SENDER = """
[OUTPUT]
    name   forward
    match  *
    host   127.0.0.1
    port   {port}
    require_ack_response on
    retry_limit no_limits
"""
RECEIVER = """
[INPUT]
    name   {name}
    listen 127.0.0.1
    port   {port}
"""
OTLP_SENDER = """
[OUTPUT]
    name   opentelemetry
    match  *
    host   127.0.0.1
    port   {port}
    retry_limit no_limits
"""
RELAYS = {
    "forward": (SENDER, "forward"),
    "OTLP over HTTP": (OTLP_SENDER, "opentelemetry"),
    "OTLP over gRPC": (f"{OTLP_SENDER}    grpc on\n", "opentelemetry"),
}
"""What the sender writes, and the input that takes it."""


def configuration(folder, port, more=""):
    (folder / "parsers.conf").write_text(PARSERS)
    path = folder / "agent.conf"
    path.write_text(TAIL_TO_HTTP.format(folder=folder, port=port, more=more))
    return path


class Writer(threading.Thread):
    """Appends numbered events, in pieces, and renames the file away now and then. `written` are the events as text."""

    def __init__(self, path, event, seed):
        super().__init__()
        self.path, self.event, self.random = path, event, random.Random(seed)
        self.written, self.rotations = [], 0
        self.ended = threading.Event()

    def run(self):
        file = self.path.open("a")
        while not self.ended.wait(0.01):
            for _ in range(20):
                text = self.event.format(number=len(self.written))
                self.written.append(text)
                half = self.random.randrange(len(text)) if self.random.random() < 0.05 else 0
                if half:
                    file.write(text[:half])
                    file.flush()
                file.write(text[half:])
            file.flush()
            if self.random.random() < 0.02:
                file.close()
                self.rotations += 1
                self.path.rename(f"{self.path}.{self.rotations}")
                file = self.path.open("a")
        file.close()


def start(config):
    return subprocess.Popen([AGENT, "-c", config], stderr=subprocess.DEVNULL)


def kill_again_and_again(folder, event, more=""):
    """What was written, what arrived how often, and how often the file was renamed meanwhile."""
    sink, pick = Sink(failing=0.2), random.Random(3)
    config = configuration(folder, sink.port, more)
    writer = Writer(folder / "app.log", event, seed=5)
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
    return writer.written, sink.lines, writer.rotations


@pytest.mark.timeout(240)
def test_kill_9_at_random_moments_loses_no_line(tmp_path):
    written, arrived, rotations = kill_again_and_again(tmp_path, LINE)
    missing = [line for line in written if line[:-1] not in arrived]
    assert not missing, f"{len(missing)} of {len(written)} lines are lost, the first: {missing[0]}"
    assert rotations > KILLS // 10


@pytest.mark.timeout(240)
def test_kill_9_at_random_moments_loses_no_line_of_joined_events(tmp_path):
    """Lines that are held back are read again after a crash, and joined again."""
    written, arrived, rotations = kill_again_and_again(tmp_path, STACK, "multiline.parser stack")
    missing = [event for event in written if event not in arrived]
    assert not missing, f"{len(missing)} of {len(written)} events are lost, the first: {missing[0]}"
    assert rotations > KILLS // 10


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def relay(folder, sink, sender, receiver):
    """The configurations of a sender that reads the lines and of a receiver that hands them on to the sink."""
    port = free_port()
    whole = configuration(folder, sink.port).read_text()
    service, rest = whole.split("[INPUT]")
    tail, http = rest.split("[OUTPUT]")
    configs = (
        f"{service}[INPUT]{tail}{sender.format(port=port)}",
        f"{service}{RECEIVER.format(name=receiver, port=port)}[OUTPUT]{http}",
    )
    paths = folder / "sender.conf", folder / "receiver.conf"
    for path, text in zip(paths, configs, strict=True):
        path.write_text(text)
    return paths


def wait_for_more(sink):
    """Wait until lines arrive: the agents are up and something is on its way."""
    before, end = len(sink.lines), time.monotonic() + 20
    while len(sink.lines) == before and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("sender", "receiver"), RELAYS.values(), ids=RELAYS)
def test_kill_9_of_a_sender_or_its_receiver_loses_no_line(tmp_path, sender, receiver):
    sink, pick = Sink(failing=0.2), random.Random(4)
    configs = relay(tmp_path, sink, sender, receiver)
    writer = Writer(tmp_path / "app.log", LINE, seed=6)
    writer.start()
    agents = [start(config) for config in configs]
    try:
        for _ in range(KILLS):
            wait_for_more(sink)
            time.sleep(pick.uniform(0.0, 0.3))
            which = pick.randrange(2)
            agents[which].send_signal(signal.SIGKILL)
            agents[which].wait()
            agents[which] = start(configs[which])
        writer.ended.set()
        writer.join()
        sink.failing = 0.0
        end = time.monotonic() + 60
        while len(sink.lines) < len(writer.written) and time.monotonic() < end:
            time.sleep(0.1)
    finally:
        writer.ended.set()
        for agent in agents:
            agent.kill()
            agent.wait()
        sink.close()
    missing = [line for line in writer.written if line[:-1] not in sink.lines]
    assert not missing, f"{len(missing)} of {len(writer.written)} lines are lost: {missing[:1]}"


@pytest.mark.timeout(60)
def test_a_dead_output_never_pauses_the_healthy_one(tmp_path):
    healthy = Sink()
    config = configuration(tmp_path, healthy.port)
    config.write_text(
        config.read_text()
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
