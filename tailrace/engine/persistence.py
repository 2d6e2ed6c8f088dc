"""How chunks get through the filesystem: written before they are queued, gone when all their outputs have ended.

What an input emits with `storage.type filesystem` is written first; its receipt is settled then (with `storage.sync full`
when it has reached the disk), and queues hold no more than a stub where they are long. The backlog of earlier runs is fed to each output on its own,
so that one that is away never holds up another. At the end what memory holds still is written as well, for the
outputs alone that have not had it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tailrace.engine.payloads import STORABLE
from tailrace.engine.storage import Storage, StoredChunk, sync_files
from tailrace.model import Chunk, Receipt
from tailrace.plugin.log import Log
from tailrace.wire.chunkfile import ChunkFile

if TYPE_CHECKING:
    from tailrace.engine.ports import OutputPort, Source

MEMORY_BYTES = 3 << 19
"""Where a queue holds more than this, stored chunks wait on disk alone."""
PROBE_SECONDS = 1.0
REPLAY_SECONDS = 2.0


class Stored:
    """A stored chunk on its way, and the outputs that have not ended yet."""

    __slots__ = ("_on_end", "file", "names", "pending")

    def __init__(
        self, file: StoredChunk, names: Iterable[str], on_end: Callable[[Stored], None]
    ) -> None:
        self.file = file
        self.names = frozenset(names)
        self.pending = set(self.names)
        self._on_end = on_end

    def receipt(self, name: str, urgent: bool = False) -> Receipt:
        """What the queue of one output settles."""

        def settle(_: Receipt) -> None:
            self.pending.discard(name)
            if not self.pending:
                self._on_end(self)

        return Receipt(settle, urgent)


@dataclass(slots=True)
class Backlog:
    """What feeding the backlog needs of the pipeline."""

    persistence: Persistence
    source: Source
    targets_of: Callable[[ChunkFile], list[OutputPort]]
    on_found: Callable[[int], None]
    """Told of the events of each file that is taken up."""


class Persistence:
    """The filesystem side of one pipeline."""

    def __init__(
        self,
        storage: Storage,
        log: Log,
        *,
        most_in_memory: int,
        backlog_limit: int,
        on_room: Callable[[], None],
    ) -> None:
        self.storage = storage
        self.failing = False
        """The disk takes nothing: what is stored stays in memory, and its inputs wait."""
        self.feeding = 0
        """Outputs that have not been given all of the backlog yet."""
        self._log = log
        self._most_in_memory = most_in_memory
        self._backlog_limit = backlog_limit
        self._on_room = on_room
        self._stored: set[Stored] = set()
        self.in_memory = 0
        """Stored chunks whose events are in memory too."""
        self._loop = asyncio.get_running_loop()

    # What inputs emit

    def queue(
        self,
        chunk: Chunk,
        targets: list[OutputPort],
        source: Source,
        receipt: Receipt,
        named: tuple[str, ...],
    ) -> bool:
        """Write a chunk's file and queue it; False if the disk won't take it."""
        if chunk.kind not in STORABLE:
            return False
        try:
            file = self.storage.write(source.name, chunk, named)
        except OSError as error:
            self._note_failure(error)
            return False
        except ValueError as error:  # a tag that is too long, values too deep
            self._log.warn(f"[storage] {chunk.count} events stay in memory: {error}")
            return False
        if self.failing:
            self._note_success()
        in_memory = self.in_memory < self._most_in_memory
        loaded = chunk.measured if in_memory else 0
        durable = self._durable(file, receipt)

        def end(stored: Stored) -> None:
            self._end(stored, source)
            self.in_memory -= in_memory
            source.loaded_bytes -= loaded
            durable()

        stored = Stored(file, [target.name for target in targets], end)
        self._hold(stored, source)
        self.in_memory += in_memory
        source.loaded_bytes += loaded
        stub: Chunk | None = None
        for target in targets:
            queued = chunk
            if not in_memory or self._lies_better(chunk, target, source):
                queued = stub = stub or file.stub(chunk.tag)
            target.queue.put(
                queued,
                stored.receipt(target.name),
                source.name,
                chunk.nbytes,
                file.size,
                chunk.measured,
            )
        return True

    def _lies_better(self, chunk: Chunk, target: OutputPort, source: Source) -> bool:
        """Whether a chunk should wait on disk alone: not where its source can wait for an output that works."""
        queue = target.queue
        if queue.nbytes + chunk.nbytes <= MEMORY_BYTES:
            return False
        return not source.can_wait or queue.is_behind

    def spill(
        self, chunk: Chunk, receipt: Receipt, output: str, source: Source
    ) -> tuple[Chunk, Receipt, int] | None:
        """Write a chunk for one output that holds too much: its stub, the receipt of that, its bytes; None if the disk won't take it."""
        if chunk.kind not in STORABLE:
            return None
        try:
            file = self.storage.write(f"overflow_of_{output}", chunk, (output,))
        except OSError as error:
            self._note_failure(error)
            return None
        except ValueError as error:
            self._log.warn(f"[storage] {chunk.count} events stay in memory: {error}")
            return None
        durable = self._durable(file, receipt)

        def end(stored: Stored) -> None:
            self._end(stored, source)
            durable()

        stored = Stored(file, [output], end)
        self._hold(stored, source)
        return file.stub(chunk.tag), stored.receipt(output), file.size

    def _durable(self, file: StoredChunk, receipt: Receipt) -> Callable[[], None]:
        """With full sync hold the input's receipt; what is given settles it, the first time."""
        if self.storage.syncs is None:
            return lambda: None
        receipt.hold()
        held = [receipt]

        def release() -> None:
            if held:
                held.pop().release()

        def on_synced(error: OSError | None) -> None:
            if error is None:
                release()
            else:
                self._log.error(
                    f"[storage] {file.path} may not have reached the disk: {error.strerror}; "
                    "its input waits for delivery"
                )

        self.storage.syncs.add(file.path, on_synced)
        return release

    def _hold(self, stored: Stored, source: Source) -> None:
        self._stored.add(stored)
        source.stored_chunks += 1

    def _end(self, stored: Stored, source: Source) -> None:
        self._stored.discard(stored)
        source.stored_chunks -= 1
        stored.file.remove()
        self._on_room()

    def _note_failure(self, error: OSError) -> None:
        if self.failing:
            return
        self.failing = True
        self._log.error(
            f"[storage] can't write to {self.storage.path}: {error.strerror}; its inputs wait"
        )
        self._loop.call_later(PROBE_SECONDS, self._probe)

    def _note_success(self) -> None:
        self.failing = False
        self._log.info("[storage] writing works again")
        self._on_room()

    def _probe(self) -> None:
        if not self.failing:
            return
        if self.storage.has_room():
            self._note_success()
        else:
            self._loop.call_later(PROBE_SECONDS, self._probe)

    # The backlog

    async def feed_backlog(self, outputs: list[OutputPort], backlog: Backlog) -> None:
        """Queue what earlier runs left, at each output as its memory allows; then what is put in to be replayed."""
        known = set(paths := self.storage.files())
        async with asyncio.TaskGroup() as feeders:
            while True:
                if paths:
                    files = [BacklogFile(path) for path in paths]
                    self.feeding += len(outputs)
                    for output in outputs:
                        feeders.create_task(self._feed(output, files, backlog))
                await asyncio.sleep(REPLAY_SECONDS)
                present = self.storage.replays()
                known.intersection_update(present)
                paths = [path for path in present if path not in known]
                known.update(paths)

    async def _feed(self, output: OutputPort, files: list[BacklogFile], backlog: Backlog) -> None:
        try:
            await self._feed_files(output, files, backlog)
        finally:
            self.feeding -= 1

    async def _feed_files(
        self, output: OutputPort, files: list[BacklogFile], backlog: Backlog
    ) -> None:
        queue, source = output.queue, backlog.source.name
        for file in files:
            stored = file.open(backlog)
            if stored is None or output.name not in stored.names:
                continue
            size = stored.file.size
            while (held := queue.held(source)) and held + size > self._backlog_limit:
                await queue.wait_for_less()
            receipt = stored.receipt(output.name)
            receipt.hold()
            for chunk in self._chunks(stored.file, file.tag):
                queue.put(chunk, receipt, source, size, size)
            receipt.release()
            await asyncio.sleep(0)

    def _chunks(self, file: StoredChunk, tag: str) -> list[Chunk]:
        try:
            return file.chunks(tag)
        except (OSError, ValueError) as error:
            self._log.error(f"[storage] {file.path} can't be read any more: {error}")
            return []

    def hold_backlog(self, file: StoredChunk, targets: list[OutputPort], source: Source) -> Stored:
        """A file of the backlog becomes one of ours."""
        stored = Stored(
            file, [target.name for target in targets], lambda stored: self._end(stored, source)
        )
        self._hold(stored, source)
        return stored

    def tell_unrouted(self, file: StoredChunk, tag: str) -> None:
        self._log.warn(f"[storage] no output takes {file.path} (tag '{tag}'); it stays there")

    # The end

    def keep(self, outputs: list[OutputPort]) -> int:
        """Before the end: write what queues hold in memory alone, and say in files that some outputs had theirs.

        Gives how many events were written; what the disk won't take stays in the queues.
        """
        kept = 0
        refused: Counter[str] = Counter()
        homeless: dict[int, list[OutputPort]] = {}
        chunks: dict[int, Chunk] = {}
        for output in outputs:
            for chunk in output.queue.waiting_in_memory():
                if chunk.kind not in STORABLE:
                    continue
                chunks[id(chunk)] = chunk
                homeless.setdefault(id(chunk), []).append(output)
        for key, owners in homeless.items():
            chunk = chunks[key]
            names = tuple(owner.name for owner in owners)
            try:
                file = self.storage.write("kept_at_the_end", chunk, names)
                if self.storage.syncs is not None and (error := sync_files([file.path])):
                    raise error
            except (OSError, ValueError) as error:
                refused[(isinstance(error, OSError) and error.strerror) or str(error)] += (
                    chunk.count
                )
                continue
            for owner in owners:
                kept += owner.queue.hand_over(chunk)
        for why, count in refused.items():
            self._log.error(f"[storage] {count} events can't be kept in {self.storage.path}: {why}")
        for stored in self._stored:
            if stored.pending != stored.names:
                self._restrict(stored)
        return kept

    def _restrict(self, stored: Stored) -> None:
        try:
            stored.file.restrict(tuple(sorted(stored.pending)))
        except (OSError, ValueError) as error:
            self._log.warn(
                f"[storage] {stored.file.path}: outputs that had it may get it again: {error}"
            )


class BacklogFile:
    """One file that an earlier run left; opened when the first output comes to it."""

    __slots__ = ("_opened", "path", "stored", "tag")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tag = ""
        self.stored: Stored | None = None
        self._opened = False

    def open(self, backlog: Backlog) -> Stored | None:
        """None if nothing in it can be read, or no output takes it."""
        if not self._opened:
            self._opened = True
            self.stored = self._find(backlog)
        return self.stored

    def _find(self, backlog: Backlog) -> Stored | None:
        found = backlog.persistence.storage.open_file(self.path)
        if found is None:
            return None
        file, content = found
        self.tag = content.tag
        targets = backlog.targets_of(content)
        if not targets:
            backlog.persistence.tell_unrouted(file, content.tag)
            return None
        backlog.on_found(file.count)
        return backlog.persistence.hold_backlog(file, targets, backlog.source)
