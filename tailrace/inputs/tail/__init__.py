"""Follow text files: every line that is written to them becomes an event.

Files are named by patterns, found at the start and later, and followed through rotation by renaming, by copying and
truncating, and through symbolic links. A file is known by its inode and its first bytes, not by its name, so one
that is renamed is not read twice, not even when the pattern takes both names.

With `db`, reading goes on after a restart where it stopped. A position is committed only when every matching output has
delivered what was read up to there, or it lies in filesystem storage: a crash repeats some lines and loses none.
The database is Fluent Bit's; either agent carries on from the other's.

A line longer than `buffer_max_size` is cut there and marked with `line_truncated` in its metadata; the file goes on.

Example:
    name             tail
    path             /var/log/app/*.log
    exclude_path     *.gz
    db               /var/lib/tailrace/app.db
    parser           json
    path_key         file
"""

from __future__ import annotations

import asyncio
import os
import resource
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailrace.config import CommaList, ConfigError, Seconds, Size, option
from tailrace.config.types import Reader, one_of, text
from tailrace.inputs.tail import encodings
from tailrace.inputs.tail.encodings import Encoding
from tailrace.inputs.tail.files import CUT, LINES, LONG, File, Limits, Piece
from tailrace.inputs.tail.following import SLICES, Follower, Rules, raise_open_files_limit
from tailrace.inputs.tail.joining import Joiner, Keys
from tailrace.inputs.tail.paths import Patterns
from tailrace.inputs.tail.shaping import (
    Shape,
    chunk_of_events,
    cut_line,
    joined_lines,
    parsed_lines,
    raw_lines,
)
from tailrace.inputs.tail.source import Rewritten, Spot
from tailrace.inputs.tail.tagging import tagger
from tailrace.inputs.tail.watching import Inotify, Polling, Watcher
from tailrace.model import Chunk
from tailrace.plugin import Emit, Input, InputOptions, Parser, input_plugin

if TYPE_CHECKING:
    from tailrace.inputs.tail.keeping import Keeper
    from tailrace.inputs.tail.lag import Lag

BLOCK_BYTES = 256 * 1024
"""How much is read at once of lines that are parsed or joined, if `buffer_chunk_size` is left at its default."""
RAW_BLOCK_BYTES = 512 * 1024
"""The same of lines that are handed on as they are: no Python object is made of one, so more of them fit the cache."""
MOST_BLOCK_BYTES = 1 << 20
DEFAULT_CHUNK_SIZE = 32768
ADVISE_BYTES = 4 << 20
"""After how much read data the kernel is told that it may forget it."""
LEAST_BUFFER = 3
GATHER_SECONDS = 0.05
"""After a round of reading: what is written meanwhile is read together."""
COMMIT_SECONDS = 0.2
COPIES_SECONDS = 0.5
POLL_SECONDS = 0.25
POLL_NAMES_SECONDS = 1.0
HOLD_CHECK_SECONDS = 0.25
NS = 1_000_000_000


class TailOptions(InputOptions):
    """What `tail` takes."""

    path: CommaList
    """Patterns of the files to follow, as `/var/log/*.log`; several are separated by commas."""

    exclude_path: CommaList = option(list)
    """Patterns of paths to leave out, separated by commas; here `*` also matches slashes."""

    key: str = "log"
    """The key that holds a line which no parser took."""

    read_from_head: bool = False
    """Read files that are there at the start, and have no position in `db`, from their head instead of from their end."""

    read_newly_discovered_files_from_head: bool = True
    """Read files found later from their head. Off: from their end, and they are found by `refresh_interval` alone."""

    refresh_interval: Seconds = 60.0
    """How often patterns are looked up anew, in seconds. New files in known directories are noticed at once where inotify works."""

    watcher_interval: Seconds = 2.0
    """How often it is checked whether symbolic links lead to another file, in seconds."""

    progress_check_interval: Seconds = 2.0
    """How often each file is looked at for changes that inotify did not report, in seconds."""

    progress_check_interval_nsec: int = 0
    """Nanoseconds to add to `progress_check_interval`."""

    rotate_wait: Seconds = 5.0
    """How long a renamed or deleted file is still followed after the last line was read of it, in seconds."""

    docker_mode: bool = False
    """Join lines that Docker's JSON log driver split, before the parser sees them."""

    docker_mode_flush: int = 4
    """Seconds after which a split line is given out though its end has not come."""

    docker_mode_parser: str = ""
    """A parser whose match begins a new event in `docker_mode`; lines it does not take go on with the last one."""

    path_key: str = ""
    """Add the path of the file under this key."""

    offset_key: str = ""
    """Add the offset at which the line begins (bytes) under this key."""

    ignore_older: Seconds = 0.0
    """Leave out files that were not written to for this long, and with `multiline` or `docker_mode` also older events; 0: never."""

    ignore_active_older_files: bool = False
    """Let go of files that are followed when they become older than `ignore_older`."""

    buffer_chunk_size: Size = DEFAULT_CHUNK_SIZE
    """How much of a file is read at once (at most 1M); left at its default, what reads best is chosen."""

    buffer_max_size: Size = 32768
    """A line with its end must be shorter than this; see `skip_long_lines` and `truncate_long_lines`."""

    static_batch_size: Size = 50_000_000
    """How much of a file that is read up is read before others have their turn (never more than one block)."""

    event_batch_size: Size = 50_000_000
    """The same for files whose end was reached once."""

    skip_long_lines: bool = False
    """Leave out lines that are too long, counted, instead of cutting them."""

    truncate_long_lines: bool = False
    """Cut lines that are too long, even if `skip_long_lines` is on; without either they are cut too."""

    exit_on_eof: bool = False
    """End the agent when the ends of all files were reached."""

    skip_empty_lines: bool = False
    """Leave out empty lines."""

    file_cache_advise: bool = True
    """Tell the kernel not to keep what was read in its cache."""

    inotify_watcher: bool = True
    """Off: look at the files four times a second instead of having changes reported (network file systems)."""

    parser: str = ""
    """The parser for each line; a line it does not take is kept whole under `key`."""

    tag_regex: str = ""
    """A regular expression for the path, whose named groups fill `<name>` in the tag."""

    db: str = ""
    """A SQLite file that keeps positions over restarts; without it none are kept."""

    db_sync: str = option(
        "normal",
        name="db.sync",
        reader=one_of("extra", "full", "normal", "off", otherwise="normal"),
    )
    """How careful SQLite is with the disk: extra, full, normal or off."""

    db_locking: bool = option(False, name="db.locking")
    """Keep the database locked for this agent alone."""

    db_journal_mode: str = option(
        "WAL",
        name="db.journal_mode",
        reader=one_of("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL", "OFF"),
    )
    """SQLite's journal; WAL does not work on network file systems."""

    db_compare_filename: bool = option(False, name="db.compare_filename")
    """Take up a position only if the file has the same base name, not just the same inode."""

    multiline: bool = False
    """Join lines by `parser_firstline` (the older way; see `multiline.parser`). `parser` is not used then."""

    multiline_flush: Seconds = 4.0
    """Seconds without a further line after which a joined event is given out."""

    parser_firstline: str = ""
    """The parser that takes the first line of an event."""

    parser_n: dict[str, str] = option(prefix="parser_", reader=Reader("text", text))
    """More parsers for the other lines, as `parser_1`; the keys they find are added to the event."""

    multiline_parser: list[CommaList] = option(name="multiline.parser", many=True)
    """Multiline parsers that join lines, separated by commas; the first that takes a line is used."""

    unicode_encoding: str = option(
        "", name="unicode.encoding", reader=one_of(*encodings.UNICODE, "")
    )
    """The files are UTF-16: UTF-16LE, UTF-16BE, or auto to look at their first bytes."""

    generic_encoding: str = option("", name="generic.encoding")
    """The files' encoding: ShiftJIS, GB18030, GBK, UHC, Big5, Win866, Win874, Win1250 to Win1256, or an alias."""


@input_plugin("tail")
class Tail(Input[TailOptions]):
    """Reads blocks of whole lines from files in turn, one chunk a block."""

    divides = True

    def __init__(self, options: TailOptions) -> None:
        super().__init__(options)
        check(options)
        if options.db and not (folder := Path(options.db).parent).is_dir():
            # Not an error: the storage, opened before the inputs, may make it.
            self.context.warn_of(
                f"db: the folder '{folder}' is not there.", "Make it before the agent starts."
            )
        self._clock = self.context.clock
        self._log = self.context.log
        self._keys = Keys(options.key, options.path_key, options.offset_key)
        self._parser = self._find_parser(options.parser)
        self._multiline_truncated = self.context.metrics.counter(
            "fluentbit_input_multiline_truncated_total",
            "Total number of truncated occurences for multilines",
        )
        make_joiner = self._joiner_maker()
        joins = make_joiner is not None
        self._shape: Shape = self._make_shape(joins)
        block = BLOCK_BYTES if joins or self._parser is not None else RAW_BLOCK_BYTES
        self._static_limits = limits(options, options.static_batch_size, block)
        self._event_limits = limits(options, options.event_batch_size, block)
        self._rules = Rules(
            from_head=options.read_from_head,
            new_from_head=options.read_newly_discovered_files_from_head,
            rotate_wait=options.rotate_wait,
            ignore_older=options.ignore_older,
            ignore_active_older=options.ignore_active_older_files and options.ignore_older > 0,
            tag=tagger(self.tag, options.tag_regex),
            encoding=self._encoding_finder(),
            joiner=make_joiner,
            takes=self.context.share.takes_file,
        )
        counter = self.context.metrics.counter
        self._truncated = counter(
            "fluentbit_input_long_line_truncated_total", "Total number of truncated long lines"
        )
        self._skipped = counter(
            "fluentbit_input_long_line_skipped_total", "Total number of skipped long lines"
        )
        self._keeper: Keeper | None = None
        self._follower: Follower | None = None
        self._lag: Lag | None = None
        self._places: dict[Any, int] = {}
        """Where an input before this one has stopped, by file."""
        self._holding: dict[File, None] = {}
        self._timers: list[Any] = []

    # What the options ask for

    def _find_parser(self, name: str) -> Parser[Any] | None:
        if not name:
            return None
        if self.options.multiline or self.options.multiline_parser:
            self._log.warn(f"lines are joined by multiline parsers: parser '{name}' is not used")
            return None
        try:
            return self.context.parser(name)
        except ConfigError as error:
            # Compat: it goes on without (conformance: inputs/tail_parser_unknown).
            self.context.warn_of(f"parser: {error.what} Lines stay unparsed.", error.mend)
            return None

    def _joiner_maker(self) -> Callable[[str], Joiner] | None:
        options = self.options
        if options.multiline_parser:
            return self._stream_joiner()
        if options.docker_mode:
            return self._docker_joiner()
        return self._first_line_joiner() if options.multiline else None

    def _stream_joiner(self) -> Callable[[str], Joiner]:
        # Here, since most inputs need none of it.
        from tailrace.inputs.tail.streams import StreamJoiner, StreamRules
        from tailrace.plugin.multiline import flush_ms_of

        names = [name for names in self.options.multiline_parser for name in names]
        parsers = [self.context.multiline_parser(name) for name in names]
        for parser in parsers:
            if parser.warning:
                self._log.warn(parser.warning)
        truncated = self._multiline_truncated

        def on_truncated() -> None:
            truncated.inc()
            self._log.warn("a joined event was cut at multiline_buffer_limit")

        rules = StreamRules(
            parsers,
            self._keys,
            flush_ms_of(parsers) * 1_000_000,
            self.context.service("multiline_buffer_limit"),
            on_truncated,
            self._on_slow_rules(),
        )
        return lambda path: StreamJoiner(rules, path)

    def _on_slow_rules(self) -> Callable[[str], None]:
        told = False

        def tell(names: str) -> None:
            nonlocal told
            if not told:
                told = True
                self._log.error(
                    f"multiline.parser {names}: a rule takes too long for a line, which stays alone (told once)"
                )

        return tell

    def _docker_joiner(self) -> Callable[[str], Joiner]:
        from tailrace.inputs.tail.docker_mode import DockerJoiner, DockerRules

        options = self.options
        first = options.docker_mode_parser
        rules = DockerRules(
            first=self.context.parser(first) if first else None,
            parser=self._parser,
            keys=self._keys,
            flush_ns=max(1, options.docker_mode_flush) * NS,
            ignore_older_ns=int(options.ignore_older * NS),
        )
        return lambda path: DockerJoiner(rules, path)

    def _first_line_joiner(self) -> Callable[[str], Joiner]:
        from tailrace.inputs.tail.first_line import FirstLineJoiner, FirstLineRules

        options = self.options
        if not options.parser_firstline:
            raise ConfigError("multiline: parser_firstline is missing.", "Name a parser.")
        rules = FirstLineRules(
            first=self.context.parser(options.parser_firstline),
            more=[self.context.parser(name) for name in options.parser_n.values()],
            keys=self._keys,
            flush_ns=int(max(1.0, options.multiline_flush) * NS),
            ignore_older_ns=int(options.ignore_older * NS),
        )
        return lambda path: FirstLineJoiner(rules, path)

    def _make_shape(self, joins: bool) -> Shape:
        skip_empty = self.options.skip_empty_lines
        if joins:
            return joined_lines(skip_empty)
        if self._parser is not None:
            return parsed_lines(self._parser, self._keys, skip_empty)
        return raw_lines(self._keys, skip_empty)

    def _encoding_finder(self) -> Callable[[int], Encoding]:
        options = self.options
        name = options.unicode_encoding
        on_bad = self._on_bad_text()
        if name:
            codec = encodings.UNICODE[name]
            return lambda fd: encodings.unicode_encoding(codec, fd, on_bad)
        encoding = Encoding()
        if options.generic_encoding:
            encoding = encodings.Generic(
                encodings.GENERIC[options.generic_encoding.lower()], on_bad
            )
        return lambda fd: encoding

    def _on_bad_text(self) -> Callable[[str], None]:
        told = False

        def tell(what: str) -> None:
            nonlocal told
            if not told:
                told = True
                self._log.error(f"a line is {what} (told once)")

        return tell

    # Life

    async def start(self) -> None:
        options = self.options
        raise_open_files_limit(resource)
        if options.db:
            self._keeper = self._open_database()
        patterns = Patterns(options.path, options.exclude_path)
        follower = self._follower = Follower(patterns, self._rules, self._keeper, self.context)
        follower.go_on_at(self._places)
        follower.watcher = self._make_watcher(follower)
        self._start_timers(follower, isinstance(follower.watcher, Inotify))
        follower.start()
        if not follower.files and not list(patterns.scan()):
            self._log.info(
                f"no file matches {', '.join(options.path)} yet: the input waits for one"
            )

    def _open_database(self) -> Keeper:
        # Here, since most inputs need none of it.
        from tailrace.inputs.tail.keeping import Keeper
        from tailrace.inputs.tail.positions import Database, Positions

        options = self.options
        database = Database.open(
            options.db, options.db_sync, options.db_journal_mode, options.db_locking
        )
        positions = Positions(database, options.db_compare_filename, self.context.share.takes_file)
        return Keeper(positions, self._clock, self._log)

    def _make_watcher(self, follower: Follower) -> Watcher:
        if not self.options.inotify_watcher:
            return Polling()
        try:
            return Inotify(follower, self._log.warn)
        except OSError as error:
            self._log.warn(f"{error}; files are looked at at intervals instead")
            return Polling()

    def _start_timers(self, follower: Follower, notified: bool) -> None:
        options, every = self.options, self.context.every
        progress = options.progress_check_interval + options.progress_check_interval_nsec / NS
        self._timers = [
            every(options.refresh_interval, follower.scan),
            every(max(0.1, options.watcher_interval), follower.look_at_links),
            every(min(1.0, options.rotate_wait / 2), follower.look_at_leaving),
            every(COPIES_SECONDS, follower.look_at_copies),
        ]
        if notified:
            self._timers.append(every(max(0.1, progress) / SLICES, follower.look_at_some))
        else:
            self._timers.append(every(POLL_SECONDS, follower.look_at_all))
            self._timers.append(every(POLL_NAMES_SECONDS, follower.look_at_names))
        if self._keeper is not None:
            self._timers.append(every(COMMIT_SECONDS, self._keeper.commit))
        if self._rules.joiner is not None:
            self._timers.append(every(HOLD_CHECK_SECONDS, self._flush_due))

    async def stop(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def hand_over(self) -> dict[Any, int] | None:
        """The places in the files; with `db` they are there."""
        if self._follower is None or self.options.db:
            return None
        return self._follower.places()

    def take_over(self, state: dict[Any, int]) -> None:
        self._places = state

    def measure(self) -> None:
        """How far delivery is behind the files."""
        if self._follower is not None:
            if self._lag is None:
                from tailrace.inputs.tail.lag import Lag  # only where somebody looks

                self._lag = Lag(self.context)
            self._lag.measure(self._follower.files.values())

    can_wait = True

    @property
    def replays(self) -> bool:
        return bool(self.options.db)

    async def run(self, emit: Emit) -> None:
        follower = self._follower
        assert follower is not None
        if self.options.exit_on_eof and not follower.files and self.context.share.count > 1:
            self.context.stop_agent()  # the files are other engines'
            return
        try:
            while True:
                await follower.wake.wait()
                follower.wake.clear()
                await self._work_off(follower, emit)
                if self.options.exit_on_eof and follower.files:
                    await self._end(follower, emit)
                    return
                await self._clock.sleep(GATHER_SECONDS)
        except asyncio.CancelledError:
            self._give_out_held()
            raise

    async def _end(self, follower: Follower, emit: Emit) -> None:
        """All ends were reached: give out what is held, and end the agent."""
        for file in list(follower.files.values()):
            self._log.info(f"inode={file.identity[1]} file={file.path} ended, stop")
            await self._emit_held(file, emit)
        self.context.stop_agent()

    def _give_out_held(self) -> None:
        """The agent stops: without a database nobody would ever give out what is held."""
        if self._keeper is not None:
            return
        for file in list(self._holding):
            chunk = self._flushed(file)
            if chunk is not None:
                chunk.stream = file.identity
                self.context.emit(chunk)

    # Reading

    async def _work_off(self, follower: Follower, emit: Emit) -> None:
        """Read one block of each file in turn until all ends were reached."""
        ready = follower.ready
        while ready:
            file = ready.popleft()
            file.ready = False
            if not file.closed and await self._read_once(file, follower, emit):
                follower.enqueue(file)

    async def _read_once(self, file: File, follower: Follower, emit: Emit) -> bool:
        """Read the next piece of a file; False at its end."""
        try:
            piece = file.take(self._static_limits if file.static else self._event_limits)
        except Rewritten:
            await self._restart(file, follower, emit)
            return True
        except (OSError, zlib.error) as error:
            self._tell_once(file, "read", f"cannot read {file.path}: {error}; it is tried again")
            piece = None
        if piece is None:
            await self._at_end(file, follower, emit)
            return False
        if file.leaving:
            file.active_at, file.closing = self._clock.monotonic(), False
        await self._emit_piece(file, piece, emit)
        return True

    async def _restart(self, file: File, follower: Follower, emit: Emit) -> None:
        """The file was truncated or written anew: it is read from its head."""
        await self._emit_held(file, emit)
        self._log.info(
            f"inode={file.identity[1]} file truncated {file.path}: reading it from its head,"
            f" it was read up to {file.source.position}"
        )
        if file.behind:
            self._log.error(
                f"{file.path} was truncated before all of it was read: lines after offset"
                f" {file.source.position} are lost, unless a copy of it is followed"
            )
        follower.succeed(file)
        file.restart()
        if self._keeper is not None:
            self._keeper.restart(file)

    async def _at_end(self, file: File, follower: Follower, emit: Emit) -> None:
        file.static = False
        if file.source.position - file.advised >= BLOCK_BYTES:
            self._advise(file)
        if file.flush_now or file.closing:
            await self._finish(file, follower, emit)

    async def _emit_piece(self, file: File, piece: Piece, emit: Emit) -> None:
        if piece.kind == LINES:
            chunk = self._shape(file, piece, self._clock.time_ns())
            await self._emit(file, chunk, file.spot_after(piece), emit)
            self._note_held(file)
            if file.source.position - file.advised >= ADVISE_BYTES:
                self._advise(file)
            return
        if piece.kind == CUT:
            await self._emit_cut(file, piece, emit)
        elif piece.kind == LONG:
            self._count_skipped(file)
        spot = file.spot_after(piece)
        if self._keeper is not None:
            self._keeper.pass_over(file, spot)

    async def _emit(self, file: File, chunk: Chunk | None, spot: Spot, emit: Emit) -> None:
        """Emit what was read of a file; it may go on at `spot` when this is settled."""
        if self._keeper is not None:
            if chunk is None:
                self._keeper.pass_over(file, spot)
            else:
                self._keeper.sign(file, chunk, spot)
        if chunk is not None:
            chunk.stream = file.identity
            await emit(chunk)

    async def _emit_cut(self, file: File, piece: Piece, emit: Emit) -> None:
        """The start of a line that is too long, after what its file's joiner holds."""
        await self._emit_held(file, emit)
        chunk, is_cut = cut_line(file, piece, self._keys, self._clock.time_ns())
        if is_cut:
            self._truncated.inc()
            self._tell_once(file, "long", f"{file.path} has lines too long; they are cut")
        await self._emit(file, chunk, piece.spot, emit)

    def _count_skipped(self, file: File) -> None:
        self._skipped.inc()
        self.context.drop(1, "line too long")
        self._tell_once(file, "long", f"{file.path} has lines too long; they are skipped")

    def _tell_once(self, file: File, what: str, message: str) -> None:
        """An error of one file is told once, not at each of its lines."""
        if what not in file.told:
            file.told |= {what}
            self._log.error(message)

    def _advise(self, file: File) -> None:
        """What was read of a file is not needed in the kernel's cache."""
        begin, file.advised = file.advised, file.source.raw_offset
        if self.options.file_cache_advise and file.advised > begin:
            os.posix_fadvise(file.fd, begin, file.advised - begin, os.POSIX_FADV_DONTNEED)

    # Lines that are held back

    def _note_held(self, file: File) -> None:
        if file.joiner is None:
            return
        file.flush_now = False
        if file.joiner.held_from is None:
            self._holding.pop(file, None)
        else:
            self._holding[file] = None

    def _flush_due(self) -> None:
        """Have files looked at whose joined events have waited long enough."""
        now_ns = self._clock.time_ns()
        for file in self._holding:
            if file.joiner is not None and file.joiner.due_ns <= now_ns and self._follower:
                file.flush_now = True
                self._follower.enqueue(file)

    async def _finish(self, file: File, follower: Follower, emit: Emit) -> None:
        """At the end of a file: give out what is held; if it is on its way out, read its rest and let go."""
        if file.closing and (rest := file.take_rest()) is not None:
            await self._emit_piece(file, rest, emit)
        await self._emit_held(file, emit, all_of_it=file.closing)
        if file.closing:
            self._advise(file)
            follower.let_go(file)

    async def _emit_held(self, file: File, emit: Emit, all_of_it: bool = True) -> None:
        chunk = self._flushed(file, all_of_it)
        if chunk is not None:
            await self._emit(file, chunk, file.held if file.is_holding else file.spot, emit)

    def _flushed(self, file: File, all_of_it: bool = True) -> Chunk | None:
        """What the joiner of a file holds, or of it what has waited long enough."""
        file.flush_now = False
        joiner = file.joiner
        if joiner is None or joiner.held_from is None:
            return None
        nbytes = max(1, file.spot[0] - joiner.held_from)
        now_ns = self._clock.time_ns()
        events = joiner.flush(now_ns) if all_of_it else joiner.flush_due(now_ns)
        self._note_held(file)
        return chunk_of_events(file, events, nbytes)


def check(options: TailOptions) -> None:
    """What is wrong with options as a whole."""
    if not options.path:
        raise ConfigError("path names no file.", "Give a pattern, as: path /var/log/*.log.")
    if options.refresh_interval <= 0:
        raise ConfigError("refresh_interval is 0.", "Give seconds, as: 10.")
    if options.rotate_wait <= 0:
        raise ConfigError("rotate_wait is 0.", "Give seconds, as: 5.")
    if options.buffer_chunk_size > options.buffer_max_size:
        raise ConfigError(
            f"buffer_max_size ({options.buffer_max_size}) is less than buffer_chunk_size"
            f" ({options.buffer_chunk_size}).",
            "Raise the one or lower the other.",
        )
    if options.buffer_max_size < LEAST_BUFFER:
        raise ConfigError(f"buffer_max_size is {options.buffer_max_size}.", "Give 32k or more.")
    if options.unicode_encoding and options.generic_encoding:
        raise ConfigError("unicode.encoding and generic.encoding are both given.", "Keep one.")
    if options.generic_encoding and options.generic_encoding.lower() not in encodings.GENERIC:
        raise ConfigError(
            f"generic.encoding: '{options.generic_encoding}' is not known.",
            "Give ShiftJIS, GB18030, GBK, UHC, Big5, Win866, Win874 or Win1250 to Win1256.",
        )
    if options.multiline and options.docker_mode:
        raise ConfigError("multiline and docker_mode are both on.", "Keep one.")


def limits(options: TailOptions, batch: int, block: int) -> Limits:
    """How much is read at once: `block` unless an option says otherwise, at most `batch`."""
    chunk = options.buffer_chunk_size
    if chunk != DEFAULT_CHUNK_SIZE:
        block = min(chunk, MOST_BLOCK_BYTES)
    if options.mem_buf_limit:
        block = min(block, max(options.mem_buf_limit, DEFAULT_CHUNK_SIZE))
    if batch > 0:
        block = min(block, batch)
    # Compat: a line and its end take at most all but one byte of the buffer (conformance: inputs/tail_skip_long_lines).
    longest = options.buffer_max_size - 1
    if options.unicode_encoding:
        block, longest = block + block % 2, longest + longest % 2
    skip_long = options.skip_long_lines and not options.truncate_long_lines
    return Limits(max(block, 2), longest, skip_long)
