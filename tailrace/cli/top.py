"""`tailrace top`: the running pipeline, its rates, queues and books, in the terminal.

Where standard output is no terminal, or the extra `tui` is not installed, it prints plain text.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from tailrace.cli.asking import DEFAULT_URL, NoAnswer, ask

UNITS = ("B", "kB", "MB", "GB", "TB")


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "tailrace top", description="Show a running pipeline: rates, queues, books."
    )
    parser.add_argument("url", nargs="?", default=DEFAULT_URL, help=f"default: {DEFAULT_URL}")
    parser.add_argument("--token", default="", help="of the API; default: $TAILRACE_TOKEN")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds (default 1)")
    parser.add_argument("--once", action="store_true", help="print once and end")
    parser.add_argument("--plain", action="store_true", help="plain text even in a terminal")
    options = parser.parse_args(argv)
    watch = Watch(options.url, options.token)
    try:
        if options.once:
            print(watch.look())
        elif options.plain or not sys.stdout.isatty() or not show_app(watch, options.interval):
            print_on(watch, options.interval)
    except NoAnswer as error:
        print(f"tailrace top: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


class Watch:
    """Looks at one agent again and again; rates are those since the look before."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token
        self._before: dict[str, Any] | None = None
        self._at = 0.0

    def look(self) -> str:
        """The screen of this moment; `NoAnswer` if there is none."""
        now = ask(self._url, "/api/v2/pipeline", self._token)
        at = time.monotonic()
        text = screen(now, self._before, max(at - self._at, 0.001))
        self._before, self._at = now, at
        return text


def print_on(watch: Watch, interval: float) -> None:
    """Screens one below another, until interrupted."""
    clear = "\x1b[H\x1b[2J" if sys.stdout.isatty() else ""
    while True:
        print(clear + watch.look(), flush=True)
        time.sleep(interval)  # noqa: TID251  # a command of its own, without an event loop


def show_app(watch: Watch, interval: float) -> bool:
    """The terminal application; False if the library for it is not there."""
    try:
        from textual.app import App, ComposeResult
        from textual.containers import VerticalScroll
        from textual.widgets import Footer, Header, Static
    except ImportError:
        return False

    class Top(App[None]):
        TITLE = "tailrace top"
        BINDINGS = [("q", "quit", "Quit"), ("space", "pause", "Pause")]  # noqa: RUF012
        paused = False

        def compose(self) -> ComposeResult:
            yield Header()
            yield VerticalScroll(Static("", id="screen", markup=False))
            yield Footer()

        def on_mount(self) -> None:
            self.look()
            self.set_interval(interval, self.look)

        def look(self) -> None:
            if self.paused:
                return
            try:
                text = watch.look()
            except NoAnswer as error:
                text = str(error)
            self.query_one("#screen", Static).update(text)

        def action_pause(self) -> None:
            self.paused = not self.paused

    Top().run()
    return True


def screen(now: dict[str, Any], before: dict[str, Any] | None, seconds: float) -> str:
    """Everything as text. `seconds`: time between the two looks."""
    books = now["books"]
    lost = books["remainder"] or any(each["remainder"] for each in books["outputs"].values())
    cpu = (now["cpu_sec"] - before["cpu_sec"]) / seconds if before else 0.0
    lines = [
        f"tailrace {now['version']}  up {now['uptime_sec']} s  CPU {cpu:.0%}  "
        f"memory {size(now['memory_bytes'])}  processes {now['processes']}  reloads {now['reloads']}",
        "",
        *table(
            ("INPUT", "plugin", "events", "events/s", "bytes/s", "lag", ""),
            [
                (
                    each["name"],
                    each["plugin"],
                    f"{each.get('records', 0):,}",
                    rate(each, before, "inputs", "records", seconds),
                    size(per_second(each, before, "inputs", "bytes", seconds)),
                    size(each["lag_bytes"]) if each["lag_bytes"] else "-",
                    "paused" if each["paused"] else "",
                )
                for each in now["inputs"]
            ],
        ),
        "",
        *table(
            ("FILTER", "plugin", "events", "events/s", "added", "dropped", ""),
            [
                (
                    each["name"],
                    each["plugin"],
                    f"{each.get('records', 0):,}",
                    rate(each, before, "filters", "records", seconds),
                    f"{each.get('add_records', 0) + each.get('emit_records', 0):,}",
                    f"{each.get('drop_records', 0):,}",
                    f"failed on {failed:,} chunks" if (failed := each.get("failed_chunks")) else "",
                )
                for each in now["filters"]
            ],
        ),
        "",
        *table(
            (
                "OUTPUT",
                "plugin",
                "delivered",
                "events/s",
                "bytes/s",
                "waiting",
                "oldest",
                "errors",
                "",
            ),
            [
                (
                    each["name"],
                    each["plugin"],
                    f"{each.get('proc_records', 0):,}",
                    rate(each, before, "outputs", "proc_records", seconds),
                    size(per_second(each, before, "outputs", "proc_bytes", seconds)),
                    f"{each['queue_records']:,} ({size(each['queue_bytes'])})",
                    f"{each['queue_age_seconds']} s" if each["queue_records"] else "-",
                    f"{each.get('errors', 0):,}",
                    "failing" if each["failing"] else "full" if each["queue_full"] else "",
                )
                for each in now["outputs"]
            ],
        ),
        "",
        *table(
            (
                "BOOKS",
                "routed",
                "delivered",
                "dropped",
                "rejected",
                "kept",
                "in flight",
                "remainder",
            ),
            [
                (
                    name,
                    *(
                        f"{number:,}"
                        for number in (
                            each["routed"],
                            each["delivered"],
                            sum(each["dropped"].values()),
                            sum(each["rejected"].values()),
                            each["kept"],
                            each["in_flight"],
                            each["remainder"],
                        )
                    ),
                )
                for name, each in books["outputs"].items()
            ],
        ),
        "",
        f"received {books['received']:,}, passed the filters {books['passed']:,}, wanted by no output "
        f"{books['unrouted']:,}, remainder {books['remainder']:,}: "
        + ("THE BOOKS DO NOT BALANCE" if lost else "the books balance"),
    ]
    return "\n".join(line.rstrip() for line in lines)


def per_second(
    each: dict[str, Any], before: dict[str, Any] | None, kind: str, key: str, seconds: float
) -> float:
    """How fast a count of one instance grows."""
    if before is None:
        return 0.0
    old: dict[str, Any] = next((one for one in before[kind] if one["name"] == each["name"]), {})
    return max(0.0, float(each.get(key, 0) - old.get(key, 0)) / seconds)


def rate(
    each: dict[str, Any], before: dict[str, Any] | None, kind: str, key: str, seconds: float
) -> str:
    return f"{per_second(each, before, kind, key, seconds):,.0f}"


def size(amount: float) -> str:
    """Bytes for people."""
    for unit in UNITS[:-1]:
        if amount < 1000:
            return (
                f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
            )
        amount /= 1000
    return f"{amount:.1f} {UNITS[-1]}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns under their heads; the first two stand left, the others right."""
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells)

    return [line(heads), *(line(row) for row in rows)]
