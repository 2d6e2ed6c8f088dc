"""Chunks that wait for the pipeline."""

from __future__ import annotations

from tailrace.model import LOGS, Chunk, merge
from tailrace.model.chunk import are_alike
from tailrace.net.gathering import BATCH_BYTES, Inflow
from tailrace.plugin import joined


class ChunkInflow(Inflow[Chunk]):
    """Small chunks of one tag that stand together become one, unless they had to be decoded for it."""

    def take(self) -> Chunk:
        first = self.pieces.popleft()
        chunks, nbytes = [first], first.nbytes
        while self.pieces and nbytes < BATCH_BYTES and belong_together(first, self.pieces[0]):
            chunks.append(self.pieces.popleft())
            nbytes += chunks[-1].nbytes
        self.took(nbytes)
        merged = merge(chunks)
        if len(chunks) > 1:
            merged.receipt = joined([chunk.receipt for chunk in chunks])
        return merged


def belong_together(first: Chunk, second: Chunk) -> bool:
    """Whether two chunks may become one without being decoded for it."""
    if second.tag != first.tag or first.kind is not LOGS or second.kind is not LOGS:
        return False
    if first.packed is None or second.packed is None:
        return first.decoded and second.decoded
    return are_alike((first, second))
