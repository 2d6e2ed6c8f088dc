"""What a Python filter costs in its three forms: a function of one body, a function of a chunk, and a class.

    python bench/python_filter.py

CPU microseconds an event, best of 15 rounds over batches of 400 small bodies. The form with one body may cost at most one
microsecond more than a chunk.
"""

import time
from typing import Any

from tailrace.model import Chunk
from tailrace.plugin import Filter, FilterOptions, filter, filter_plugin  # noqa: A004
from tailrace.testing import EPOCH_NS, make_plugin

SIZE, BATCHES = 400, 50


@filter("bench_body")
def one_body(body: dict[str, Any], *, status: int = 500) -> None:
    body["size"] = len(body["message"])
    if body["status"] == status:
        body["bad"] = True


@filter("bench_chunk")
def one_chunk(chunk: Chunk, *, status: int = 500) -> None:
    for body in chunk.bodies:
        body["size"] = len(body["message"])
        if body["status"] == status:
            body["bad"] = True


class ClassOptions(FilterOptions):
    status: int = 500


@filter_plugin("bench_class")
class AsClass(Filter[ClassOptions]):
    def process(self, chunk: Chunk) -> Chunk:
        status = self.options.status
        for body in chunk.bodies:
            body["size"] = len(body["message"])
            if body["status"] == status:
                body["bad"] = True
        return chunk


def batch() -> Chunk:
    bodies: list[dict[str, Any]] = [
        {
            "level": "info",
            "status": 200 if number % 5 else 500,
            "message": f"request {number} completed",
            "path": "/api/v1/users",
        }
        for number in range(SIZE)
    ]
    return Chunk("bench", [EPOCH_NS] * SIZE, bodies)


def microseconds(name: str) -> float:
    plugin = make_plugin("filter", name)
    best = float("inf")
    for _ in range(15):
        chunks = [batch() for _ in range(BATCHES)]
        start = time.process_time()
        for chunk in chunks:
            plugin.process(chunk)
        best = min(best, time.process_time() - start)
    return best / BATCHES / SIZE * 1e6


def main() -> None:
    chunk = microseconds("bench_chunk")
    for name in ("bench_chunk", "bench_class", "bench_body"):
        cost = microseconds(name)
        print(f"{name:12} {cost:6.3f} us/event  {cost - chunk:+.3f} over a chunk")


if __name__ == "__main__":
    main()
