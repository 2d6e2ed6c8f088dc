"""The agent's own log: lines as Fluent Bit writes them, to standard error or a file.

    [2026/11/24 11:23:49.123] [ info] [input:tail:tail.0] inode=42 file=/var/log/a.log

Levels: **error** data lost or a person is needed; **warn** odd, recovered, nothing lost; **info** start, stop, reload;
**debug** may be per chunk, never per event; **trace** the inside of a plugin.
"""

import os
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import IntEnum
from typing import IO

CACHE_ENTRIES = 32
RECENT_LINES = 100


class Level(IntEnum):
    OFF = 0
    ERROR = 1
    WARN = 2
    INFO = 3
    DEBUG = 4
    TRACE = 5


LEVELS = {
    "off": Level.OFF,
    "error": Level.ERROR,
    "warn": Level.WARN,
    "warning": Level.WARN,
    "info": Level.INFO,
    "debug": Level.DEBUG,
    "trace": Level.TRACE,
}
COLORS = {
    "error": "\x1b[91m",
    "warn": "\x1b[93m",
    "info": "\x1b[92m",
    "debug": "\x1b[93m",
    "trace": "\x1b[94m",
}
BOLD, RESET = "\x1b[1m", "\x1b[0m"

Listener = Callable[[float, str, str], None]


class LogSink:
    """Where lines go. One for the process; `reopen` follows a rotated log file."""

    def __init__(self, level: Level = Level.INFO, path: str = "") -> None:
        self.level = level
        self.path = path
        self._file: IO[str] = self._open()
        self.colored = not path and self._file.isatty() and "NO_COLOR" not in os.environ
        self.prefix = ""
        """Stands before every message: which of several engines it is."""
        self.counts: dict[str, int] = {}
        """Lines written, by level."""
        self.listeners: list[Listener] = []
        """Called with time (seconds), level and message of every line: the input `fluentbit_logs`."""
        self.recent: deque[tuple[float, str, str]] = deque(maxlen=RECENT_LINES)
        """The last lines, for those who begin to listen."""

    def _open(self) -> IO[str]:
        if not self.path:
            return sys.stderr
        return open(self.path, "a", encoding="utf-8", errors="backslashreplace", buffering=1)

    def reopen(self) -> None:
        """Close and open the log file anew."""
        if self.path:
            self._file.close()
            self._file = self._open()

    def move(self, path: str) -> None:
        """Write to another file (empty: standard error) from now on; `OSError` if it can't be opened."""
        before, self.path = self.path, path
        try:
            opened = self._open()
        except OSError:
            self.path = before
            raise
        if before:
            self._file.close()
        self._file = opened

    def write(self, level: str, message: str) -> None:
        now = time.time()
        message = self.prefix + message
        self.counts[level] = self.counts.get(level, 0) + 1
        stamp = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(now))
        stamp = f"{stamp}.{int(now * 1000) % 1000:03d}"
        if self.colored:
            head = f"{BOLD}[{RESET}{stamp}{BOLD}]{RESET} [{COLORS[level]}{level:>5}{RESET}]"
        else:
            head = f"[{stamp}] [{level:>5}]"
        try:
            self._file.write(f"{head} {message}\n")
            self._file.flush()
        except (OSError, ValueError):
            return  # a log that cannot be written must not end the agent
        self.recent.append((now, level, message))
        for listener in self.listeners:
            listener(now, level, message)


class Log:
    """The log of one part of the agent, with its name in front: `[input:tail:tail.0]`.

    `suppress_seconds` holds back a message whose first half was written already within that time.
    """

    def __init__(
        self, sink: LogSink, name: str = "", level: Level | None = None, suppress_seconds: float = 0
    ) -> None:
        self._sink = sink
        self._head = f"[{name}] " if name else ""
        self.own_level = level
        self._suppress_seconds = suppress_seconds
        self._seen: OrderedDict[str, float] = OrderedDict()

    @property
    def level(self) -> Level:
        """The instance's own level if one was given, else the process's."""
        return self._sink.level if self.own_level is None else self.own_level

    def named(self, name: str, level: Level | None = None, suppress_seconds: float = 0) -> "Log":
        return Log(self._sink, name, level, suppress_seconds)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with the last lines of the whole agent and each new one; what is given ends that."""
        for line in self._sink.recent:
            listener(*line)
        self._sink.listeners.append(listener)

        def end() -> None:
            if listener in self._sink.listeners:
                self._sink.listeners.remove(listener)

        return end

    def error(self, message: str) -> None:
        self._log(Level.ERROR, "error", message)

    def warn(self, message: str) -> None:
        self._log(Level.WARN, "warn", message)

    def info(self, message: str) -> None:
        self._log(Level.INFO, "info", message)

    def debug(self, message: str) -> None:
        self._log(Level.DEBUG, "debug", message)

    def trace(self, message: str) -> None:
        self._log(Level.TRACE, "trace", message)

    def _log(self, level: Level, name: str, message: str) -> None:
        if level > self.level or (self._suppress_seconds and self._is_repeated(message)):
            return
        self._sink.write(name, self._head + message)

    def _is_repeated(self, message: str) -> bool:
        start, now = message[: max(1, len(message) // 2)], time.monotonic()
        last = self._seen.get(start)
        if last is not None and now - last < self._suppress_seconds:
            return True
        self._seen[start] = now
        self._seen.move_to_end(start)
        if len(self._seen) > CACHE_ENTRIES:
            self._seen.popitem(last=False)
        return False


def counted(number: int, noun: str) -> str:
    """A number with its noun, as: 1 error, 2 errors."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
