"""`--supervisor`: one engine under a parent that starts it again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = "from tailrace.cli.main import main; main()"


@pytest.fixture
def supervised(tmp_path):
    """A supervisor with a dummy pipeline that appends to a file."""
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", COMMAND, "--supervisor", "-f", "0.1", "-i", "dummy"),
                *(
                    "-p",
                    "rate=20",
                    "-o",
                    "file",
                    "-p",
                    f"path={tmp_path}",
                    "-p",
                    "file=out",
                    "-m",
                    "*",
                ),
            ],
            stderr=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        yield process, tmp_path / "out"
        if process.poll() is None:
            process.kill()
            process.wait()


def children(process):
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(word) for word in path.read_text().split()]


def until(holds):
    end = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_crashed_engine_starts_again_and_the_end_is_passed_on(supervised):
    process, out = supervised
    until(lambda: out.exists() and out.stat().st_size)
    [first] = children(process)
    os.kill(first, signal.SIGKILL)
    until(lambda: children(process) not in ([], [first]))
    size = out.stat().st_size
    until(lambda: out.stat().st_size > size)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert children_are_gone(first)


def children_are_gone(pid):
    return not Path(f"/proc/{pid}").exists()
