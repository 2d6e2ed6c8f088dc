"""Taking in connections."""

import asyncio
import errno
import socket
import ssl

import pytest
import trustme
import uvloop

from tailrace.net.acceptor import Acceptor, AcceptSettings
from tailrace.net.listener import listening_socket, unix_socket
from tailrace.testing import FakeContext


class Greeter(asyncio.Protocol):
    """Says hello, then nothing."""

    def __init__(self, acceptor):
        self.acceptor = acceptor

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"hello")

    def connection_lost(self, error):
        self.acceptor.forget(self)

    def look(self, now):
        self.transport.write(b"!")

    def shut(self):
        self.transport.close()


async def opened(made, settings=None):
    acceptor = Acceptor(
        lambda: Greeter(acceptor), FakeContext().log, settings or AcceptSettings(), 0.02
    )
    await acceptor.open([made])
    return acceptor


def test_connections_over_the_limit_are_closed_and_counted():
    async def scenario():
        acceptor = await opened(listening_socket("127.0.0.1", 0), AcceptSettings(connections=1))
        first, one = await asyncio.open_connection("127.0.0.1", acceptor.ports[0])
        assert await first.readexactly(5) == b"hello"
        second, two = await asyncio.open_connection("127.0.0.1", acceptor.ports[0])
        assert await second.read() == b""
        one.close()
        await one.wait_closed()
        two.close()
        while acceptor.connections:
            await asyncio.sleep(0.001)
        third, three = await asyncio.open_connection("127.0.0.1", acceptor.ports[0])
        assert await third.readexactly(5) == b"hello"
        await acceptor.close()
        three.close()
        return acceptor.turned_away

    assert asyncio.run(scenario()) == 1


def test_closing_closes_all_connections_and_is_safe_twice(tmp_path):
    async def scenario():
        path = str(tmp_path / "x.sock")
        acceptor = await opened(unix_socket(path, socket.SOCK_STREAM))
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.readexactly(5) == b"hello"
        await acceptor.close()
        await acceptor.close()
        assert (await reader.read()).strip(b"!") == b""
        writer.close()
        return acceptor.ports, acceptor.connections

    assert asyncio.run(scenario()) == ([], set())


def test_each_connection_is_looked_at_again_and_again():
    async def scenario():
        acceptor = await opened(listening_socket("127.0.0.1", 0))
        reader, writer = await asyncio.open_connection("127.0.0.1", acceptor.ports[0])
        text = await reader.readexactly(7)
        writer.close()
        await acceptor.close()
        return text

    assert asyncio.run(scenario()) == b"hello!!"


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """The contexts of a server and of its clients."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def greeting(port, client):
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=client, server_hostname="localhost"
    )
    text = await reader.readexactly(5)
    writer.close()
    return text


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_no_handshake_is_lost_however_many_come(tls, run):
    server, client = tls

    async def scenario():
        acceptor = await opened(listening_socket("127.0.0.1", 0), AcceptSettings(tls=server))
        try:
            for _ in range(5):
                port = acceptor.ports[0]
                texts = await asyncio.gather(*(greeting(port, client) for _ in range(8)))
                assert texts == [b"hello"] * 8
        finally:
            await acceptor.close()
        return acceptor.connections

    assert run(asyncio.wait_for(scenario(), 30)) == set()


def test_a_handshake_counts_as_the_connection_it_becomes(tls):
    server, client = tls

    async def scenario():
        settings = AcceptSettings(tls=server, connections=1)
        acceptor = await opened(listening_socket("127.0.0.1", 0), settings)
        port = acceptor.ports[0]
        assert await greeting(port, client) == b"hello"
        while acceptor.connections:
            await asyncio.sleep(0.001)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        while not acceptor.connections:
            await asyncio.sleep(0.001)
        with pytest.raises(OSError):
            await greeting(port, client)
        writer.close()
        await acceptor.close()
        return acceptor.turned_away

    assert asyncio.run(asyncio.wait_for(scenario(), 30)) == 1


@pytest.mark.parametrize(("sent", "level"), [(b"", "debug"), (b"GET / HTTP/1.0\r\n\r\n", "warn")])
def test_a_client_that_speaks_no_tls_is_told_of(tls, sent, level):
    async def scenario():
        context = FakeContext()
        acceptor = Acceptor(lambda: None, context.log, AcceptSettings(tls=tls[0]), 0.02)
        await acceptor.open([listening_socket("127.0.0.1", 0)])
        reader, writer = await asyncio.open_connection("127.0.0.1", acceptor.ports[0])
        writer.write(sent)
        writer.write_eof()
        await reader.read()
        writer.close()
        await acceptor.close()
        return context.sink.messages

    [(found, text)] = asyncio.run(asyncio.wait_for(scenario(), 30))
    assert found == level
    assert "127.0.0.1: " in text


def test_a_handshake_that_takes_too_long_is_given_up_and_logged(tls):
    async def scenario():
        context = FakeContext()
        settings = AcceptSettings(tls=tls[0], handshake_seconds=0.05)
        acceptor = Acceptor(lambda: None, context.log, settings, 0.02)
        await acceptor.open([listening_socket("127.0.0.1", 0)])
        reader, writer = await asyncio.open_connection("127.0.0.1", acceptor.ports[0])
        assert await reader.read() == b""
        writer.close()
        await acceptor.close()
        return context.sink.messages

    [(level, message)] = asyncio.run(asyncio.wait_for(scenario(), 30))
    assert level == "error"
    assert "127.0.0.1: " in message


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (OSError(errno.ENOTCONN, "Transport endpoint is not connected"), "debug"),
        (ConnectionResetError("reset"), "debug"),
        (OSError(errno.ENOSPC, "No space left on device"), "error"),
        (ValueError("a mistake"), "error"),
    ],
)
def test_a_client_that_has_left_is_no_error(error, level):
    async def fail():
        raise error

    async def scenario():
        context = FakeContext()
        acceptor = Acceptor(lambda: Greeter(acceptor), context.log, AcceptSettings(), 0.02)
        task = acceptor.spawn(fail())
        await asyncio.wait({task})
        await asyncio.sleep(0)
        return context

    context = asyncio.run(scenario())
    assert [found for found, text in context.sink.messages if str(error) in text] == [level]
