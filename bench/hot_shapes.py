"""Micro-benchmarks of the shapes that the hot path is made of, a chunk of 128 KiB each.

bench/hot_shapes.py              microseconds of CPU a record, the best of seven
bench/hot_shapes.py -k decode    those with "decode" in their name
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from corpora import lines

from tailrace.model import Chunk
from tailrace.model.time import TimeFormat, date_encoder
from tailrace.testing import make_parser, make_plugin
from tailrace.wire import json as wire_json
from tailrace.wire import msgpack as wire_msgpack
from tailrace.wire.records import text_encoder

BLOCK_BYTES = 131_072
SECOND = 1_000_000_000
PLAIN = text_encoder("", "", "json_lines")
DATED = text_encoder("date", "double", "json_lines")
JSON_PARSER = "name p\nformat json\ntime_key time\ntime_format %Y-%m-%dT%H:%M:%S.%L%z\n"
APACHE_PARSER = (
    'name a\nformat regex\nregex ^(?<host>\\S+) \\S+ (?<user>\\S+) \\[(?<time>[^\\]]+)\\] "(?<method>\\S+) '
    '(?<path>\\S+) (?<protocol>[^"]*)" (?<code>\\d+) (?<size>\\d+) "(?<referer>[^"]*)" "(?<agent>[^"]*)"$\n'
    "time_key time\ntime_format %d/%b/%Y:%H:%M:%S %z\ntypes code:integer size:integer\n"
)


def block_of(kind: str) -> bytes:
    """Lines of a kind, about a block."""
    taken, size = [], 0
    for line in lines(kind, 10_000):
        taken.append(line.encode())
        size += len(taken[-1]) + 1
        if size > BLOCK_BYTES:
            break
    return b"\n".join(taken)


Shape = tuple[str, int, Callable[[], Any]]


def shapes() -> Iterator[Shape]:
    """Name, records, and what is measured."""
    parser: Any = make_parser(JSON_PARSER)
    for kind in ("uniform", "mixed", "unicode"):
        block = block_of(kind)
        count = block.count(b"\n") + 1
        yield (
            f"decode JSON lines ({kind})",
            count,
            lambda block=block: wire_json.decode_block(block),
        )
        yield f"parser json ({kind})", count, lambda block=block: parser.parse_block(block)
        bodies = [body or {} for body in wire_json.decode_block(block)]
        times = [1_700_000_000 * SECOND + number * 1_000_000 for number in range(count)]
        decoded = Chunk("t", times, bodies)
        raw = Chunk.of_block("t", [times[0]] * count, "log", block)
        yield f"encode JSON ({kind})", count, lambda chunk=decoded: PLAIN(chunk)
        yield f"encode JSON with date ({kind})", count, lambda chunk=decoded: DATED(chunk)
        yield f"encode raw lines ({kind})", count, lambda chunk=raw: PLAIN(chunk)
        yield (
            f"encode MessagePack ({kind})",
            count,
            lambda bodies=bodies, times=times: wire_msgpack.encode_events(times, None, bodies),
        )
    yield from filters()
    apache = block_of("apache").decode().split("\n")
    regex: Any = make_parser(APACHE_PARSER)
    yield "parser regex (apache)", len(apache), lambda: regex.parse(apache)
    iso = TimeFormat("%Y-%m-%dT%H:%M:%S.%L%z")
    texts = re.findall(r'"time": "([^"]+)"', block_of("uniform").decode())
    yield "read ISO times", len(texts), lambda: iso.parse_many(texts)
    encode, moments = date_encoder("double"), iso.parse_many(texts)
    yield "write times one by one", len(texts), lambda: [encode(time or 0) for time in moments]


def filters() -> Iterator[Shape]:
    sections = {
        "grep": "regex level ^(info|warn|error|debug)$",
        "modify": "add cluster prod\nrename service svc\nremove method",
        "record_modifier": "record hostname web-1",
        "nest": "operation nest\nwildcard s*\nnest_under ctx",
    }
    for kind in ("uniform", "mixed"):
        block = block_of(kind)
        for name, section in sections.items():
            plugin: Any = make_plugin("filter", name, f"match *\n{section}")

            def run(plugin: Any = plugin, block: bytes = block) -> None:
                bodies = [body or {} for body in wire_json.decode_block(block)]
                plugin.process(Chunk("t", [1] * len(bodies), bodies))

            yield f"decode and filter {name} ({kind})", block.count(b"\n") + 1, run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-k", default="", help="only shapes whose name contains this")
    chosen = parser.parse_args()
    for name, count, call in shapes():
        if chosen.k in name:
            print(f"{name:45} {best_of(call) / count * 1e6:7.3f} µs a record", flush=True)


def best_of(call: Callable[[], Any], rounds: int = 7, calls: int = 20) -> float:
    """CPU seconds of one call, of the best round."""
    call()
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(calls):
            call()
        best = min(best, (time.process_time() - start) / calls)
    return best


if __name__ == "__main__":
    main()
