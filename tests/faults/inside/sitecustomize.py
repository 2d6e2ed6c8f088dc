"""Loaded by the agent under test: lets its clock jump and its name resolution fail, as files in `FAULTS_FOLDER` say."""

import os
import socket
import sys
import threading
import time
from pathlib import Path

FOLDER = Path(os.environ.get("FAULTS_FOLDER", "."))
REAL_TIME, REAL_TIME_NS, REAL_SLEEP = time.time, time.time_ns, time.sleep
REAL_GETADDRINFO = socket.getaddrinfo
offset = 0


def follow_clock():
    """Read the offset (seconds) of the agent's clock again and again."""
    global offset
    while True:
        try:
            offset = int((FOLDER / "clock").read_text() or 0)
        except (OSError, ValueError):
            offset = 0
        REAL_SLEEP(0.02)


def resolve(host, *args, **kwargs):
    if host in ("sink.test", b"sink.test"):
        if (FOLDER / "no_dns").exists():
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        host = "127.0.0.1"
    return REAL_GETADDRINFO(host, *args, **kwargs)


if "FAULTS_FOLDER" in os.environ:
    time.time = lambda: REAL_TIME() + offset
    time.time_ns = lambda: REAL_TIME_NS() + offset * 10**9
    socket.getaddrinfo = resolve
    sys.modules["uvloop"] = None  # it would resolve names past the line above
    threading.Thread(target=follow_clock, daemon=True).start()
