"""Ends calls that take too long.

A thread looks now and then whether the same record is still being worked on as before; when that has lasted for the
time limit it raises the engine's epoch, which traps the call. It costs nothing per record, and sleeps when nothing is called.
"""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any

IDLE_SECONDS = 2.0


class Watchdog:
    """Watches the calls of one engine. `limit` is in seconds for one record; 0: no limit."""

    def __init__(self, engine: Any, limit: float) -> None:
        self.limit = limit
        self._engine = engine
        self._tick = min(0.25, max(0.002, limit / 5))
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()  # the memory of `progress` goes when its module ends
        self._thread: threading.Thread | None = None
        self._call = 0
        self._progress: ctypes.c_uint32 | None = None
        self._busy = False

    def begin(self, progress: ctypes.c_uint32 | None = None) -> None:
        """A call begins; `progress` is a number that changes when it comes to its next record."""
        if not self.limit:
            return
        with self._lock:
            self._call += 1
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
        last: tuple[int, int] | None = None
        since = idle_since = time.monotonic()
        while not self._closed.wait(self._tick):
            now = time.monotonic()
            place = self._place()
            if place is None:
                last = None
                if now - idle_since > IDLE_SECONDS:
                    self._sleep()
                    idle_since = time.monotonic()
                continue
            idle_since = now
            if place != last:
                last, since = place, now
            elif now - since >= self.limit:
                last = None
                self.interrupt()

    def _place(self) -> tuple[int, int] | None:
        """Which record of which call is worked on; None: none is."""
        with self._lock:
            if not self._busy:
                return None
            return self._call, self._progress.value if self._progress is not None else 0

    def _sleep(self) -> None:
        """Until the next call begins."""
        self._wake.clear()
        if self._place() is None and not self._closed.is_set():
            self._wake.wait()
