"""One agent with everything around it: the files it tails, its storage, its clients and its sink."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.oracle import FileWriter, Forwarder, Ledger, OtlpPoster, Poster
from tests.faults.sink import Certificates, Sink

ROOT = Path(__file__).parents[2]
INSIDE = Path(__file__).with_name("inside")
CONFIG = """
[SERVICE]
    flush 0.1
    grace 10
    log_level warn
    hot_reload on
    processes {processes}
    scheduler.base 1
    scheduler.cap 2
    parsers_file {folder}/parsers.conf
    storage.path {disk}/chunks
    storage.checksum on
    storage.backlog.mem_limit 2M
[INPUT]
    name   tail
    path   {folder}/app.log*
    tag    file
    db     {disk}/positions.db
    parser json
    read_from_head on
    refresh_interval 1
[INPUT]
    name   http
    listen 127.0.0.1
    port   {port}
    tag    http
    storage.type filesystem
[INPUT]
    name   forward
    listen 127.0.0.1
    port   {forward}
[INPUT]
    name   opentelemetry
    listen 127.0.0.1
    port   {otlp}
    tag    otlp
    storage.type filesystem
"""
OUTPUT = """
[OUTPUT]
    name   http
    match  *
    host   sink.test
    port   {sink}
    format json_lines
    json_date_key false
    tls    on
    tls.ca_file {folder}/ca.pem
    net.connect_timeout 2
    http.response_timeout 1
    retry_limit no_limits
"""
BULK = """
[OUTPUT]
    name    bulk
    match   *
    url     https://sink.test:{sink}/
    ca_file {folder}/ca.pem
    retry_limit no_limits
[PLUGINS]
    path {inside}/bulk.py
"""
PARSERS = "[PARSER]\n    name json\n    format json\n"


class World:
    """`with World(folder, seed) as world:` runs the agent; `disk` is a small file system of its own where root may mount one.

    `bulk`: the destination answers for each event. `processes`: so many engines under a supervisor.
    """

    def __init__(self, folder, seed, bulk=False, processes=1):
        self.folder, self.pick = folder, random.Random(seed)
        self.disk = folder / "disk"
        self.disk.mkdir()
        self.is_mounted = mount(self.disk)
        self.ledger = Ledger()
        self.certificates = Certificates(folder)
        self.sink = Sink(self.ledger, self.certificates)
        ports = {name: free_port() for name in ("port", "forward", "otlp")}
        self.port = ports["port"]
        self.config = folder / "agent.conf"
        self.log = folder / "agent.log"
        (folder / "parsers.conf").write_text(PARSERS)
        self.is_bulk = bulk
        self.processes = processes
        text = CONFIG + (BULK if bulk else OUTPUT)
        self.config.write_text(
            text.format(
                folder=folder,
                disk=self.disk,
                sink=self.sink.port,
                inside=INSIDE,
                processes=processes,
                **ports,
            )
        )
        self.text = self.config.read_text()
        self.writer = FileWriter(self.ledger, folder / "app.log", seed)
        self.clients = [
            Poster(self.ledger, ports["port"], seed),
            Forwarder(self.ledger, ports["forward"], seed + 1),
            OtlpPoster(self.ledger, ports["otlp"], seed + 2),
        ]
        self.threads = [self.writer, *self.clients]
        self.agent = None
        self.starts = 0

    def __enter__(self):
        self.start()
        self.issue(False)
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        for thread in self.threads:
            thread.ended.set()
        for thread in self.threads:
            thread.join(15)
        if self.agent.poll() is None:
            self.agent.kill()
        self.agent.wait()
        self.sink.close()
        if self.is_mounted:
            subprocess.run(["umount", "-l", self.disk], check=True)

    def start(self):
        environment = {
            **os.environ,
            "PYTHONPATH": f"{INSIDE}:{ROOT}",
            "FAULTS_FOLDER": str(self.folder),
        }
        self.starts += 1
        with self.log.open("ab") as log:
            self.agent = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.agent", "-c", self.config],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )

    def kill(self):
        """SIGKILL, at whatever moment that is."""
        self.agent.send_signal(signal.SIGKILL)
        self.agent.wait()

    def restart(self):
        self.kill()
        self.start()

    def engines(self):
        """The processes under the supervisor."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit():
                    parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                    found += [int(entry.name)] * (int(parent) == self.agent.pid)
        return found

    def reload(self, change):
        """Tell the agent, once it listens, to take up its configuration as `change` makes it of the first one."""
        self.until_it_listens()
        self.config.write_text(change(self.text))
        self.agent.send_signal(signal.SIGHUP)

    def until_it_listens(self, seconds=20.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)

    def wait(self, low, high):
        time.sleep(self.pick.uniform(low, high))

    def issue(self, is_issuing):
        for thread in self.threads:
            (thread.pausing.clear if is_issuing else thread.pausing.set)()

    def settle(self, seconds=60.0):
        """Issue nothing more and wait until everything owed has arrived; what has not by then."""
        self.issue(False)
        end = time.monotonic() + seconds
        time.sleep(0.3)  # what is being issued right now
        while (missing := self.ledger.missing()) and time.monotonic() < end:
            if self.agent.poll() is not None:
                raise AssertionError(f"the agent ended by itself:\n{self.last_words()}")
            time.sleep(0.05)
        return missing

    def last_words(self, lines=30):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self):
        """End the agent in an orderly way; its exit code."""
        self.agent.send_signal(signal.SIGTERM)
        return self.agent.wait(30)


def mount(folder):
    """Mount a small file system, so that it can be filled; False where that is not allowed."""
    if os.geteuid() != 0:
        return False
    with contextlib.suppress(OSError):
        command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
