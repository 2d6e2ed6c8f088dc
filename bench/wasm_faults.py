"""A module at its worst: it traps on every tenth record, loops on every thousandth, and never frees. Nothing may be lost.

    python bench/wasm_faults.py [--records 100000] [--agent COMMAND]

The agent must end well, every record must come out once and in order, memory must stay under its limit; the exit code says so. The
suite runs a smaller form (tests/filters/test_wasm.py).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import wasmtime

ALLOWANCE_MB = 150
"""Memory of the agent itself with its engine, beside the module's limit."""
MEMORY_LIMIT_MB = 16
MODULE = """(module
  (memory (export "memory") 2)
  (global $calls (mut i32) (i32.const 0))
  ;; the record is {"m":"?...; t traps, l loops; each sixteenth call takes a page and keeps it
  (func (export "filter") (param $tag i32) (param i32 i32 i32) (param $rec i32) (param $len i32) (result i32)
    (local $c i32) (local $at i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (if (i32.eqz (i32.and (global.get $calls) (i32.const 15))) (then
      (local.set $at (memory.grow (i32.const 1)))
      (if (i32.eq (local.get $at) (i32.const -1)) (then unreachable))
      (memory.fill (i32.shl (local.get $at) (i32.const 16)) (i32.const 1) (i32.const 65536))))
    (local.set $c (i32.load8_u (i32.add (local.get $rec) (i32.const 6))))
    (if (i32.eq (local.get $c) (i32.const 116)) (then unreachable))
    (if (i32.eq (local.get $c) (i32.const 108)) (then (loop (br 0))))
    (local.get $rec))
)"""
CONFIGURATION = """
[SERVICE]
    flush 0.5
    grace 10
[INPUT]
    name           tail
    tag            t
    path           {folder}/in.log
    parser         json
    read_from_head on
    exit_on_eof    on
[FILTER]
    name          wasm
    match         *
    wasm_path     {folder}/module.wasm
    function_name filter
    time_limit    0.05
    memory_limit  {memory}M
[OUTPUT]
    name   file
    match  *
    path   {folder}
    file   out.txt
    format plain
"""


def mood(number: int) -> str:
    if number % 1000 == 999:
        return "loop"
    return "trap" if number % 10 == 0 else "go on"


def peak_mb(process: subprocess.Popen[bytes]) -> float:
    """Wait for the process; the most memory it had."""
    most = 0.0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                most = max(most, int(line.split()[1]) / 1024)
        time.sleep(0.05)
    process.wait()
    return most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument(
        "--agent", default=f"{sys.executable} -c 'from tailrace.cli.main import main; main()'"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "module.wasm").write_bytes(wasmtime.wat2wasm(MODULE))
        (folder / "agent.conf").write_text(
            CONFIGURATION.format(folder=folder, memory=MEMORY_LIMIT_MB)
            + f"\n[SERVICE]\n    parsers_file {folder}/parsers.conf\n"
        )
        (folder / "parsers.conf").write_text("[PARSER]\n    name json\n    format json\n")
        with (folder / "in.log").open("w") as file:
            for number in range(options.records):
                record = {"m": mood(number), "n": number}
                file.write(json.dumps(record, separators=(",", ":")) + "\n")
        start, cpu = time.monotonic(), os.times()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*shlex.split(options.agent), "-c", str(folder / "agent.conf")],
                stderr=log,
                stdout=log,
            )
            most = peak_mb(process)
        seconds, used = time.monotonic() - start, os.times()
        out = folder / "out.txt"
        numbers = (
            [json.loads(line)["n"] for line in out.read_text().splitlines()] if out.exists() else []
        )
        told = (folder / "log").read_text(errors="replace")
        checks = {
            "the agent ended well": process.returncode == 0,
            "every record once, in order": numbers == list(range(options.records)),
            "traps are told": "trapped" in told,
            "loops are told": "time_limit" in told,
            f"memory below {MEMORY_LIMIT_MB + ALLOWANCE_MB} MB": most
            < MEMORY_LIMIT_MB + ALLOWANCE_MB,
        }
        for claim, holds in checks.items():
            print(f"{'ok' if holds else 'NOT SO':7} {claim}")
        children = (
            used.children_user - cpu.children_user + used.children_system - cpu.children_system
        )
        print(
            f"{options.records} records, {len(numbers)} out, {seconds:.1f} s, {children:.1f} CPU s, peak {most:.0f} MB"
        )
        if not all(checks.values()):
            print(told[-2000:], file=sys.stderr)
        return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
