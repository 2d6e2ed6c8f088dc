"""Ends calls that take too long.

A thread looks now and then whether the same record is still being worked on as before; when that has cost the time limit
it raises the engine's epoch, which traps the call. It costs nothing per record, and sleeps when nothing is called.

Counted is the CPU time of the calling thread, so that a busy machine fails nobody; a call that only waits may take ten
times as long. Programs (`by_cpu` false) are held to the time on the wall.
"""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any, NamedTuple

IDLE_SECONDS = 2.0
WAITING_FACTOR = 10


class Place(NamedTuple):
    """What was worked on when the watchdog looked: the call and its record, wall and CPU time in seconds."""

    call: int
    record: int
    wall: float
    cpu: float


class Watchdog:
    """Watches the calls of one engine. `limit` is in seconds for one record; 0: no limit."""

    def __init__(self, engine: Any, limit: float, by_cpu: bool = True) -> None:
        self.limit = limit
        self._by_cpu = by_cpu
        self._engine = engine
        self._tick = min(0.25, max(0.002, limit / 5))
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()  # the memory of `progress` goes when its module ends
        self._thread: threading.Thread | None = None
        self._call = 0
        self._caller = 0
        self._progress: ctypes.c_uint32 | None = None
        self._busy = False

    def begin(self, progress: ctypes.c_uint32 | None = None) -> None:
        """A call begins; `progress` is a number that changes when it comes to its next record."""
        if not self.limit:
            return
        with self._lock:
            self._call += 1
            self._caller = threading.get_ident()
            self._progress = progress
            self._busy = True
        if self._thread is None or not self._thread.is_alive():
            self._closed.clear()
            self._thread = threading.Thread(target=self._run, name="wasm watchdog", daemon=True)
            self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    def end(self) -> None:
        """The call is over."""
        with self._lock:
            self._busy = False
            self._progress = None

    def interrupt(self) -> None:
        """Trap what runs now."""
        self._engine.increment_epoch()

    def close(self) -> None:
        """Let the thread end."""
        self._closed.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        last: Place | None = None
        idle_since = time.monotonic()
        while not self._closed.wait(self._tick):
            place = self._place()
            if place is None:
                last = None
                if time.monotonic() - idle_since > IDLE_SECONDS:
                    self._sleep()
                    idle_since = time.monotonic()
                continue
            idle_since = place.wall
            if last is None or (place.call, place.record) != (last.call, last.record):
                last = place
            elif self._took_too_long(last, place):
                last = None
                self.interrupt()

    def _took_too_long(self, first: Place, now: Place) -> bool:
        if not self._by_cpu:
            return now.wall - first.wall >= self.limit
        wait = now.wall - first.wall
        return now.cpu - first.cpu >= self.limit or wait >= self.limit * WAITING_FACTOR

    def _place(self) -> Place | None:
        """Which record of which call is worked on, and the time; None: none is."""
        with self._lock:
            if not self._busy:
                return None
            record = self._progress.value if self._progress is not None else 0
            # The caller is inside its call, so its thread is there.
            cpu = time.clock_gettime(time.pthread_getcpuclockid(self._caller))
            return Place(self._call, record, time.monotonic(), cpu)

    def _sleep(self) -> None:
        """Until the next call begins."""
        self._wake.clear()
        if not self._busy and not self._closed.is_set():
            self._wake.wait()
