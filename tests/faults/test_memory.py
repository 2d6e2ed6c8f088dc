"""A destination that is away does not cost the agent its life: memory stays below a ceiling."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.world import ROOT

CEILING_MB = 256
CONFIG = """
[SERVICE]
    flush 0.2
    grace 0
    log_level error
    memory_limit 64M
    parsers_file {folder}/parsers.conf
[INPUT]
    name   tail
    path   {folder}/app.log
    tag    t
    parser json
    read_from_head on
[OUTPUT]
    name   http
    match  *
    host   127.0.0.1
    port   1
    retry_limit no_limits
"""


def peak_mb(agent):
    status = Path(f"/proc/{agent.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) // 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.timeout(60)
def test_a_dead_destination_leaves_memory_below_a_ceiling(tmp_path):
    (tmp_path / "parsers.conf").write_text("[PARSER]\n    name json\n    format json\n")
    body = {"level": "info", "host": "web-1", "path": "/api/v1", "message": "x" * 100, "took": 1.25}
    with (tmp_path / "app.log").open("w") as file:
        for number in range(400_000):
            file.write(json.dumps({"n": number, **body}) + "\n")
    config = tmp_path / "agent.conf"
    config.write_text(CONFIG.format(folder=tmp_path))
    agent = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.agent", "-c", config],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    try:
        end, peaks = time.monotonic() + 20, [0]
        while time.monotonic() < end:
            time.sleep(0.25)
            assert agent.poll() is None
            peaks.append(peak_mb(agent))
            if len(peaks) > 12 and peaks[-1] == peaks[-8] > 50:
                break  # inputs wait
        assert peaks[-1] < CEILING_MB, peaks
        assert peaks[-1] > 50, peaks
    finally:
        agent.kill()
        agent.wait()
