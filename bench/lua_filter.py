"""What a Lua filter costs, by what its function does with the record.

    python bench/lua_filter.py

CPU microseconds a record of ten fields, best of 8 rounds over 100 batches of 400 records, each with texts of its own (equal texts
would be one string in Lua, and too cheap).
"""

import random
import time
from typing import Any

from tailrace.model import Chunk
from tailrace.testing import EPOCH_NS, make_plugin

SIZE, BATCHES = 400, 100
CHANGE = "record.size = #record.message if record.status == 500 then record.bad = true end"
SCRIPTS = {
    "few fields": f"function f(tag, time, record) {CHANGE} return 2, time, record end",
    "all fields": f"function f(tag, time, record) local r = record {CHANGE} return 2, time, r end",
    "a new table": "function f(tag, time, record) local t = {} for k, v in pairs(record) do t[k] = v end return 2, time, t end",
    "mixed shapes": f"function f(tag, time, record) if record.message then {CHANGE} end return 2, time, record end",
    "dropped": "function f(tag, time, record) if record.status == 500 then return -1, 0, 0 end return 0, 0, 0 end",
}


def body(rng: random.Random, number: int, is_mixed: bool) -> dict[str, Any]:
    made = {
        "time": f"2026-11-22T10:00:00.{number:03d}Z",
        "level": "info",
        "service": f"svc-{number % 20}",
        "trace_id": f"{rng.getrandbits(128):032x}",
        "method": "GET",
        "path": "/api/v1/users",
        "status": rng.choice([200, 200, 200, 404, 500]),
        "latency_ms": round(rng.expovariate(0.05), 3),
        "message": f"request completed for user {rng.randrange(100000)}",
        "größe": "später – ünïcode",
    }
    if is_mixed and number % 3 == 0:
        del made["message"], made["level"]
    return made


def microseconds(code: str, is_mixed: bool) -> float:
    plugin = make_plugin("filter", "lua", {"call": "f", "code": code})
    rng = random.Random(1)
    batches = [[body(rng, number, is_mixed) for number in range(SIZE)] for _ in range(BATCHES)]
    best = float("inf")
    for _ in range(8):
        chunks = [
            Chunk("bench", [EPOCH_NS] * SIZE, [dict(each) for each in one]) for one in batches
        ]
        start = time.process_time()
        for chunk in chunks:
            plugin.process(chunk)
        best = min(best, time.process_time() - start)
    return best / BATCHES / SIZE * 1e6


def main() -> None:
    for name, code in SCRIPTS.items():
        print(f"{name:14} {microseconds(code, name == 'mixed shapes'):6.3f} us/record")


if __name__ == "__main__":
    main()
