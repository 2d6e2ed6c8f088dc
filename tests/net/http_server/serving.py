"""A server on a free port and clients that speak raw bytes to it."""

import asyncio
import contextlib

from tailrace.net.http_server import HttpLimits, Response, serve_http
from tailrace.net.listener import listening_socket
from tailrace.testing import FakeContext


async def echo(request):
    """Answers with what it understood."""
    text = f"{request.method} {request.target} {request.version} {len(request.body)}"
    return Response(200, text.encode() + b"|" + request.body, (("X-Peer", request.peer),))


@contextlib.asynccontextmanager
async def serving(handler=echo, limits=None, settings=None, context=None):
    context = context or FakeContext()
    server = await serve_http(
        handler,
        [listening_socket("127.0.0.1", 0)],
        log=context.log,
        limits=limits or HttpLimits(),
        settings=settings,
    )
    try:
        yield server
    finally:
        await server.close()


async def talk(server, data, *, end=False):
    """What comes back for these bytes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.ports[0])
    writer.write(data)
    if end:
        writer.write_eof()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def bodies_of(reply):
    """Status and body of each response in the bytes."""
    found = []
    while reply:
        head, _, rest = reply.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
        size = int(headers.get(b"content-length", 0))
        found.append((int(lines[0].split()[1]), rest[:size]))
        reply = rest[size:]
    return found
