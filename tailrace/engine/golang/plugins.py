"""Instances of Go plugins: an output that hands chunks over as MessagePack, an input that asks for them each second."""

from __future__ import annotations

import asyncio
import ctypes
import signal
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tailrace.config import ConfigError
from tailrace.config.errors import Place, Problems
from tailrace.config.options import Options, option_table
from tailrace.config.source import Entry
from tailrace.config.types import text
from tailrace.engine.golang.abi import ERROR, OK, RETRY, Handle
from tailrace.engine.golang.calls import Calls
from tailrace.model import Chunk
from tailrace.plugin import Emit, Input, InputOptions, Output, OutputOptions, Reject, Retry
from tailrace.wire.msgpack import decode_events, encode_events

if TYPE_CHECKING:
    from tailrace.engine.golang.library import Library

INTERVAL_SEC = 1.0
SECONDS_TO_END = 5.0
OURS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def split(cls: type[Options], entries: Iterable[Entry]) -> tuple[list[Entry], dict[str, str]]:
    """The entries that the agent knows, and the text of all of them: a Go plugin doesn't say which options it has."""
    table = option_table(cls)
    given = [entry for entry in entries if entry.name != "name"]
    known = [entry for entry in given if table.find(entry.name) is not None]
    properties: dict[str, str] = {}
    for entry in given:
        if not isinstance(entry.value, dict | list):  # conditions and routes are the agent's
            properties.setdefault(entry.name, text(entry.value))
    return known, properties


class GoOutputOptions(OutputOptions):
    """Takes every key; `_properties` holds all as they were written."""

    _properties: dict[str, str]

    @classmethod
    def read(
        cls,
        entries: Iterable[Entry],
        problems: Problems,
        where: str = "",
        place: Place | None = None,
        skip: frozenset[str] = frozenset({"name"}),
    ) -> Self | None:
        known, properties = split(cls, entries)
        made = super().read(known, problems, where, place, skip)
        if made is not None:
            object.__setattr__(made, "_properties", properties)
        return made


class GoInputOptions(InputOptions):
    """Takes every key; `_properties` holds all as they were written."""

    _properties: dict[str, str]

    @classmethod
    def read(
        cls,
        entries: Iterable[Entry],
        problems: Problems,
        where: str = "",
        place: Place | None = None,
        skip: frozenset[str] = frozenset({"name"}),
    ) -> Self | None:
        known, properties = split(cls, entries)
        made = super().read(known, problems, where, place, skip)
        if made is not None:
            object.__setattr__(made, "_properties", properties)
        return made


class Instance:
    """What both kinds share: the library, the handle that Go got, and the threads for its calls."""

    def __init__(
        self, library: Library, kind: str, properties: dict[str, str], context: Any, threads: int
    ) -> None:
        self.library = library
        self.kind = kind
        self.log = context.log
        self.handle = Handle(library.name, properties, context.log)
        self.call = Calls(context.name, threads)
        self.is_open = False

    async def start(self) -> None:
        """FLBPluginInit. Signals that Go code may have taken there come back to the agent."""
        init = self.library.function("FLBPluginInit")
        handlers = {number: signal.getsignal(number) for number in OURS}
        try:
            code = await self.call(lambda: init(ctypes.byref(self.handle.struct)))
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in handlers.items():
                    if handler is not None:
                        signal.signal(number, handler)
        if code <= 0:
            raise ConfigError(
                f"the Go plugin '{self.library.name}' did not initialize (it returned {code}).",
                "Its own messages say why.",
            )
        self.is_open = True
        pre_run = self.library.find(f"FLBPlugin{self.kind}PreRun")
        if pre_run is not None:
            await self.call(lambda: pre_run(0))

    async def stop(self) -> None:
        """FLBPluginExitCtx or FLBPluginExit, after the calls under way; a call that doesn't end is left behind."""
        if not self.is_open:
            return
        self.is_open = False
        with_context = self.library.find("FLBPluginExitCtx", ctypes.c_void_p)
        plain = self.library.find("FLBPluginExit")
        before = self.library.find(f"FLBPlugin{self.kind}PreExit")

        def leave() -> None:
            if before is not None:
                before(0)
            if with_context is not None:
                with_context(self.handle.context.remote)
            elif plain is not None:
                plain()

        try:
            async with asyncio.timeout(SECONDS_TO_END):
                await self.call(leave)
        except TimeoutError:
            self.log.error("the Go plugin is still busy; the agent ends without its FLBPluginExit")
        self.call.close()


class GoOutput(Output[GoOutputOptions]):
    """A destination written in Go."""

    library: ClassVar[Library]

    def __init__(self, options: GoOutputOptions) -> None:
        super().__init__(options)
        workers = max(1, options.workers)
        self.instance = Instance(self.library, "Output", options._properties, self.context, workers)
        self.flush_ctx = self.library.find(
            "FLBPluginFlushCtx", ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
        )
        self.flush_plain = self.library.find(
            "FLBPluginFlush", ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
        )
        if self.flush_ctx is None and self.flush_plain is None:
            raise ConfigError(
                f"the Go plugin '{self.library.name}' exports neither FLBPluginFlush nor FLBPluginFlushCtx."
            )

    async def start(self) -> None:
        await self.instance.start()

    async def stop(self) -> None:
        await self.instance.stop()

    async def flush(self, chunk: Chunk) -> None:
        data = encode_events(chunk.times, chunk.metadata, chunk.bodies, chunk.groups)
        tag = chunk.tag.encode(errors="surrogateescape")
        code = await self.instance.call(lambda: self.hand_over(data, tag))
        if code == RETRY:
            raise Retry(f"{self.library.name} asks to try again (FLB_RETRY)")
        if code != OK:
            what = "FLB_ERROR" if code == ERROR else f"code {code}"
            raise Reject(f"{self.library.name} refused the chunk ({what})")

    def hand_over(self, data: bytes, tag: bytes) -> int:
        if self.flush_ctx is not None:
            code = self.flush_ctx(self.instance.handle.context.remote, data, len(data), tag)
        else:
            assert self.flush_plain is not None
            code = self.flush_plain(data, len(data), tag)
        return int(code)


class GoInput(Input[GoInputOptions]):
    """A source written in Go, asked once a second."""

    library: ClassVar[Library]

    def __init__(self, options: GoInputOptions) -> None:
        super().__init__(options)
        self.instance = Instance(self.library, "Input", options._properties, self.context, 1)
        pointer, size = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t)
        find = self.library.find
        self.collect_ctx = find("FLBPluginInputCallbackCtx", ctypes.c_void_p, pointer, size)
        self.collect_plain = find("FLBPluginInputCallback", pointer, size)
        self.clean_ctx = find("FLBPluginInputCleanupCallbackCtx", ctypes.c_void_p, ctypes.c_void_p)
        self.clean_plain = find("FLBPluginInputCleanupCallback", ctypes.c_void_p)
        if self.collect_ctx is None and self.collect_plain is None:
            raise ConfigError(
                f"the Go plugin '{self.library.name}' exports neither FLBPluginInputCallback nor FLBPluginInputCallbackCtx."
            )

    async def start(self) -> None:
        await self.instance.start()

    async def stop(self) -> None:
        await self.instance.stop()

    def pause(self) -> None:
        self._tell("FLBPluginInputPause")

    def resume(self) -> None:
        self._tell("FLBPluginInputResume")

    def _tell(self, name: str) -> None:
        function = self.library.find(name)
        if function is not None:
            self.context.spawn(self.instance.call(function))

    async def run(self, emit: Emit) -> None:
        while True:
            await self.context.clock.sleep(INTERVAL_SEC)
            address, data = await self.instance.call(self.collect)
            chunk = self.chunk_of(data)
            if chunk is not None:
                await emit(chunk)
            if address is not None:
                await self.instance.call(lambda address=address: self.clean_up(address))  # type: ignore[misc]  # bound now

    def collect(self) -> tuple[int | None, bytes]:
        """The address of what the plugin gave, to be cleaned up, and a copy of it."""
        address, size = ctypes.c_void_p(), ctypes.c_size_t()
        places = ctypes.byref(address), ctypes.byref(size)
        if self.collect_ctx is not None:
            code = self.collect_ctx(self.instance.handle.context.remote, *places)
        else:
            assert self.collect_plain is not None
            code = self.collect_plain(*places)
        if code == -1 or not address.value or not size.value:
            return address.value, b""
        return address.value, ctypes.string_at(address.value, size.value)

    def chunk_of(self, data: bytes) -> Chunk | None:
        """The events; what is damaged is an error, and the events before it are taken."""
        if not data:
            return None
        events = decode_events(data, lenient=True)
        if not events.is_whole:
            self.context.log.error(
                f"{self.library.name} gave data that is no MessagePack event; "
                f"{len(events.times)} events before it are taken"
            )
        if not events.times:
            return None
        return Chunk(
            self.tag, events.times, events.bodies, events.metadata, len(data), events.groups
        )

    def clean_up(self, address: int) -> None:
        if self.clean_ctx is not None:
            self.clean_ctx(self.instance.handle.context.remote, address)
        elif self.clean_plain is not None:
            self.clean_plain(address)
        else:
            self.library.free(address)
