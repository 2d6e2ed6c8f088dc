"""What is left when the agent ends: where each undelivered event is, in words for the last lines of the log."""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.engine.pipeline import Pipeline


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Left:
    """Undelivered events of one output."""

    output: str
    on_disk: int = 0
    """They lie in `storage.path`, for the next start."""
    read_again: int = 0
    """Their input has not moved on and reads them again, or their client has no answer and sends them again."""
    lost: int = 0

    def __str__(self) -> str:
        words = [
            f"{count} {what}"
            for count, what in (
                (self.on_disk, "wait on disk for the next start"),
                (self.read_again, "come again from their source"),
                (self.lost, "are lost"),
            )
            if count
        ]
        total = self.on_disk + self.read_again + self.lost
        return f"{total} events could not be delivered within the grace time: {', '.join(words)}"


def left_of(pipeline: Pipeline) -> list[Left]:
    """What each output has not delivered; outputs with nothing are left out."""
    replaying = {port.name for port in pipeline.inputs if port.instance.plugin.replays}
    found = []
    for port in pipeline.outputs:
        left = Left(port.name, on_disk=pipeline.books.outputs[port.name].kept)
        for item in port.queue.items():
            if item.disk_bytes:
                left.on_disk += item.count
            elif item.source in replaying or item.receipt.urgent:
                left.read_again += item.count
            else:
                left.lost += item.count
        if left.on_disk or left.read_again or left.lost:
            found.append(left)
    return found


def last_line(pipeline: Pipeline, left: list[Left]) -> str:
    """The sum, for the last line of the log."""
    books = pipeline.books.outputs.values()
    delivered = sum(book.delivered for book in books)
    given_up = sum(
        count for book in books for count in (*book.dropped.values(), *book.rejected.values())
    )
    if not left and given_up:
        return f"the end: {delivered} events delivered, {given_up} given up, nothing waits"
    if not left:
        return f"everything is delivered ({delivered} events), the end"
    on_disk, again, lost = (
        sum(each.on_disk for each in left),
        sum(each.read_again for each in left),
        sum(each.lost for each in left),
    )
    gone = f", {given_up} given up" if given_up else ""
    return f"the end: {delivered} events delivered, {on_disk} on disk, {again} to come again, {lost} lost{gone}"
