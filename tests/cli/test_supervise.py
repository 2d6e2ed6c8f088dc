"""A crashed agent is started again, one that was told to end is not."""

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from tailrace.cli.supervise import supervise
from tailrace.plugin.log import Log, LogSink

starts = Path(sys.argv[1])

def body():
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(3))
    with starts.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    {body}

sys.exit(supervise(body, Log(LogSink()), ({wait},)))
"""


def start(folder, body, wait):
    program = PROGRAM.replace("{body}", body).replace("{wait}", str(wait))
    return subprocess.Popen([sys.executable, "-c", program, str(folder / "starts")])


def wait_for_starts(folder, count):
    """The process ids of the children, once there are so many."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        file = folder / "starts"
        found = file.read_text().split() if file.exists() else []
        if len(found) >= count:
            return [int(each) for each in found]
        time.sleep(0.02)
    pytest.fail(f"{count} starts were expected")


def test_one_that_was_told_to_end_is_not_started_again_whatever_it_ends_with(tmp_path):
    process = start(tmp_path, "time.sleep(60)", 0.01)
    wait_for_starts(tmp_path, 1)
    time.sleep(0.05)  # it has lived long enough for its failure to count as a late one
    process.terminate()
    assert process.wait(20) == 3
    assert len(wait_for_starts(tmp_path, 1)) == 1


def test_one_that_crashes_is_started_again(tmp_path):
    process = start(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", 0.01)
    wait_for_starts(tmp_path, 3)
    process.terminate()
    assert process.wait(20) in (3, 128 + signal.SIGKILL, 128 + signal.SIGTERM)


def test_a_signal_while_nothing_runs_ends_the_wait(tmp_path):
    process = start(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", 600)
    [child] = wait_for_starts(tmp_path, 1)
    process.send_signal(signal.SIGHUP)  # there is nobody to pass it on to
    time.sleep(0.1)
    process.terminate()
    assert process.wait(20) == 128 + signal.SIGKILL
    assert child > 0
