"""Receipts: how an input learns that what it emitted is delivered, or durably stored, or accounted for.

A receipt is open while any share of it is. Each route of a chunk holds one share, and so does each child
chunk that a filter makes of it. When the last share ends the receipt is settled, and only then may the
input commit its position or answer its client.
"""

from collections.abc import Callable


class Receipt:
    """The promise of one emitted chunk.

    `on_settled` is called once, in the event loop's thread, when every share has ended. `refused` counts the events
    that ended by being dropped or rejected instead of delivered or filtered. `urgent` says that
    somebody waits for it, so that outputs flush without waiting for their interval.
    """

    __slots__ = ("_on_settled", "_shares", "reason", "refused", "urgent")

    def __init__(
        self, on_settled: Callable[["Receipt"], None] | None = None, urgent: bool = False
    ) -> None:
        self._shares = 0
        self._on_settled = on_settled
        self.refused = 0
        self.reason = ""
        self.urgent = urgent

    def hold(self, shares: int = 1) -> None:
        self._shares += shares

    def release(self, refused: int = 0, reason: str = "") -> None:
        """End one share; `refused` events of it were not delivered, for `reason`."""
        if refused:
            self.refused += refused
            self.reason = reason
        self._shares -= 1
        if self._shares == 0 and self._on_settled is not None:
            on_settled, self._on_settled = self._on_settled, None
            on_settled(self)

    def follow(self, other: "Receipt") -> None:
        """Let a share of another receipt, which is held already, end when this one is settled."""
        before = self._on_settled

        def settle(receipt: "Receipt") -> None:
            if before is not None:
                before(receipt)
            other.release(receipt.refused, receipt.reason)

        self._on_settled = settle

    @property
    def settled(self) -> bool:
        return self._shares <= 0
