"""Connections that are kept and used again."""

import asyncio
import contextlib
import socket
import ssl

import pytest
import trustme

from tailrace.config import ConfigError
from tailrace.config.errors import Place, Problems
from tailrace.config.source import Section
from tailrace.net.connection import Unreachable
from tailrace.net.options import ConnectOptions, TLSOptions
from tailrace.net.proxy import Proxy
from tailrace.net.tls import client_tls
from tailrace.net.upstream import (
    Balancer,
    Node,
    Server,
    Upstream,
    node_sections,
    resolve,
)
from tailrace.testing import FakeContext, FakeServer, TCPSink, entries_of


def net(text=""):
    problems = Problems()
    options = ConnectOptions.read(entries_of(text), problems)
    assert options is not None, problems.found
    return options


def upstream_of(server, text="", context=None, **more):
    target = server if isinstance(server, Server) else Server("127.0.0.1", server.port)
    return Upstream(target, net(text), context or FakeContext(), **more)


def run(scenario):
    return asyncio.run(scenario())


async def send(upstream, data=b"x"):
    async with upstream.connection() as connection:
        await connection.send(data)


def test_a_connection_is_used_again():
    with TCPSink() as sink:

        async def scenario():
            upstream = upstream_of(sink)
            for _ in range(3):
                await send(upstream)
            await upstream.close()

        run(scenario)
        assert sink.wait(3) == b"xxx"
        assert sink.connections == 1


def test_a_connection_that_failed_is_not_used_again():
    with TCPSink() as sink:

        async def scenario():
            upstream = upstream_of(sink)
            with contextlib.suppress(ZeroDivisionError):
                async with upstream.connection() as connection:
                    await connection.send(b"x")
                    raise ZeroDivisionError
            await send(upstream)
            await upstream.close()

        run(scenario)
        sink.wait_until(lambda: sink.connections == 2)


def test_an_idle_connection_is_closed_after_its_time():
    with TCPSink() as sink:

        async def scenario():
            upstream = upstream_of(sink, "net.keepalive_idle_timeout 0.05")
            async with upstream.connection() as connection:
                await connection.send(b"x")
            assert connection.is_usable
            while connection.is_usable:
                await asyncio.sleep(0.001)
            await upstream.close()

        run(scenario)


def test_a_connection_on_which_something_came_unasked_is_not_used_again():
    with TCPSink(reply=lambda data: b"unasked") as sink:

        async def scenario():
            upstream = upstream_of(sink)
            async with upstream.connection() as connection:
                await connection.send(b"x")
            while connection.is_usable:
                await asyncio.sleep(0.001)
            await send(upstream)
            await upstream.close()

        run(scenario)
        sink.wait_until(lambda: sink.connections == 2)


def test_more_users_than_connections_wait_for_their_turn():
    with TCPSink() as sink:

        async def scenario():
            upstream = upstream_of(sink, "net.max_worker_connections 1")
            first = await upstream.acquire()
            waiting = asyncio.ensure_future(upstream.acquire())
            await asyncio.sleep(0.02)
            assert not waiting.done()
            upstream.release(first, True)
            assert await waiting is first
            upstream.release(first, True)
            await upstream.close()

        run(scenario)


def test_room_comes_back_when_connecting_fails():
    with TCPSink() as sink:
        pass

    async def scenario():
        upstream = upstream_of(sink, "net.max_worker_connections 1")
        for _ in range(3):
            with pytest.raises(Unreachable):
                await upstream.acquire()
        await upstream.close()

    run(scenario)


@pytest.mark.parametrize(("log", "level"), [("on", "error"), ("off", "debug")])
def test_a_server_that_never_accepts_is_given_up_in_time_and_told(log, level):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        filler = [socket.socket() for _ in range(2)]
        for each in filler:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        context = FakeContext()

        async def scenario():
            text = f"net.connect_timeout 0.1\nnet.connect_timeout_log_error {log}"
            upstream = upstream_of(Server("127.0.0.1", port), text, context)
            with pytest.raises(Unreachable, match=r"within 0\.1 s"):
                await upstream.acquire()

        run(scenario)
        for each in filler:
            each.close()
    assert [found for found, _ in context.sink.messages] == [level]


def test_a_source_address_is_bound():
    with TCPSink() as sink:

        async def scenario():
            upstream = upstream_of(sink, "net.source_address 127.0.0.2")
            connection = await upstream.acquire()
            name = connection.transport.get_extra_info("sockname")
            upstream.release(connection, True)
            await upstream.close()
            return name

        assert run(scenario)[0] == "127.0.0.2"


def test_a_unix_socket_is_a_server_too(tmp_path):
    path = str(tmp_path / "s")

    async def scenario():
        came = asyncio.get_running_loop().create_future()

        async def serve(reader, writer):
            came.set_result(await reader.read(10))
            writer.close()

        server = await asyncio.start_unix_server(serve, path)
        upstream = upstream_of(Server("", 0, unix_path=path))
        await send(upstream)
        found = await came
        await upstream.close()
        server.close()
        return found

    assert run(scenario) == b"x"


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "first"),
    [(True, False, socket.AF_INET), (False, True, socket.AF_INET6)],
)
def test_the_preferred_family_comes_first(monkeypatch, ipv4, ipv6, first):
    async def both(self, host, port, **more):
        four = (socket.AF_INET, 1, 6, "", ("127.0.0.1", port))
        six = (socket.AF_INET6, 1, 6, "", ("::1", port, 0, 0))
        return [four, six] if ipv6 else [six, four]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", both)
    found = run(lambda: resolve("both.example", 1, ipv4, ipv6))
    assert found[0][0] == first
    assert len(found) == 2


@pytest.mark.parametrize(("mode", "told"), [("tcp", 1), ("udp", 0)])
def test_a_transport_of_names_that_can_not_be_chosen_is_told(mode, told):
    context = FakeContext()
    upstream_of(Server("h", 1), f"net.dns.mode {mode}", context)
    assert len([text for _, text in context.sink.messages if "net.dns.mode" in text]) == told


def test_a_name_that_nobody_knows_is_unreachable():
    async def scenario():
        with pytest.raises(Unreachable, match="no connection"):
            await upstream_of(Server("no-such-host.invalid", 1)).acquire()

    run(scenario)


def test_tls_goes_through_a_tunnel(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("inner.example").configure_cert(tls)
    options = TLSOptions(tls=True, tls_ca_file="ca.pem", tls_verify_hostname=True)

    async def scenario(sink):
        asked = []
        ended = asyncio.get_running_loop().create_future()

        async def relay(reader, writer):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            other_reader, other_writer = await asyncio.open_connection("127.0.0.1", sink.port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

            async def pump(source, target):
                while data := await source.read(1000):
                    target.write(data)
                target.close()

            await asyncio.gather(pump(reader, other_writer), pump(other_reader, writer))
            ended.set_result(None)

        server = await asyncio.start_server(relay, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        context = FakeContext(config_dir=tmp_path)
        upstream = upstream_of(
            Server("inner.example", 443),
            context=context,
            tls=client_tls(options, tmp_path, context.log),
            proxy=Proxy("127.0.0.1", port, authorization="Basic x"),
        )
        await send(upstream, b"secret")
        await asyncio.get_running_loop().run_in_executor(None, sink.wait, 6)
        await upstream.close()
        await ended
        server.close()
        await asyncio.sleep(0.01)
        return asked

    with TCPSink(tls) as sink:
        (asked,) = asyncio.run(scenario(sink))
        assert sink.data == b"secret"
    assert asked.startswith(b"CONNECT inner.example:443 HTTP/1.1\r\nHost: inner.example:443\r\n")
    assert b"\r\nProxy-Authorization: Basic x\r\n" in asked


def test_a_proxy_that_makes_no_tunnel_is_told():
    with FakeServer(connect_status=407) as proxy:

        async def scenario():
            refusing = Proxy("127.0.0.1", proxy.port)
            upstream = upstream_of(Server("inner.example", 443), proxy=refusing)
            with pytest.raises(Unreachable, match="407 to CONNECT"):
                await upstream.acquire()
            await upstream.close()

        run(scenario)


# Several servers


def nodes_of(*servers):
    return [
        Node(f"n{index}", upstream_of(server), Section("node", Place("test", 1)))
        for index, server in enumerate(servers)
    ]


def test_nodes_are_used_in_turn():
    with TCPSink() as one, TCPSink() as two:

        async def scenario():
            balancer = Balancer(nodes_of(one, two))
            names = []
            for _ in range(4):
                node, connection = await balancer.acquire()
                names.append(node.name)
                node.upstream.release(connection, True)
            await balancer.close()
            return names

        assert run(scenario) == ["n0", "n1", "n0", "n1"]


def test_a_node_that_is_down_is_passed_over():
    with TCPSink() as down:
        pass
    with TCPSink() as up:

        async def scenario():
            balancer = Balancer(nodes_of(down, up))
            names = []
            for _ in range(3):
                node, connection = await balancer.acquire()
                names.append(node.name)
                node.upstream.release(connection, True)
            await balancer.close()
            return names

        assert run(scenario) == ["n1"] * 3


def test_a_node_that_failed_is_asked_last_until_it_has_rested():
    with TCPSink() as one, TCPSink() as two, TCPSink() as three:

        async def scenario():
            balancer = Balancer(nodes_of(one, two, three))
            assert balancer.failed(balancer.nodes[0])
            assert not balancer.failed(balancer.nodes[0])
            orders = [[node.name for node in balancer.turn()] for _ in range(2)]
            firsts = [next(balancer.turn()).name for _ in range(3)]
            balancer.worked(balancer.nodes[0])
            return orders, firsts, [next(balancer.turn()).name for _ in range(3)]

        orders, firsts, rested = run(scenario)
    assert orders == [["n1", "n2", "n0"], ["n1", "n2", "n0"]]
    assert firsts == ["n1", "n2", "n1"]
    assert rested == ["n2", "n0", "n1"]


def test_if_all_nodes_are_down_each_is_told():
    with TCPSink() as one, TCPSink() as two:
        pass

    async def scenario():
        with pytest.raises(Unreachable) as caught:
            await Balancer(nodes_of(one, two)).acquire()
        return caught.value.why

    why = run(scenario)
    assert f":{one.port}" in why
    assert f":{two.port}" in why


def test_a_refused_connection_is_told_in_the_words_of_the_system():
    with TCPSink() as sink:
        pass

    async def scenario():
        with pytest.raises(Unreachable, match=rf"127.0.0.1:{sink.port}: Connection refused$"):
            await Balancer(nodes_of(sink)).acquire()

    run(scenario)


def test_a_balancer_without_nodes_is_an_error():
    with pytest.raises(ConfigError, match="no node"):
        Balancer([])


def test_the_nodes_of_an_upstream_file_are_found():
    place = Place("up.conf", 1)
    node = Section("node", place, entries_of("name a\nhost h"))
    context = FakeContext(upstreams={"up.conf": [Section("upstream", place, [], [node])]})
    assert node_sections(context, "up.conf") == [node]
