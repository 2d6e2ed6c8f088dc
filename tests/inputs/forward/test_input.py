"""The input forward, over real sockets."""

import asyncio
import contextlib
import gzip
import os
import socket
import ssl
import stat

import msgpack
import pytest
import trustme

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.model import METRICS, TRACES
from tailrace.model.metrics import Metric, MetricKind, MetricSet, Sample
from tailrace.model.traces import ResourceSpans, Scope, ScopeSpans, Span, Traces
from tailrace.net.gathering import BATCH_BYTES
from tailrace.plugin.share import Share
from tailrace.testing import FakeContext, make_plugin, run_input
from tailrace.wire import cmetrics, ctraces
from tailrace.wire.forward.handshake import Credentials, check_pong, new_salt, ping, read_helo
from tests.inputs.forward.server import pack, serve, unpack


def test_all_modes_give_events_under_their_tags():
    events = pack([1, {"n": 3}], [2, {"n": 4}])

    async def scenario(server):
        await server.send(
            pack(
                ["m", 1, {"n": 1}],
                ["f", [[1, {"n": 2}]]],
                ["p", events, {"size": 2}],
                ["z", gzip.compress(pack([1, {"n": 5}])), {"compressed": "gzip"}],
            )
        )
        await server.until(lambda: len(server.events) == 5)
        assert [(tag, body["n"]) for tag, body in server.events] == [
            ("m", 1),
            ("f", 2),
            ("p", 3),
            ("p", 4),
            ("z", 5),
        ]
        assert server.messages == []

    serve(scenario)


def test_packed_entries_stay_packed_until_somebody_looks():
    events = pack([1, {"n": 1}])

    async def scenario(server):
        await server.send(pack(["p", events]))
        await server.until(lambda: server.chunks)
        (chunk,) = server.chunks
        assert chunk.packed == events
        assert not chunk.decoded
        assert (len(chunk), chunk.bodies) == (1, [{"n": 1}])

    serve(scenario)


def test_single_messages_of_one_tag_are_one_chunk():
    async def scenario(server):
        await server.send(b"".join(pack(["t", number, {"n": number}]) for number in range(100)))
        await server.until(lambda: len(server.events) == 100)
        assert len(server.chunks) == 1
        assert server.chunks[0].times == [number * 10**9 for number in range(100)]

    serve(scenario)


def test_a_message_is_acknowledged_when_its_events_have_ended():
    async def scenario(server):
        reader, writer = await server.connect()
        writer.write(pack(["a", 1, {}, {"chunk": "one"}], ["b", [[2, {}]], {"chunk": "two"}]))
        await server.until(lambda: len(server.receipts) == 2)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        server.receipts[0].release()
        server.receipts[1].release()
        answer = await asyncio.wait_for(reader.readexactly(18), 5)
        assert unpack(answer) == [{"ack": "one"}, {"ack": "two"}]
        writer.close()

    serve(scenario, hold=True)


def test_a_message_in_several_parts_is_acknowledged_after_the_last():
    events = b"".join(pack([number, {"n": "x" * 1000}]) for number in range(500))

    async def scenario(server):
        reader, writer = await server.connect()
        writer.write(pack(["p", events, {"chunk": "one", "size": 500}]))
        await server.until(lambda: sum(map(len, server.chunks)) == 500)
        assert len(server.chunks) > 2
        for receipt in server.receipts[:-1]:
            receipt.release()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        server.receipts[-1].release()
        assert unpack(await asyncio.wait_for(reader.readexactly(9), 5)) == [{"ack": "one"}]
        writer.close()

    serve(scenario, hold=True)


def test_a_client_that_sends_no_more_is_still_answered():
    async def scenario(server):
        reader, writer = await server.connect()
        writer.write(pack(["a", 1, {}, {"chunk": "one"}]))
        writer.write_eof()
        await server.until(lambda: server.receipts)
        await asyncio.sleep(0.02)
        server.receipts[0].release()
        assert unpack(await asyncio.wait_for(reader.read(), 5)) == [{"ack": "one"}]
        writer.close()

    serve(scenario, hold=True)


def test_a_message_without_events_is_acknowledged_at_once():
    async def scenario(server):
        answer = await server.send(pack(["a", [], {"chunk": "x"}], ["a", b"", {"chunk": b"y"}]))
        assert unpack(answer) == [{"ack": "x"}, {"ack": b"y"}]
        assert server.chunks == []

    serve(scenario)


def test_events_of_clients_that_end_are_kept_when_the_input_stops():
    async def scenario(server):
        server.gate = asyncio.Event()
        await server.send(pack(["a", 1, {"n": 1}]))
        await server.until(lambda: server.chunks)
        await server.send(pack(["a", 1, {"n": 2}]))
        server.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server.task
        assert [chunk.bodies for chunk in server.context.emitted] == [[{"n": 2}]]

    serve(scenario)


def test_what_clients_have_sent_is_taken_when_the_input_stops():
    async def scenario(server):
        _, writer = await server.connect()
        writer.write(pack(["a", 1, {"n": 1}]))
        await server.until(lambda: server.chunks)
        writer.write(pack(["a", 1, {"n": 2}]))
        server.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await server.task
        assert [body["n"] for _, body in server.events] == [1, 2]
        writer.close()

    serve(scenario)


def test_who_waits_for_an_answer_gets_it_when_the_input_stops():
    async def scenario(server):
        reader, writer = await server.connect()
        writer.write(pack(["a", 1, {}, {"chunk": "one"}]))
        await server.until(lambda: server.receipts)
        server.task.cancel()
        await asyncio.sleep(0.05)
        server.receipts[0].release()
        assert unpack(await asyncio.wait_for(reader.read(), 5)) == [{"ack": "one"}]
        writer.close()

    serve(scenario, hold=True)


def test_a_client_that_is_too_fast_has_to_wait():
    message = pack(["p", pack([1, {"n": "x" * 10_000}]) * 10, {"size": 10}])

    async def scenario(server):
        server.gate = asyncio.Event()
        _, writer = await server.connect()
        writer.transport.set_write_buffer_limits(high=BATCH_BYTES)
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while sent < 100_000_000:
                    writer.write(message)
                    sent += len(message)
                    await writer.drain()
        assert sent < 50_000_000
        server.gate.set()
        await writer.drain()
        writer.close()
        await server.until(lambda: sum(map(len, server.chunks)) == sent // len(message) * 10)

    serve(scenario)


@pytest.mark.parametrize(
    ("section", "tag"),
    [("", "app"), ("tag fixed", "fixed"), ("tag fixed\ntag_prefix pre.", "pre.app")],
)
def test_the_tag_is_that_of_the_message_unless_the_input_says_otherwise(section, tag):
    async def scenario(server):
        await server.send(pack(["app", 1, {}]))
        await server.until(lambda: server.events)
        assert server.chunks[0].tag == tag

    serve(scenario, section)


def test_events_without_a_tag_are_counted_as_dropped():
    async def scenario(server):
        answer = await server.send(
            pack(["", [[1, {}], [2, {}]], {"chunk": "c"}], ["t", 1, {"n": 1}])
        )
        assert unpack(answer) == [{"ack": "c"}]
        assert server.context.dropped == [(2, "no tag")]
        assert server.events == [("t", {"n": 1})]

    serve(scenario)


@pytest.mark.parametrize(
    "bad",
    [
        pack({"not": "an array"}),
        pack(["t"]),
        pack(["t", 1, "no map"]),
        b"\xc1",
        b"\x91" * 2000,
        pack(["z", b"\x1f\x8bnothing", {"compressed": "gzip"}]),
        pack(["z", gzip.compress(pack([1, {"n": "x" * 8000}]))]),
        pack(["m", b"no metrics", {"fluent_signal": 1}]),
        pack(["m", b"no traces", {"fluent_signal": 2}]),
        pack(["t", 1, {"n": "x" * 10_000}]),
    ],
    ids=range(10),
)
def test_what_is_no_message_ends_its_connection_alone_and_is_counted(bad):
    async def scenario(server):
        _, other = await server.connect()
        reader, writer = await server.connect()
        writer.write(pack(["t", 1, {"n": 1}]) + bad + pack(["t", 1, {"n": 2}]))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        other.write(pack(["t", 1, {"n": 3}]))
        await server.until(lambda: len(server.events) == 2)
        assert [body["n"] for _, body in server.events] == [1, 3]
        assert server.context.dropped == [(1, "protocol error")]
        assert "the connection is closed" in server.messages[0]
        other.close()

    serve(scenario, "buffer_max_size 8000\nbuffer_chunk_size 1000")


def test_a_mark_of_a_group_is_no_event():
    begin = msgpack.ExtType(0, b"\xff" * 4 + bytes(4))

    async def scenario(server):
        answer = await server.send(pack(["t", begin, {}, {"chunk": "a"}], ["t", 1, {"n": 1}]))
        assert unpack(answer) == [{"ack": "a"}]
        assert server.events == [("t", {"n": 1})]

    serve(scenario)


def test_entries_that_are_no_events_are_counted_and_the_others_kept():
    async def scenario(server):
        answer = await server.send(
            pack(
                ["f", [[1, {"n": 1}], "none", [2, {"n": 2}]], {"chunk": "a"}],
                ["p", pack([1, {"n": 3}], 7, [2, {"n": 4}]), {"chunk": "b"}],
            )
        )
        assert unpack(answer) == [{"ack": "a"}, {"ack": "b"}]
        assert [body["n"] for _, body in server.events] == [1, 2, 3, 4]
        assert server.context.dropped == [(1, "no event"), (1, "no event")]

    serve(scenario)


def test_a_message_that_is_cut_off_is_counted():
    async def scenario(server):
        await server.send(pack(["t", 1, {"n": 1}]) + b"\x93\xa1t")
        await server.until(lambda: server.context.dropped)
        assert server.context.dropped == [(1, "cut off")]
        assert server.events == [("t", {"n": 1})]

    serve(scenario)


def test_metrics_are_metrics():
    metric = Metric(MetricKind.COUNTER, "hits", samples=[Sample((), 5.0, 1)])
    packed = cmetrics.encode(MetricSet([metric]))

    async def scenario(server):
        answer = await server.send(pack(["m", packed, {"fluent_signal": 1, "chunk": "c"}]))
        assert unpack(answer) == [{"ack": "c"}]
        (chunk,) = server.chunks
        assert chunk.kind is METRICS
        assert [each.name for each in chunk.payload.metrics] == ["hits"]

    serve(scenario)


def test_traces_are_traces():
    spans = ScopeSpans(Scope(), [Span("work", b"t" * 16, b"s" * 8)])
    packed = ctraces.encode(Traces([ResourceSpans(scope_spans=[spans])]))

    async def scenario(server):
        answer = await server.send(pack(["t", packed, {"fluent_signal": 2, "chunk": "c"}]))
        assert unpack(answer) == [{"ack": "c"}]
        (chunk,) = server.chunks
        assert chunk.kind is TRACES
        assert [span.name for span in chunk.payload.resource_spans[0].scope_spans[0].spans] == [
            "work"
        ]

    serve(scenario)


def test_more_clients_than_allowed_are_turned_away():
    async def scenario(server):
        _, kept = await server.connect()
        kept.write(pack(["t", 1, {}]))
        await server.until(lambda: server.events)
        assert await server.send(b"", until_closed=False) == b""
        kept.write(pack(["t", 2, {}]))
        await server.until(lambda: len(server.events) == 2)
        kept.close()

    serve(scenario, "net.max_worker_connections 1")


def test_a_silent_client_is_closed_where_asked_for():
    async def scenario(server):
        assert await server.send(b"", until_closed=False) == b""

    serve(scenario, "net.io_timeout 0.1")


def test_a_client_that_reads_no_answers_is_cut():
    async def scenario(server):
        reader, writer = await server.connect()
        reader._transport.pause_reading()
        chunk = "c" * 100_000
        message = pack(["t", [], {"chunk": chunk}])
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(5):
                for _ in range(300):
                    writer.write(message)
                    await writer.drain()
                    await asyncio.sleep(0)
        await server.until(lambda: any("reads no answers" in text for text in server.messages))
        writer.transport.abort()

    serve(scenario)


# The handshake

KEY = "shared_key s3cret\nself_hostname srv\n"
USERS = KEY + "security.users ann pw1\nsecurity.users bob pw 2\n"


async def shake_hands(server, mine):
    reader, writer = await server.connect()
    source = msgpack.Unpacker(unicode_errors="surrogateescape")

    async def read():
        while True:
            for value in source:
                return value
            data = await asyncio.wait_for(reader.read(4096), 5)
            if not data:
                return None
            source.feed(data)

    helo, salt = read_helo(await read()), new_salt()
    writer.write(ping(helo, mine, salt))
    pong = await read()
    return reader, writer, pong, lambda: check_pong(pong, helo, mine, salt)


@pytest.mark.parametrize(
    ("section", "mine"),
    [
        (KEY, Credentials("client", "s3cret", "", "")),
        (USERS, Credentials("client", "s3cret", "bob", "pw 2")),
        ("empty_shared_key on\nself_hostname srv", Credentials("client", "", "", "")),
    ],
)
def test_who_holds_the_key_may_send(section, mine):
    async def scenario(server):
        _, writer, pong, check = await shake_hands(server, mine)
        check()
        assert pong[3] == "srv"
        writer.write(pack(["t", 1, {"n": "x" * 5000}]))
        await server.until(lambda: server.events)
        writer.close()

    serve(scenario, section)


@pytest.mark.parametrize(
    ("mine", "answer"),
    [
        (Credentials("client", "wrong", "ann", "pw1"), None),
        (Credentials("client", "s3cret", "ann", "wrong"), ["PONG", False]),
        (Credentials("client", "s3cret", "", ""), ["PONG", False]),
    ],
)
def test_who_does_not_is_refused_and_nothing_is_taken(mine, answer):
    async def scenario(server):
        reader, writer, pong, _ = await shake_hands(server, mine)
        assert pong == answer or pong[:2] == answer
        with contextlib.suppress(ConnectionError):
            writer.write(pack(["t", 1, {}]))
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert server.events == []
        assert "refused" in server.messages[0]

    serve(scenario, USERS)


@pytest.mark.parametrize("sent", [pack(["t", 1, {"n": 1}]), b"\xc1", b"\xda\xff\xff" + b"x" * 2000])
def test_messages_before_the_handshake_are_not_taken(sent):
    async def scenario(server):
        answer = await server.send(sent)
        assert unpack(answer)[0][0] == "HELO"
        assert server.events == []
        assert "refused" in server.messages[0]

    serve(scenario, KEY)


def test_messages_that_follow_the_ping_at_once_are_taken_after_it():
    async def scenario(server):
        reader, writer = await server.connect()
        helo = read_helo(unpack(await reader.read(4096))[0])
        mine = Credentials("client", "s3cret", "", "")
        writer.write(ping(helo, mine, new_salt()) + pack(["t", 1, {"n": 1}]))
        await server.until(lambda: server.events)
        writer.close()

    serve(scenario, KEY)


def test_a_handshake_that_takes_too_long_is_ended():
    async def scenario(server):
        answer = await server.send(b"\x96", until_closed=False)
        assert unpack(answer)[0][0] == "HELO"
        assert "takes too long" in server.messages[0]

    serve(scenario, KEY + "net.accept_timeout 0.1")


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("security.users ann pw1", "security.users is set"),
        ("shared_key", "shared_key is empty"),
        ("unix_perm 9", "no permissions"),
        ("unix_path /tmp/x.sock\nworkers 2", "workers"),
    ],
)
def test_what_would_let_in_too_many_is_refused_at_the_start(section, why):
    with pytest.raises((ConfigError, InvalidConfiguration), match=why):
        make_plugin("input", "forward", section)


# Sockets


def test_a_unix_socket_has_its_permissions_and_is_gone_after_the_end(tmp_path):
    path = tmp_path / "fw.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))

    async def scenario(server):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(pack(["t", 1, {"n": 1}]))
        await server.until(lambda: server.events)
        writer.close()

    serve(scenario, f"unix_path {path}\nunix_perm 0660")
    assert not path.exists()


def test_of_several_processes_only_the_first_has_the_unix_socket(tmp_path):
    path = tmp_path / "fw.sock"

    async def start_and_stop():
        context = FakeContext("forward.0")
        context.share = Share(1, 2)
        plugin = make_plugin("input", "forward", f"unix_path {path}", context)
        await plugin.start()
        assert not path.exists()
        await plugin.stop()

    asyncio.run(start_and_stop())


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "file"
    path.write_text("kept")
    with pytest.raises(ConfigError, match="can't listen"):
        run_input("forward", f"unix_path {path}")
    assert path.read_text() == "kept"


def test_messages_come_over_tls(tmp_path):
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "all.pem"
    )
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def scenario(server):
        _, writer = await server.connect(ssl=trusting, server_hostname="localhost")
        writer.write(pack(["t", 1, {"n": 1}]))
        await server.until(lambda: server.events)
        writer.close()

    pem = tmp_path / "all.pem"
    serve(scenario, f"tls on\ntls.crt_file {pem}\ntls.key_file {pem}")
