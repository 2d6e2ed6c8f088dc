"""The output udp."""

import asyncio
import socket

import msgpack
import pytest

from tailrace.config.errors import ConfigError
from tailrace.plugin import Partial, Reject, Retry
from tailrace.testing import EPOCH_NS, FakeContext, UDPSink, chunk_of, make_plugin, run_output

SECONDS = EPOCH_NS // 1_000_000_000


def sent(section, *bodies):
    """The datagrams that these events become."""
    with UDPSink() as sink:
        run_output("udp", f"host 127.0.0.1\nport {sink.port}\n{section}", *bodies)
        return sink.wait(len(bodies))


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("format json", [b'[{"a":1}]\n', b'[{"a":2}]\n']),
        ("format json_lines", [b'{"a":1}\n', b'{"a":2}\n']),
        ("format json_stream", [b'{"a":1}\n', b'{"a":2}\n']),
        ("raw_message_key v$a", [b"v1\n", b"v2\n"]),
    ],
)
def test_each_event_is_a_datagram(section, expected):
    assert sent(f"{section}\njson_date_key false", {"a": 1}, {"a": 2}) == expected


def test_the_default_is_msgpack():
    (datagram,) = sent("", {"a": 1})
    time = msgpack.ExtType(0, SECONDS.to_bytes(4) + bytes(4))
    assert msgpack.unpackb(datagram) == [[time, {}], {"a": 1}]


def test_only_an_event_that_is_too_large_is_refused():
    with UDPSink() as sink:
        section = f"host 127.0.0.1\nport {sink.port}\nraw_message_key $a"
        with pytest.raises(Partial) as caught:
            run_output("udp", section, {"a": "x" * 70_000}, {"a": "small"})
        assert sink.wait(1) == [b"small\n"]
    assert [len(chunk.bodies[0]["a"]) for chunk, *_ in caught.value.rejected] == [70_000]
    assert caught.value.retry is None


def test_a_chunk_of_nothing_that_fits_is_refused():
    with UDPSink() as sink, pytest.raises(Reject, match="too large"):
        run_output("udp", f"port {sink.port}\nraw_message_key $a", {"a": "x" * 70_000})


def test_a_port_that_nobody_listens_on_is_a_retry_as_soon_as_that_is_known():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

    async def scenario():
        plugin = make_plugin("output", "udp", f"host 127.0.0.1\nport {port}")
        try:
            for _ in range(3):
                await plugin.flush(chunk_of([{"a": 1}]))
                await asyncio.sleep(0.02)
        finally:
            await plugin.stop()

    with pytest.raises(Retry, match="refused"):
        asyncio.run(scenario())


def test_a_source_address_is_bound():
    with UDPSink() as sink, pytest.raises(Retry, match="can't be sent to"):
        run_output("udp", f"port {sink.port}\nnet.source_address 203.0.113.1", {"a": 1})


def test_options_that_mean_nothing_here_are_told():
    context = FakeContext()
    make_plugin("output", "udp", "net.keepalive off", context)
    assert [text for level, text in context.sink.messages if level == "warn"] == [
        "[test.0] net.keepalive means nothing for UDP and is passed over"
    ]


def test_an_accessor_that_is_none_is_an_error():
    with pytest.raises(ConfigError, match="raw_message_key"):
        make_plugin("output", "udp", "raw_message_key $a[")
