"""How far a source is settled without a gap: what an input may commit.

Chunks of one source may be delivered in any order. Its position moves only up to the first one that is still under way:

    water = LowWater(0, on_rise)
    first, second = water.receipt(100), water.receipt(250)
    # `second` is settled: water.mark stays 0. Then `first` is: water.mark is 250.

A position is anything the source understands: an offset, a cursor, a pair.
"""

from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from tailrace.model import Receipt

P = TypeVar("P")


class _Span(Generic[P]):
    """What lies between one position and the next."""

    __slots__ = ("end", "settled")

    def __init__(self, end: P, settled: bool = False) -> None:
        self.end = end
        self.settled = settled


class LowWater(Generic[P]):
    """The settled position of one source; `on_rise` is called each time `mark` has moved."""

    __slots__ = ("_spans", "mark", "on_rise")

    def __init__(self, mark: P, on_rise: Callable[[], None]) -> None:
        self.mark = mark
        self.on_rise = on_rise
        self._spans: list[_Span[P]] = []

    @property
    def pending(self) -> bool:
        """Whether something that was emitted is not settled yet."""
        return bool(self._spans)

    def receipt(self, end: P, urgent: bool = False) -> Receipt:
        """The receipt for a chunk that brings the source to `end`."""
        span = _Span(end)
        self._spans.append(span)
        return Receipt(partial(self._settle, span), urgent)

    def pass_over(self, end: P) -> None:
        """Nothing up to `end` needs delivery."""
        self._spans.append(_Span(end, settled=True))
        self._rise()

    def _settle(self, span: _Span[P], _: Receipt) -> None:
        span.settled = True
        self._rise()

    def _rise(self) -> None:
        spans = self._spans
        count = 0
        for span in spans:
            if not span.settled:
                break
            count += 1
        if count:
            self.mark = spans[count - 1].end
            del spans[:count]
            self.on_rise()
