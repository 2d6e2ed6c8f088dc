"""Add events to each chunk or take some from its end, to test what comes behind.

Example:
    Name   alter_size
    Match  *
    Remove 1
"""

from tailrace.config import ConfigError, option
from tailrace.model import Chunk
from tailrace.plugin import Filter, FilterOptions, filter_plugin


class AlterSizeOptions(FilterOptions):
    add: int = option(0)
    """How many events to append, each as: {"key": "alter_size 0"}."""

    remove: int = option(0)
    """How many events to take from the end."""


@filter_plugin("alter_size")
class AlterSize(Filter[AlterSizeOptions]):
    def __init__(self, options: AlterSizeOptions) -> None:
        super().__init__(options)
        if options.add and options.remove:
            raise ConfigError("add and remove exclude each other.", "Give one of them.")
        if options.add <= 0 and options.remove <= 0:
            # Compat: the original drops all events then.
            self.context.warn_of(
                "neither add nor remove is above 0, so events pass.", "Give one of them."
            )

    def process(self, chunk: Chunk) -> Chunk:
        if not chunk.count:
            return chunk
        if self.options.remove > 0:
            stays = chunk.count - self.options.remove
            return chunk.select(index < stays for index in range(chunk.count))
        added = [{"key": f"alter_size {number}"} for number in range(max(0, self.options.add))]
        chunk.times = [*chunk.times, *([self.context.clock.time_ns()] * len(added))]
        if chunk.metadata is not None:
            chunk.metadata = [*chunk.metadata, *({} for _ in added)]
        if chunk.groups is not None:
            chunk.groups = [*chunk.groups, *(None for _ in added)]
        chunk.bodies = [*chunk.bodies, *added]
        return chunk
