"""An agent at work in the test's event loop, with its API on a free port."""

import asyncio
import contextlib
import json

from tailrace.api.server import ApiServer
from tailrace.config.load import load
from tailrace.engine.agent import Agent
from tailrace.engine.control import LocalControl
from tailrace.plugin.log import Level
from tailrace.testing import ListSink

HEAD = "[SERVICE]\n flush 0.05\n grace 1\n http_server on\n http_port 0\n"


class Running:
    """`agent`, its `api` and a client that speaks plain HTTP to it; `sink` holds the agent's log."""

    def __init__(self, agent, api, sink):
        self.agent, self.api, self.sink = agent, api, sink

    async def ask(self, path, method="GET", body=b"", headers=()):
        """Status, headers and body of an answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.api.ports[0])
        lines = [f"{method} {path} HTTP/1.1", f"Content-Length: {len(body)}", "Connection: close"]
        lines += (
            ["Host: localhost", *headers]
            if not any(h.startswith("Host") for h in headers)
            else headers
        )
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        async with asyncio.timeout(10):
            reply = await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        head, _, rest = reply.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        named = dict(field.lower().split(": ", 1) for field in fields)
        return int(first.split()[1]), named, rest

    async def json(self, path, method="GET", body=None):
        data = b"" if body is None else json.dumps(body).encode()
        return json.loads((await self.ask(path, method, data))[2])

    async def until(self, holds):
        """Wait until `holds()` (a coroutine function) is true."""
        async with asyncio.timeout(10):
            while not await holds():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(path, text):
    """Runs an agent on a configuration file made of `text`."""
    path.write_text(text)
    sink = ListSink()
    sink.level = Level.INFO
    agent = Agent(lambda: load(str(path), None, {}), sink)
    agent._install_signals = lambda: None
    api = ApiServer(LocalControl(agent), agent.log, path.parent)
    agent.companions.append(api)
    life = asyncio.ensure_future(agent.run())
    async with asyncio.timeout(10):
        while not api.ports:
            if life.done():
                raise AssertionError(f"the agent ended: {sink.messages}")
            await asyncio.sleep(0.005)
    try:
        yield Running(agent, api, sink)
    finally:
        agent.stop()
        async with asyncio.timeout(10):
            await life
