"""The input udp."""

import asyncio
import socket

import pytest

from tailrace.testing import FakeContext, make_parser, make_plugin, run_input


@pytest.fixture
def port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def receive(port):
    """Chunks of the input for these datagrams."""

    def run(section, *sent, until=1, context=None):
        async def during(plugin):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                for data in sent:
                    sender.sendto(data, ("127.0.0.1", port))

        section = f"listen 127.0.0.1\nport {port}\n{section}"
        context = context or FakeContext("udp.0")
        return run_input("udp", section, until=until, context=context, during=during)

    return run


def bodies_of(chunks):
    return [body for chunk in chunks for body in chunk.bodies]


def test_a_datagram_may_hold_several_values(receive):
    chunks = receive("", b'{"a":1}{"b":2}\n[3]', until=3)
    assert bodies_of(chunks) == [{"a": 1}, {"b": 2}, {"msg": [3]}]


def test_each_datagram_stands_for_itself(receive):
    context = FakeContext()
    chunks = receive("", b'{"a":', b"broken", b'{"b":2}', context=context)
    assert bodies_of(chunks) == [{"b": 2}]
    assert sum(count for count, _ in context.dropped) == 2


def test_text_need_not_end_with_the_separator(receive):
    chunks = receive("format none", b"one\ntwo", b"three\n", until=3)
    assert [body["log"] for body in bodies_of(chunks)] == ["one", "two", "three"]


def test_a_parser_reads_lines(receive):
    context = FakeContext(parsers={"p": make_parser("name p\nformat json")})
    chunks = receive("parser p", b'{"a":1}', b"plain", until=2, context=context)
    assert bodies_of(chunks) == [{"a": 1}, {"log": "plain"}]


def test_the_senders_address_is_added_where_asked_for(receive):
    [body] = bodies_of(receive("source_address_key from", b'{"a":1}'))
    assert body["from"].startswith("udp://127.0.0.1:")


def test_a_datagram_over_the_limit_is_dropped_and_counted(receive):
    context = FakeContext()
    chunks = receive("buffer_size 1", b'{"s":"' + b"a" * 1024 + b'"}', b'{"a":1}', context=context)
    assert bodies_of(chunks) == [{"a": 1}]
    assert context.dropped == [(1, "too long")]


def test_a_datagram_as_large_as_there_may_be_is_taken(receive):
    [body] = bodies_of(receive("", b'{"s":"' + b"a" * 60_000 + b'"}'))
    assert len(body["s"]) == 60_000


def test_what_the_socket_holds_is_taken_when_the_input_stops(port):
    async def scenario():
        context = FakeContext("udp.0")
        plugin = make_plugin("input", "udp", f"listen 127.0.0.1\nport {port}", context)
        await plugin.start()
        running = asyncio.ensure_future(plugin.run(None))
        await asyncio.sleep(0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b'{"n":1}', ("127.0.0.1", port))  # it is there when this returns
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await plugin.stop()
        return bodies_of(context.emitted)

    assert asyncio.run(scenario()) == [{"n": 1}]
