"""WebAssembly filters in whole pipelines: CPU seconds for a million records, of one agent or several in turn.

    python bench/wasm.py tailrace=tailrace other=fluent-bit [-n ROUNDS] [--records N] [-k NAME]

tail with the JSON parser, the filter, out_file. The modules are those of examples/wasm/built (C, Rust, AssemblyScript, whose collector
stands for TinyGo's; Go if it was built) and one of MessagePack in the text form below. `none` is the pipeline
without a filter. A scenario where fewer records come out than with another agent lost them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

MODULES = Path(__file__).parents[1] / "examples" / "wasm" / "built"
MSGPACK = """(module
  (memory (export "memory") 2)
  (data (i32.const 16) "\\a3env\\a4prod")
  (func (export "filter") (param $tag i32) (param i32 i32 i32) (param $rec i32) (param $len i32) (result i32)
    (if (i32.ge_u (i32.load8_u (local.get $rec)) (i32.const 0x8f)) (then (return (local.get $rec))))
    (memory.copy (i32.const 1024) (local.get $rec) (local.get $len))
    (i32.store8 (i32.const 1024) (i32.add (i32.load8_u (local.get $rec)) (i32.const 1)))
    (memory.copy (i32.add (i32.const 1024) (local.get $len)) (i32.const 16) (i32.const 9))
    (i32.store8 (i32.add (i32.const 1033) (local.get $len)) (i32.const 0))
    (i32.const 1024))
)"""
CONFIGURATION = """
[SERVICE]
    flush        0.2
    grace        10
    log_level    error
    parsers_file {folder}/parsers.conf
[INPUT]
    name           tail
    tag            bench
    path           {corpus}
    read_from_head true
    exit_on_eof    true
    parser         json
{filter}
[OUTPUT]
    name   file
    match  *
    path   {folder}
    file   out.txt
    format plain
"""
FILTER = """
[FILTER]
    name          wasm
    match         *
    wasm_path     {module}
    function_name filter
    event_format  {event_format}
"""


def write_corpus(path: Path, records: int) -> None:
    """JSON lines of some 250 bytes, the same for every run."""
    dice = random.Random(5)
    with path.open("w") as file:
        for number in range(records):
            second = number // 1000
            body = {
                "time": f"2024-02-29T10:{second // 60 % 60:02d}:{second % 60:02d}.{number % 1000:03d}Z",
                "level": dice.choice(("debug", "info", "info", "warn", "error")),
                "service": dice.choice(("api", "web", "cart")),
                "method": "GET",
                "path": f"/v1/items/{dice.randrange(100000)}",
                "status": dice.choice((200, 201, 404, 500)),
                "took": round(dice.random() + 0.001, 6),
                "message": "request served for the user " + "x" * dice.randrange(20, 80),
            }
            file.write(json.dumps(body, separators=(",", ":")) + "\n")


def scenarios(folder: Path) -> dict[str, str]:
    """The filter section of each scenario."""
    found = {"none": ""}
    for name in ("c", "rust", "assemblyscript", "go"):
        module = MODULES / f"{name}.wasm"
        if module.exists():
            found[name] = FILTER.format(module=module, event_format="json")
    try:
        import wasmtime
    except ImportError:
        return found
    module = folder / "msgpack.wasm"
    module.write_bytes(wasmtime.wat2wasm(MSGPACK))
    found["msgpack"] = FILTER.format(module=module, event_format="msgpack")
    return found


def run(command: list[str], configuration: str, folder: Path) -> tuple[float, int]:
    """CPU seconds of one run with its children, and how many records came out."""
    out = folder / "out.txt"
    out.unlink(missing_ok=True)
    (folder / "agent.conf").write_text(configuration)
    arguments = [*command, "-c", str(folder / "agent.conf")]
    before = os.times()
    subprocess.run(arguments, check=False, capture_output=True, timeout=600)
    after = os.times()
    cpu = (
        after.children_user - before.children_user + after.children_system - before.children_system
    )
    lines = out.read_bytes().count(b"\n") if out.exists() else 0
    return cpu, lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("agents", nargs="+", metavar="NAME=COMMAND")
    parser.add_argument("-n", type=int, default=3, help="rounds")
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("-k", default="", help="scenarios whose name contains this")
    options = parser.parse_args()
    agents = {
        name: shlex.split(command) for name, command in (a.split("=", 1) for a in options.agents)
    }
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as text:
        folder = Path(text)
        write_corpus(folder / "corpus.log", options.records)
        (folder / "parsers.conf").write_text(
            "[PARSER]\n    name json\n    format json\n    time_key time\n    time_format %Y-%m-%dT%H:%M:%S.%L%z\n"
        )
        print(f"{'scenario':16}{'agent':12}{'CPU s/M':>9}{'records':>10}{'first vs this':>15}")
        for name, section in scenarios(folder).items():
            if options.k not in name:
                continue
            configuration = CONFIGURATION.format(
                folder=folder, corpus=folder / "corpus.log", filter=section
            )
            (folder / "agent.conf").write_text(configuration)
            for command in agents.values():  # compiles modules where they are kept
                dry_run = [*command, "--dry-run", "-c", str(folder / "agent.conf")]
                subprocess.run(dry_run, check=False, capture_output=True, timeout=600)
            results: dict[str, list[tuple[float, int]]] = {agent: [] for agent in agents}
            for _ in range(options.n):
                for agent, command in agents.items():
                    results[agent].append(run(command, configuration, folder))
            first = 0.0
            for agent, runs in results.items():
                cpu = statistics.median(cpu for cpu, _ in runs) / options.records * 1e6
                first = first or cpu
                print(
                    f"{name:16}{agent:12}{cpu:9.2f}{min(n for _, n in runs):10}{cpu / first:14.2f}x"
                )
                sys.stdout.flush()


if __name__ == "__main__":
    main()
