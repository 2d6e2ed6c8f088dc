"""The input forward at work, for tests."""

import asyncio
import contextlib
import socket

import msgpack

from tailrace.model import Receipt
from tailrace.testing import FakeContext, make_plugin

LOCAL = "127.0.0.1"


def pack(*values):
    return b"".join(map(msgpack.packb, values))


def unpack(data):
    source = msgpack.Unpacker(unicode_errors="surrogateescape")
    source.feed(data)
    return list(source)


class Server:
    """The input at work; `chunks` are what it has emitted, `hold` keeps their receipts open."""

    def __init__(self, section="", hold=False):
        self.context = FakeContext("forward.0")
        self.section = section
        self.chunks = []
        self.receipts = []
        self.hold = hold
        self.gate = None

    async def emit(self, chunk):
        receipt = chunk.receipt or Receipt()
        receipt.hold()
        self.chunks.append(chunk)
        if self.hold:
            self.receipts.append(receipt)
        else:
            receipt.release()
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)

    async def __aenter__(self):
        with socket.create_server((LOCAL, 0)) as probe:
            self.port = probe.getsockname()[1]
        listen = "" if "unix_path" in self.section else f"listen {LOCAL}\nport {self.port}\n"
        self.plugin = make_plugin("input", "forward", listen + self.section, self.context)
        await self.plugin.start()
        self.task = asyncio.ensure_future(self.plugin.run(self.emit))
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.plugin.stop()

    async def connect(self, **how):
        return await asyncio.open_connection(LOCAL, self.port, **how)

    async def send(self, data, until_closed=True):
        """What comes back until the server closes (or all that comes, after the client's end is closed)."""
        reader, writer = await self.connect()
        writer.write(data)
        if until_closed:
            writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.005)

    @property
    def events(self):
        return [
            (chunk.tag, body)
            for chunk in self.chunks + self.context.emitted
            for body in chunk.bodies
        ]

    @property
    def messages(self):
        return [text for level, text in self.context.sink.messages if level in ("warn", "error")]


def serve(scenario, section="", **how):
    async def run():
        async with Server(section, **how) as server:
            return await scenario(server)

    return asyncio.run(run())
