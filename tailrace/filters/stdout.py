"""Print events on standard output on their way, to look at a pipeline.

Example:
    Name  stdout
    Match *
"""

import sys

from tailrace.model import Chunk
from tailrace.plugin import Filter, FilterOptions, filter_plugin
from tailrace.wire.notation import flat_text


@filter_plugin("stdout")
class Stdout(Filter[FilterOptions]):
    padding = None

    def process(self, chunk: Chunk) -> Chunk:
        metadata = chunk.metadata or [{}] * chunk.count
        rows = zip(chunk.times, metadata, chunk.bodies, strict=True)
        lines = [f"[{number}] {chunk.tag}: {flat_text(*row)}\n" for number, row in enumerate(rows)]
        sys.stdout.buffer.write("".join(lines).encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
        return chunk
