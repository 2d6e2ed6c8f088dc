"""The `tailrace` command: runs a pipeline as Fluent Bit's command line does, or one of our own subcommands."""

from __future__ import annotations

import gc
import os
import sys

SUBCOMMANDS = (
    "check",
    "chunks",
    "convert",
    "dlq",
    "docs",
    "graph",
    "new",
    "plugins",
    "schema",
    "tap",
    "top",
    "wamrc",
)


def main() -> None:
    """Entry point of the console script."""
    tune_collector()
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # who read what we print has gone, as `head` does
        os._exit(0)
    gc.freeze()  # what is left need not be searched for cycles: 18 ms less for a run that ends
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Do what the arguments say; the exit code."""
    if argv and argv[0] in ("-V", "--version"):
        return print_version()
    if argv and argv[0] in SUBCOMMANDS:
        from importlib import import_module

        return int(import_module(f"tailrace.cli.{argv[0]}").run(argv[1:]))
    if argv and not argv[0].startswith("-"):
        from tailrace.config.errors import did_you_mean

        if mend := did_you_mean(argv[0], SUBCOMMANDS):
            print(f"tailrace: there is no command '{argv[0]}'. {mend}", file=sys.stderr)
            return 1
    ignore_early_hangup()
    from tailrace.cli.run import run as run_agent

    return run_agent(argv)


def ignore_early_hangup() -> None:
    """A SIGHUP asks for a reload: while the agent starts it reads its configuration anyhow. Later the agent has a handler of its own."""
    import signal

    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def print_version() -> int:
    from tailrace import __version__

    print(f"Tailrace v{__version__}\ncompatible with Fluent Bit v5.1.1")
    return 0


def tune_collector() -> None:
    """Look for garbage in cycles seldom: events make none, but by their number set the collector off all the time.

    Parsing JSON took 8 % more CPU with the default of 700 objects (bench: json_null).
    """
    gc.set_threshold(50_000, 10, 10)


def tune_allocator() -> None:
    """Keep freed memory instead of giving it back and faulting it in again (glibc only).

    Parsing with regular expressions took 40 % more CPU without it (bench: apache_file).
    """
    if not sys.platform.startswith("linux") or "MALLOC_TRIM_THRESHOLD_" in os.environ:
        return
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return
    trim_threshold, mmap_threshold = -1, -3
    mallopt(trim_threshold, 64 << 20)
    mallopt(mmap_threshold, 64 << 20)
