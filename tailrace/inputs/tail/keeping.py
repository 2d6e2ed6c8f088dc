"""Committing positions: what is settled of each file goes to the database, several files at a time."""

from __future__ import annotations

import os
from functools import partial

from tailrace.inputs.tail.files import File
from tailrace.inputs.tail.marker import HEAD_BYTES, MARKER_BYTES, marker_of
from tailrace.inputs.tail.positions import NotWritten, Position, Positions, fingerprint
from tailrace.inputs.tail.source import GzipSource, Spot
from tailrace.model import Chunk
from tailrace.plugin.clock import Clock
from tailrace.plugin.log import Log
from tailrace.plugin.low_water import LowWater


class Keeper:
    """Keeps the positions of the files of one input."""

    def __init__(self, positions: Positions, clock: Clock, log: Log) -> None:
        self.positions = positions
        self._clock = clock
        self._log = log
        self._changed: dict[File, None] = {}
        self._failing = False

    @property
    def now(self) -> int:
        """Seconds since the epoch."""
        return self._clock.time_ns() // 1_000_000_000

    def follow(self, file: File, position: Position | None) -> None:
        """Begin to keep the position of a file that was opened; `position` is its row if it has one."""
        file.position = position or Position(0, file.path, file.identity[1])
        self.restart(file)

    def restart(self, file: File) -> None:
        """The file is read from its present place on, whatever was under way."""
        file.low = LowWater(file.spot, partial(self._note, file))
        if file.position is not None and not file.source.position:
            file.position.head, file.position.head_bytes = b"", 0
        self._note(file)

    def inherit(self, file: File, low: LowWater[Spot] | None) -> None:
        """The file goes on in another's place: what of that is under way counts for it."""
        if low is None:
            self.restart(file)
            return
        low.on_rise = partial(self._note, file)
        file.low = low
        self._note(file)

    def sign(self, file: File, chunk: Chunk, spot: Spot) -> None:
        """The file may go on at `spot` once this chunk, and all before it, are settled."""
        assert file.low is not None
        chunk.receipt = file.low.receipt(spot)

    def pass_over(self, file: File, spot: Spot) -> None:
        """Nothing came of the file up to `spot`."""
        assert file.low is not None
        file.low.pass_over(spot)

    def rename(self, file: File) -> None:
        """The file's name has changed."""
        if file.position is not None:
            file.position.name, file.position.rotated = file.path, True
            self._note(file)

    def _note(self, file: File) -> None:
        self._changed[file] = None

    def commit(self) -> None:
        """Write what has changed; what can't be written now is tried again the next time."""
        if not self._changed and not self.positions.doomed:
            return
        changed, self._changed = self._changed, {}
        gone = [file for file in changed if file.closed and not file.is_pending]
        kept = [file for file in changed if not file.closed]
        try:
            self.positions.write(
                [self._filled(file) for file in kept],
                [file.position for file in gone if file.position is not None],
                self.now,
            )
        except NotWritten as error:
            self._changed = {**changed, **self._changed}
            self._complain(error)
        else:
            self._failing = False

    def _complain(self, error: NotWritten) -> None:
        if not self._failing:
            self._failing = True
            self._log.error(
                f"db: positions can't be written now ({error}); they are kept in memory and tried again"
            )

    def _filled(self, file: File) -> Position:
        position, low = file.position, file.low
        assert position is not None
        assert low is not None
        offset, before = low.mark
        if isinstance(file.source, GzipSource):
            self._fill_compressed(position, file, file.source, offset)
        else:
            position.offset, position.marker_bytes = offset, len(before)
            position.marker = marker_of(before)
        if position.head_bytes < min(HEAD_BYTES, position.offset):
            position.head_bytes = min(HEAD_BYTES, position.offset)
            position.head = fingerprint(file.fd, position.head_bytes)
        return position

    def _fill_compressed(
        self, position: Position, file: File, source: GzipSource, offset: int
    ) -> None:
        """A compressed file is read from its head again unless all of it is settled."""
        position.stream_offset = offset
        finished = source.at_end and offset == source.position
        position.offset = source.raw_offset if finished else 0
        count = min(MARKER_BYTES, position.offset)
        position.marker_bytes = count
        position.marker = marker_of(os.pread(file.fd, count, position.offset - count))

    def release(self, file: File) -> None:
        """The file is about to be let go of but may come back: its row waits."""
        self._note(file)
        self.commit()
        if file.position is not None:
            self.positions.give_back(file.position)

    def let_go(self, file: File) -> None:
        """The file is closed for good; its row goes as soon as everything of it is settled."""
        self._note(file)

    def close(self) -> None:
        """Write what is settled, and close the database."""
        self.commit()
        self.positions.close()
