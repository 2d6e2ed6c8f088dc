"""Receipts of events that are held back, and chunks of what is given out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tailrace.model import Body, Chunk, Group, Groups, Metadata, Receipt


class Origin(NamedTuple):
    """Where events come from that were together in a chunk and in one group."""

    receipt: Receipt | None
    group: Group | None


def receipts_of(origins: Iterable[Origin]) -> Iterator[Receipt]:
    return (origin.receipt for origin in origins if origin.receipt is not None)


def hold(receipts: Iterable[Receipt]) -> None:
    for receipt in receipts:
        receipt.hold()


def release(receipts: Iterable[Receipt]) -> None:
    for receipt in receipts:
        receipt.release()


def joint(receipts: Iterable[Receipt]) -> Receipt:
    """A receipt with which a share of each of these ends."""
    made = Receipt()
    for receipt in receipts:
        receipt.hold()
        made.follow(receipt)
        made.urgent = made.urgent or receipt.urgent
    return made


class Way:
    """How the chunks of one stream came, so that what is joined of them goes the same way on."""

    __slots__ = ("hops", "padding", "passed_by", "routed", "stream", "tag")

    def __init__(self, chunk: Chunk, owner: Any) -> None:
        self.tag = chunk.tag
        self.stream, self.routed = chunk.stream, chunk.routed
        self.passed_by = (*chunk.passed_by, owner)
        self.hops, self.padding = chunk.hops, chunk.padding

    def chunk(
        self,
        times: list[int],
        bodies: list[Body],
        metadata: list[Metadata] | None,
        nbytes: int,
        receipts: Iterable[Receipt],
        groups: Groups,
    ) -> Chunk:
        made = Chunk(self.tag, times, bodies, metadata, max(1, nbytes))
        made.groups = groups
        made.stream, made.passed_by, made.hops = self.stream, self.passed_by, self.hops
        made.routed = self.routed
        made.padding, made.receipt = self.padding, joint(receipts)
        return made


def nothing_of(chunk: Chunk) -> Chunk:
    """What stays of a chunk all of whose events are held back or go on by themselves."""
    return Chunk(chunk.tag, [], [], None, 1)
