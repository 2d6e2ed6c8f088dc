"""The output tcp."""

import asyncio
import ssl

import msgpack
import pytest
import trustme

from tailrace.config.errors import ConfigError
from tailrace.plugin import Retry
from tailrace.testing import EPOCH_NS, FakeContext, TCPSink, chunk_of, make_plugin, run_output

SECONDS = EPOCH_NS // 1_000_000_000
TIMES = [msgpack.ExtType(0, (SECONDS + index).to_bytes(4) + bytes(4)) for index in range(2)]


def sent(section, *bodies, sink=None, context=None):
    """The bytes that these events become."""
    with sink or TCPSink() as server:
        run_output(
            "tcp", f"host 127.0.0.1\nport {server.port}\n{section}", *bodies, context=context
        )
        server.wait_until(lambda: server.received and server.received[0])
    return server.data


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("json", b'[{"a":1},{"a":2}]'),
        ("json_lines", b'{"a":1}\n{"a":2}\n'),
        ("json_stream", b'{"a":1}{"a":2}'),
    ],
)
def test_a_format_is_sent_as_it_is(layout, expected):
    assert sent(f"format {layout}\njson_date_key false", {"a": 1}, {"a": 2}) == expected


def test_the_default_is_msgpack_with_time_and_metadata():
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(sent("", {"a": 1}, {"a": 2}))
    assert list(unpacker) == [[[TIMES[0], {}], {"a": 1}], [[TIMES[1], {}], {"a": 2}]]


def test_an_unknown_format_is_reported_and_sent_as_msgpack():
    context = FakeContext()
    assert sent("format xml", {"a": 1}, context=context).startswith(b"\x92\x92")
    assert any("xml" in text for level, text in context.sink.messages if level == "error")


def test_a_raw_message_is_a_line_whatever_the_format():
    section = "format json\nraw_message_key $o['m']"
    bodies = ({"o": {"m": "é"}}, {"x": 1}, {"o": {"m": 2}})
    assert sent(section, *bodies) == "é\n\n2\n".encode()


def test_an_accessor_that_is_none_is_an_error():
    with pytest.raises(ConfigError, match="raw_message_key"):
        make_plugin("output", "tcp", "raw_message_key $a[")


def test_tls_carries_the_same_bytes(tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    section = (
        "format json_lines\njson_date_key false\ntls on\ntls.ca_file ca.pem\ntls.vhost localhost"
    )
    context = FakeContext(config_dir=tmp_path)
    assert sent(section, {"a": 1}, sink=TCPSink(tls), context=context) == b'{"a":1}\n'


def test_a_large_chunk_goes_through_tls_whole(tmp_path):
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    with TCPSink(tls) as server:
        section = (
            f"port {server.port}\nraw_message_key $a\ntls on\ntls.verify off\nnet.io_timeout 5"
        )
        run_output("tcp", section, {"a": "x" * 5_000_000})
        assert server.wait(5_000_001) == b"x" * 5_000_000 + b"\n"


def flushes(section, chunks, server, pause=0.0):
    """Flush chunks one after another; what each raised, or None."""

    async def scenario():
        plugin = make_plugin("output", "tcp", f"host 127.0.0.1\nport {server.port}\n{section}")
        outcomes = []
        for chunk in chunks:
            try:
                await plugin.flush(chunk)
                outcomes.append(None)
            except Retry as failure:
                outcomes.append(failure)
            await asyncio.sleep(pause)
        await plugin.stop()
        return outcomes

    return asyncio.run(scenario())


CHUNKS = [chunk_of([{"n": number}]) for number in range(3)]


@pytest.mark.parametrize(
    ("section", "connections"),
    [("", 1), ("net.keepalive off", 3), ("net.keepalive_max_recycle 1", 2)],
)
def test_a_connection_is_used_again_as_the_options_say(section, connections):
    with TCPSink() as server:
        assert flushes(section, CHUNKS, server) == [None] * 3
        server.wait_until(lambda: server.connections == connections)
        assert server.connections == connections


def test_a_connection_that_the_server_has_closed_is_not_used_again():
    with TCPSink(reset_after=1) as server:
        assert flushes("", CHUNKS, server, pause=0.05) == [None] * 3
        assert server.connections == 3


def test_a_server_that_takes_nothing_is_given_up_in_time():
    with TCPSink(stall=True) as server:
        (failure,) = flushes("net.io_timeout 0.1", [chunk_of([{"n": "x" * 20_000_000}])], server)
    assert isinstance(failure, Retry)
    assert "took nothing" in failure.why


def test_nothing_that_listens_is_a_retry():
    with TCPSink() as server:
        pass
    (failure,) = flushes("", CHUNKS[:1], server)
    assert isinstance(failure, Retry)


def test_what_the_server_says_is_passed_over():
    with TCPSink(reply=lambda data: b"thanks" * 1000) as server:
        assert flushes("", CHUNKS, server, pause=0.02) == [None] * 3
        assert server.connections == 1


def test_kept_connections_are_counted():
    with TCPSink() as server:

        async def scenario():
            plugin = make_plugin("output", "tcp", f"host 127.0.0.1\nport {server.port}")
            await plugin.flush(chunk_of([{"a": 1}]))
            counted = plugin.connections()
            await plugin.stop()
            return counted

        assert asyncio.run(scenario()) == (1, 0)
