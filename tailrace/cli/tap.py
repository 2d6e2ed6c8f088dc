"""`tailrace tap INPUT`: the events of a running input as they pass each stage, until interrupted.

$ tailrace tap tail.0 -n 3
input   tail.0    {"log":"GET / 200"}
filter  grep.0    (nothing left)
output  http.0    delivered
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any
from urllib.parse import quote

from tailrace.cli.asking import DEFAULT_URL, NoAnswer, ask

STAGES = {1: "input", 2: "filter", 3: "routed", 4: "output"}
RESULTS = {0: "refused", 1: "delivered", 2: "to be tried again"}


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        "tailrace tap", description="Show the events of an input as they pass the pipeline."
    )
    parser.add_argument("input", help="name or alias of the input")
    parser.add_argument("url", nargs="?", default=DEFAULT_URL, help=f"default: {DEFAULT_URL}")
    parser.add_argument("-n", "--count", type=int, default=0, help="end after so many lines")
    parser.add_argument(
        "-s", "--stage", choices=[*STAGES.values()], action="append", help="only this stage"
    )
    parser.add_argument("--json", action="store_true", help="print the records of the trace")
    parser.add_argument("--token", default="", help="of the API; default: $TAILRACE_TOKEN")
    parser.add_argument("--interval", type=float, default=0.5, help="seconds between two looks")
    options = parser.parse_intermixed_args(argv)
    path = f"/api/v2/tap/{quote(options.input, safe='')}"
    left = options.count or None
    try:
        while True:
            for record in ask(options.url, path, options.token)["records"]:
                if options.stage and STAGES.get(record["type"]) not in options.stage:
                    continue
                for line in [json.dumps(record)] if options.json else lines_of(record):
                    print(line, flush=True)
                    if left is not None:
                        left -= 1
                        if left <= 0:
                            return 0
            time.sleep(options.interval)  # noqa: TID251  # a command of its own, without an event loop
    except NoAnswer as error:
        print(f"tailrace tap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def lines_of(record: dict[str, Any]) -> list[str]:
    """A record of a trace for people: a line for each event."""
    stage = STAGES.get(record["type"], "?")
    name = record.get("plugin_alias") or record["plugin_instance"]
    head = f"{stage:<7} {name:<16} "
    if "return" in record:
        return [head + RESULTS.get(record["return"], str(record["return"]))]
    events = record.get("records", [])
    if not events:
        return [head + "(nothing left)"]
    return [
        head
        + text_of(each["record"])
        + (f" in {text_of(each['group'])}" if "group" in each else "")
        for each in events
    ]


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
