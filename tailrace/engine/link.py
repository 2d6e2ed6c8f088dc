"""The line between a supervisor and one of its engines: questions and answers over a Unix socket pair.

Each message is four bytes of length (big endian) and MessagePack: `{"id": 1, "ask": "metrics", ...}` from the supervisor, and
`{"id": 1, "answer": ...}` or `{"id": 1, "error": text}` back. Both ends are the same program, so what comes is trusted.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgpack

from tailrace.engine.control import LocalControl, TraceRequest
from tailrace.model.metrics import MetricSet
from tailrace.plugin.share import WHOLE, Share
from tailrace.wire import cmetrics

if TYPE_CHECKING:
    from tailrace.engine.agent import Agent
    from tailrace.engine.service import ServiceOptions

ENVIRONMENT = "TAILRACE_ENGINE"
"""`INDEX/COUNT/DESCRIPTOR`: set for engines of a supervisor."""
LENGTH = struct.Struct(">I")
MOST_BYTES = 256 << 20
ANSWER_SECONDS = 5.0


def engine_of_environment() -> tuple[Share, int | None]:
    """This engine's share, and the descriptor of its line to the supervisor; None if there is none."""
    text = os.environ.get(ENVIRONMENT, "")
    if not text:
        return WHOLE, None
    index, count, descriptor = (int(part) for part in text.split("/"))
    return Share(index, count), descriptor


async def read_message(reader: asyncio.StreamReader) -> Any:
    """One message; `EOFError` when the other side has gone."""
    try:
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        if length > MOST_BYTES:
            raise EOFError(f"a message of {length} bytes")
        return msgpack.unpackb(await reader.readexactly(length), strict_map_key=False)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise EOFError("the other side has gone") from error


def write_message(writer: asyncio.StreamWriter, message: Any) -> None:
    data: bytes = msgpack.packb(message, unicode_errors="surrogateescape", default=str)
    writer.write(LENGTH.pack(len(data)) + data)


class EngineLink:
    """An engine's end: a companion of its agent, which ends the agent when the supervisor has gone."""

    def __init__(self, agent: Agent, descriptor: int) -> None:
        self._agent = agent
        self._control = LocalControl(agent)
        self._descriptor = descriptor
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._answers: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next = 0

    async def apply(self, service: ServiceOptions) -> None:
        if self._task is not None:
            return
        made = socket.socket(fileno=self._descriptor)
        made.setblocking(False)
        reader, self._writer = await asyncio.open_unix_connection(sock=made)
        self._task = asyncio.get_running_loop().create_task(self._serve(reader), name="supervisor")
        self._agent.metrics_of_all = self.metrics_of_all

    async def metrics_of_all(self) -> MetricSet:
        """Those of all engines, from the supervisor; `LinkError` if it has none within 5 s."""
        assert self._writer is not None
        self._next += 1
        number = self._next
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        write_message(self._writer, {"id": number, "ask": "metrics_of_all"})
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                packed = await waiting
        except TimeoutError as error:
            raise LinkError(f"no answer within {ANSWER_SECONDS:g} s") from error
        finally:
            self._waiting.pop(number, None)
        found = cmetrics.decode(packed)
        return found[0] if found else MetricSet()

    async def close(self) -> None:
        await self._control.close()
        for task in (*self._answers, *([self._task] if self._task else [])):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        while True:
            try:
                message = await read_message(reader)
            except EOFError:
                self._agent.log.error("[engine] the supervisor has gone; this engine ends")
                self._agent.stop()
                return
            if "ask" not in message:
                waiting = self._waiting.pop(message["id"], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message["answer"])
                continue
            task = asyncio.get_running_loop().create_task(self._answer(message))
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

    async def _answer(self, message: dict[str, Any]) -> None:
        assert self._writer is not None
        try:
            answer: dict[str, Any] = {"answer": await self._do(message)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        write_message(self._writer, {"id": message["id"], **answer})

    async def _do(self, message: dict[str, Any]) -> Any:
        control, ask = self._control, message["ask"]
        if ask == "look":
            return [cmetrics.encode(await control.metrics()), control.topology(), control.reloads]
        if ask == "errors":
            return list(await control.errors())
        if ask == "reload":
            result = await control.reload()
            return [result.status, result.error]
        if ask == "start_trace":
            return await control.start_trace(TraceRequest(**message["request"]))
        if ask == "stop_trace":
            return await control.stop_trace(message["name"])
        if ask == "read_tap":
            return await control.read_tap(message["name"])
        raise ValueError(f"there is no question '{ask}'")


class SupervisorLink:
    """A supervisor's end of the line to one engine."""

    def __init__(
        self, end: socket.socket, metrics: Callable[[], Awaitable[MetricSet]] | None = None
    ) -> None:
        self._socket = end
        self._metrics = metrics
        """Gives the metrics of all engines, for which one may ask."""
        self._answers: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next = 0
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._socket.setblocking(False)
        reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)
        self._task = asyncio.get_running_loop().create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                message = await read_message(reader)
                if "ask" in message:
                    task = asyncio.get_running_loop().create_task(self._answer(message["id"]))
                    self._answers.add(task)
                    task.add_done_callback(self._answers.discard)
                    continue
                waiting = self._waiting.pop(message["id"], None)
                if waiting is None or waiting.done():
                    continue
                if "error" in message:
                    waiting.set_exception(LinkError(message["error"]))
                else:
                    waiting.set_result(message["answer"])
        except EOFError:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(LinkError("the engine has ended"))
            self._waiting.clear()

    async def _answer(self, number: int) -> None:
        """The metrics of all engines: the one thing that an engine asks."""
        assert self._writer is not None
        found = await self._metrics() if self._metrics is not None else MetricSet()
        write_message(self._writer, {"id": number, "answer": cmetrics.encode(found)})

    async def ask(self, question: str, seconds: float | None = None, **more: Any) -> Any:
        """The engine's answer; `LinkError` if it has none, or not within `seconds`."""
        if self._writer is None or self._task is None or self._task.done():
            raise LinkError("the engine is not there")
        self._next += 1
        number = self._next
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        write_message(self._writer, {"id": number, "ask": question, **more})
        try:
            async with asyncio.timeout(seconds):
                return await waiting
        except TimeoutError as error:
            raise LinkError(f"no answer within {seconds} s") from error
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        for task in (*self._answers, *([self._task] if self._task else [])):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()


class LinkError(OSError):
    """An engine could not be asked."""


def trace_as_map(request: TraceRequest) -> dict[str, Any]:
    return asdict(request)
