"""`--supervisor`: the agent in a child process, which is started again when it crashes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from tailrace.plugin.log import Log

RESTART_SECONDS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""How long to wait before each start after a crash; the last for all further ones."""
STEADY_SECONDS = 60.0
"""Who ran this long may crash anew without waiting longer each time."""
LOOK_SECONDS = 0.1
ENDS = (signal.SIGTERM, signal.SIGINT)


class Guard:
    """Passes signals on to the child that there is at present, and remembers that the end was asked for."""

    def __init__(self) -> None:
        self.child = 0
        self.is_ending = False
        self._before = {
            number: signal.signal(number, self._pass_on) for number in (*ENDS, signal.SIGHUP)
        }

    def _pass_on(self, number: int, frame: Any) -> None:
        self.is_ending = self.is_ending or number in ENDS
        self._send(number)

    def _send(self, number: int) -> None:
        if self.child:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(self.child, number)

    def restore(self) -> None:
        """Signals go where they went before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def run(self, body: Callable[[], int]) -> int:
        """Run `body` in a child; its exit code, or less than 0 if a signal ended it."""
        child = os.fork()
        if not child:
            self.restore()
            os._exit(body())
        self.child = child
        if self.is_ending:  # asked for before it was known whom to tell
            self._send(signal.SIGTERM)
        status = os.waitpid(child, 0)[1]
        self.child = 0
        return os.waitstatus_to_exitcode(status)

    def rest(self, seconds: float) -> None:
        """Wait, but not once the end was asked for."""
        end = time.monotonic() + seconds
        while not self.is_ending and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))  # noqa: TID251  # the supervisor has no event loop


def supervise(body: Callable[[], int], log: Log, waits: Sequence[float] = RESTART_SECONDS) -> int:
    """Run `body` in a child process, again whenever it dies by a signal or with an error that came late; its exit code.

    SIGTERM, SIGINT and SIGHUP are passed on. After the first two nothing is started again, whatever the child ends with; nor
    is one that fails before it has run for `waits[0]` seconds.
    """
    guard = Guard()
    try:
        crashes = 0
        while True:
            began = time.monotonic()
            code = guard.run(body)
            lived = time.monotonic() - began
            is_over = code == 0 or (code > 0 and lived < waits[0]) or -code in ENDS
            if not (is_over or guard.is_ending):
                wait = waits[min(crashes, len(waits) - 1)]
                crashes = 0 if lived > STEADY_SECONDS else crashes + 1
                log.error(
                    f"[supervisor] the agent ended ({describe(code)}); it starts again in {wait:g} s"
                )
                guard.rest(wait)
            if is_over or guard.is_ending:
                return code if code >= 0 else 128 - code
    finally:
        guard.restore()


def describe(code: int) -> str:
    """An exit code in words; less than 0: the signal."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
