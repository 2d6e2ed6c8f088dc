"""Clients made of options."""

import asyncio

import pytest

from tailrace.config import ConfigError
from tailrace.config.errors import Place, Problems
from tailrace.config.source import Section
from tailrace.net.client import ClientOptions, http_client, open_balancer, open_upstream
from tailrace.testing import FakeContext, FakeServer, TCPSink, entries_of


def options_of(text=""):
    problems = Problems()
    options = ClientOptions.read(entries_of(text), problems)
    assert options is not None, problems.found
    return options


def test_defaults_are_the_plugins():
    upstream = open_upstream(options_of(), FakeContext(), port=7, host="h")
    assert (upstream.server.host, upstream.server.port) == ("h", 7)
    upstream = open_upstream(options_of("host x\nport 8\ntls.vhost v"), FakeContext(), port=7)
    assert (upstream.server.host, upstream.server.port) == ("x", 8)
    assert upstream.server.tls_name == "v"


@pytest.mark.parametrize(
    ("text", "port", "shown"),
    [
        ("host h", 80, "h:80"),
        ("host h\ntls on", 443, "h"),
        ("host h\ntls on\nport 8443", 443, "h:8443"),
        ("host ::1", 9200, "[::1]:9200"),
        ("host ::1\ntls on", 443, "[::1]"),
    ],
)
def test_the_host_header_has_the_port_unless_tls_implies_it(text, port, shown):
    assert http_client(options_of(text), FakeContext(), port=port).host_header == shown


def test_tls_goes_through_a_tunnel_of_the_proxy():
    with FakeServer(connect_status=403) as proxy:

        async def scenario():
            client = http_client(
                options_of("host inner\ntls on"),
                FakeContext(),
                port=443,
                proxy_url=f"http://127.0.0.1:{proxy.port}",
            )
            with pytest.raises(Exception, match="403 to CONNECT inner:443"):
                await client.request("GET", "/")
            await client.close()

        asyncio.run(scenario())


def upstream_file(*nodes):
    place = Place("up.conf", 1)
    sections = [Section("node", place, entries_of(node)) for node in nodes]
    return {"up.conf": [Section("upstream", place, [], sections)]}


def test_nodes_have_their_own_servers_and_the_plugins_net():
    with TCPSink() as one, TCPSink() as two:
        nodes = upstream_file(
            f"name a\nhost 127.0.0.1\nport {one.port}\nshared_key s",
            f"name b\nhost 127.0.0.1\nport {two.port}",
        )

        async def scenario():
            balancer = open_balancer(
                options_of("net.keepalive off"), FakeContext(upstreams=nodes), "up.conf"
            )
            for _ in range(2):
                node, connection = await balancer.acquire()
                await connection.send(node.name.encode())
                node.upstream.release(connection, True)
            await balancer.close()
            return balancer.nodes

        found = asyncio.run(scenario())
        assert (one.wait(1), two.wait(1)) == (b"a", b"b")
    assert found[0].section.text("shared_key") == "s"
    assert not found[0].upstream.options.net_keepalive


@pytest.mark.parametrize(
    "node",
    [
        "host h\nport 1",
        "name a\nport 1",
        "name a\nhost h",
        "name a\nhost h\nport x",
        "name a\nhost h\nport 1\ntls maybe",
    ],
)
def test_a_node_that_will_not_do_is_an_error(node):
    with pytest.raises(ConfigError, match="upstream"):
        open_balancer(options_of(), FakeContext(upstreams=upstream_file(node)), "up.conf")
