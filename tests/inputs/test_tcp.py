"""The input tcp."""

import asyncio
import contextlib
import socket
import ssl

import pytest
import trustme

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.net.gathering import BATCH_BYTES, FLOOD_BYTES
from tailrace.testing import FakeContext, make_parser, make_plugin, run_input

LISTEN = "listen 127.0.0.1\nport {port}\n"


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.fixture
def receive(port):
    """Chunks of the input for what clients send, one connection after another."""

    def run(section, *sent, until=1, context=None, tls=None):
        async def during(plugin):
            for data in sent:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1",
                    port,
                    ssl=tls,
                    server_hostname="localhost" if tls else None,
                )
                writer.write(data)
                await writer.drain()
                if not tls:
                    writer.write_eof()
                    await reader.read()
                else:
                    await asyncio.sleep(0.2)
                writer.close()

        return run_input(
            "tcp",
            LISTEN.format(port=port) + section,
            until=until,
            context=context or FakeContext("tcp.0"),
            during=during,
        )

    return run


def bodies_of(chunks):
    return [body for chunk in chunks for body in chunk.bodies]


def test_values_come_in_order_however_they_are_separated(receive):
    chunks = receive("", b'{"n":1}{"n":2}\n{"n":3}\n\r\n {"n":\n4}', until=4)
    assert [body["n"] for body in bodies_of(chunks)] == [1, 2, 3, 4]


def test_an_array_goes_under_msg_and_other_values_are_counted_as_lost(receive):
    context = FakeContext()
    chunks = receive("", b'7\n"x"\n[1,{"a":2}]\n', context=context)
    assert bodies_of(chunks) == [{"msg": [1, {"a": 2}]}]
    assert sum(count for count, _ in context.dropped) == 2


def test_what_is_no_json_leaves_the_next_line_alone(receive):
    context = FakeContext()
    chunks = receive("", b'this is none {"a":1}\n{"b":2}\n', context=context)
    assert bodies_of(chunks) == [{"b": 2}]
    assert context.dropped == [(1, "unreadable")]


def test_a_record_that_is_cut_off_is_counted(receive):
    context = FakeContext()
    receive("", b'{"a":1}\n{"b":', context=context)
    assert context.dropped == [(1, "cut off")]


def test_lines_end_with_the_separator_and_empty_ones_are_passed_over(receive):
    context = FakeContext()
    sent = "one\r\n\r\ntwo\nstill\r\nä\r\nnot ended".encode()
    chunks = receive("format none\nseparator \\r\\n", sent, until=3, context=context)
    assert [body["log"] for body in bodies_of(chunks)] == ["one", "two\nstill", "ä"]
    assert context.dropped == [(1, "cut off")]


def test_a_parser_reads_lines_and_what_it_refuses_stays_text(receive):
    parser = make_parser("name p\nformat json\ntime_key t\ntime_format %s")
    context = FakeContext(parsers={"p": parser})
    chunks = receive("parser p", b'{"a":1,"t":"5"}\nplain\n', until=2, context=context)
    assert bodies_of(chunks) == [{"a": 1}, {"log": "plain"}]
    assert chunks[0].times[0] == 5_000_000_000


@pytest.mark.parametrize(
    ("section", "sent"), [("", b'{"a":1}\n[2]\n'), ("format none", b"one\ntwo\n")]
)
def test_the_senders_address_is_added_where_asked_for(receive, section, sent):
    chunks = receive(f"source_address_key from\n{section}", sent, until=2)
    assert [body["from"][:16] for body in bodies_of(chunks)] == ["tcp://127.0.0.1:"] * 2


def test_a_record_over_the_limit_ends_its_connection_after_those_before_it(receive):
    context = FakeContext()
    long = b'{"s":"' + b"a" * 3000 + b'"}\n'
    chunks = receive(
        "chunk_size 1\nbuffer_size 2",
        b'{"n":1}\n' + long + b'{"n":2}\n',
        b'{"n":3}\n',
        until=2,
        context=context,
    )
    assert bodies_of(chunks) == [{"n": 1}, {"n": 3}]
    assert context.dropped == [(1, "too long")]


def test_many_short_records_at_once_are_no_long_one(receive):
    sent = b"".join(b'{"n":%d}\n' % number for number in range(9000))
    chunks = receive("buffer_size 1", sent, until=9000)
    assert [body["n"] for body in bodies_of(chunks)] == list(range(9000))


def test_a_parser_that_is_not_there_is_an_error():
    with pytest.raises(ConfigError, match="nothere"):
        make_plugin("input", "tcp", "parser nothere")


def test_an_unknown_format_is_an_error():
    with pytest.raises(InvalidConfiguration, match="xml"):
        make_plugin("input", "tcp", "format xml")


def test_records_come_through_tls(receive, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    section = "tls on\ntls.crt_file both.pem\ntls.key_file both.pem"
    context = FakeContext(config_dir=tmp_path)
    assert bodies_of(receive(section, b'{"a":1}\n', tls=trusting, context=context)) == [{"a": 1}]


def test_a_client_without_tls_is_told_of_in_the_log(receive, tmp_path, port):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    context = FakeContext(config_dir=tmp_path)

    async def during(plugin):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"plain text, long enough to be no handshake\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    with pytest.raises(TimeoutError):
        run_input(
            "tcp",
            LISTEN.format(port=port) + "tls on\ntls.crt_file both.pem\ntls.key_file both.pem",
            during=during,
            context=context,
            timeout=0.5,
        )
    assert any("handshake" in message for _, message in context.sink.messages)


def test_a_full_pipeline_makes_the_client_wait_and_nothing_is_lost(port):
    """While `emit` waits no more is read than a few batches; later all comes."""
    line = b'{"s":"' + b"a" * 1000 + b'"}\n'
    count = 20_000

    async def scenario():
        plugin = make_plugin("input", "tcp", LISTEN.format(port=port))
        emitted, released = [], asyncio.Event()

        async def emit(chunk):
            emitted.append(chunk)
            await released.wait()

        await plugin.start()
        running = asyncio.ensure_future(plugin.run(emit))
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(line * count)
        for _ in range(50):
            await asyncio.sleep(0.002)
        held = plugin.inflow.nbytes + sum(chunk.nbytes for chunk in emitted)
        released.set()
        async with asyncio.timeout(20):
            await writer.drain()
            while sum(map(len, emitted)) < count:
                await asyncio.sleep(0.005)
        writer.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await plugin.stop()
        return held

    assert asyncio.run(scenario()) < 2 * (BATCH_BYTES + FLOOD_BYTES)


def test_what_was_read_is_emitted_when_the_input_stops(port):
    async def scenario():
        context = FakeContext("tcp.0")
        plugin = make_plugin("input", "tcp", LISTEN.format(port=port), context)
        first = asyncio.Event()

        async def emit(chunk):
            first.set()
            await asyncio.Event().wait()

        await plugin.start()
        running = asyncio.ensure_future(plugin.run(emit))
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b'{"n":1}\n')
        await first.wait()
        writer.write(b'{"n":2}\n')
        async with asyncio.timeout(10):
            while not plugin.inflow.nbytes:
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await plugin.stop()
        writer.close()
        return bodies_of(context.emitted)

    assert asyncio.run(scenario()) == [{"n": 2}]


def test_a_silent_client_is_closed_after_io_timeout(port):
    async def during(plugin):
        reader, writer = await asyncio.open_connection("127.0.0.1", plugin.acceptor.ports[0])
        writer.write(b'{"n":1}\n')
        assert await reader.read() == b""
        writer.close()

    section = LISTEN.format(port=port) + "net.io_timeout 0.1"
    chunks = run_input("tcp", section, during=during)
    assert bodies_of(chunks) == [{"n": 1}]


def test_it_says_how_much_connections_hold(port):
    held = []

    async def during(plugin):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b'{"a":"' + b"x" * 1000)
        while plugin.held_bytes < 1000:
            await asyncio.sleep(0.005)
        held.append(plugin.held_bytes)
        writer.write(b'"}\n')
        while plugin.held_bytes:
            await asyncio.sleep(0.005)
        writer.close()

    run_input("tcp", LISTEN.format(port=port), until=1, during=during)
    assert held == [1006]


def test_what_clients_have_sent_is_taken_when_the_input_stops(port):
    async def scenario():
        context = FakeContext()
        plugin = make_plugin("input", "tcp", LISTEN.format(port=port), context)
        emitted = []

        async def emit(chunk):
            emitted.append(chunk)

        await plugin.start()
        running = asyncio.ensure_future(plugin.run(emit))
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b'{"n":1}\n')
        while not emitted:
            await asyncio.sleep(0.005)
        writer.write(b'{"n":2}\n')
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        writer.close()
        return bodies_of(emitted + context.emitted)

    assert asyncio.run(scenario()) == [{"n": 1}, {"n": 2}]
