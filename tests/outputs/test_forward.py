"""The output forward."""

import asyncio
import contextlib
import ssl

import msgpack
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import ConfigError
from tailrace.config.errors import Place
from tailrace.config.source import Section
from tailrace.net.connection import Unreachable
from tailrace.outputs.forward.target import Answers, ack_of
from tailrace.plugin import Partial, Retry
from tailrace.testing import FakeContext, chunk_of, entries_of, make_plugin
from tailrace.wire.forward import ForwardError
from tailrace.wire.forward.handshake import key_digest, password_digest

NONCE, AUTH = b"\x01\xffnonce", b"auth\xfe"


class Peer:
    """A server of the Forward protocol; `messages` holds what came, unpacked, of all connections.

    `ack(message)` gives what to answer to a message, or nothing. `key`: a handshake is demanded first, `users` as well if given.
    """

    def __init__(self, *, ack=None, key=None, users=None, keepalive=True, path="", tls=None):
        self.ack = ack
        self.key = key
        self.users = users
        self.keepalive = keepalive
        self.path = path
        self.tls = tls
        self.messages = []
        self.connections = 0
        self.port = 0

    async def __aenter__(self):
        if self.path:
            self._server = await asyncio.start_unix_server(self._talk, self.path)
        else:
            self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0, ssl=self.tls)
            self.port = self._server.sockets[0].getsockname()[1]
        self._closed = asyncio.Event()
        self._open = 0
        return self

    async def __aexit__(self, *failure):
        self._server.close()
        while self._open:
            await asyncio.sleep(0.001)

    async def _talk(self, reader, writer):
        self.connections += 1
        self._open += 1
        try:
            values = self._values(reader)
            if self.key is not None and not await self._shake_hands(values, writer):
                return
            async for value in values:
                self.messages.append(value)
                if self.ack is not None and (answer := self.ack(value)) is not None:
                    writer.write(answer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._open -= 1

    async def _values(self, reader):
        unpacker = msgpack.Unpacker(
            None, strict_map_key=False, unicode_errors="surrogateescape", max_buffer_size=1 << 24
        )
        while data := await reader.read(1 << 16):
            unpacker.feed(data)
            for value in unpacker:
                yield value

    async def _shake_hands(self, values, writer):
        auth = AUTH if self.users else b""
        options = {"nonce": NONCE, "auth": auth, "keepalive": self.keepalive}
        writer.write(msgpack.packb(["HELO", options]))
        try:
            ping = await anext(values)
        except StopAsyncIteration:
            return False
        kind, host, salt, digest, user, password = ping
        key = self.key.encode()
        right = digest == key_digest(salt.encode(), host.encode(), NONCE, key)
        if self.users:
            known = self.users.get(user, "").encode()
            right = right and password == password_digest(AUTH, user.encode(), known)
        proof = key_digest(salt.encode(), b"peer", NONCE, key)
        writer.write(msgpack.packb(["PONG", right, "" if right else "who are you", "peer", proof]))
        return kind == "PING" and right

    async def got(self, count):
        """Wait for messages."""
        async with asyncio.timeout(10):
            while len(self.messages) < count:
                await asyncio.sleep(0.001)
        return self.messages


def acked(message):
    return msgpack.packb({"ack": message[-1]["chunk"]})


def run(scenario):
    return asyncio.run(scenario)


@contextlib.asynccontextmanager
async def output(peer, section="", context=None):
    where = "" if peer.path else f"host 127.0.0.1\nport {peer.port}\n"
    plugin = make_plugin("output", "forward", where + section, context)
    try:
        yield plugin
    finally:
        await plugin.stop()


async def sent(section, *bodies, peer=None, flushes=1, messages=1, context=None):
    """What a peer gets of these events."""
    async with peer or Peer() as server:
        async with output(server, section, context) as plugin:
            for _ in range(flushes):
                await plugin.flush(chunk_of(bodies, "t"))
        return await server.got(messages)


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("send_options on", {"size": 1, "fluent_signal": 0}),
        ("add_option k a b\nadd_option l m", {"size": 1, "fluent_signal": 0, "k": "a b", "l": "m"}),
        ("compress gzip", {"size": 1, "compressed": "gzip", "fluent_signal": 0}),
    ],
)
def test_options_are_sent_when_something_implies_them(section, options):
    assert run(sent(section, {"a": 1}))[0][2] == options


def test_without_options_a_message_has_two_parts():
    ((tag, entries),) = run(sent("tag x.$TAG", {"a": 1}))
    assert tag == "x.t"
    assert [entry[1] for entry in entries] == [{"a": 1}]


def test_a_connection_is_used_again():
    peer = Peer()
    run(sent("", {"a": 1}, peer=peer, flushes=3, messages=3))
    assert peer.connections == 1


def test_open_connections_are_counted():
    async def scenario():
        async with Peer() as peer, output(peer) as plugin:
            before = plugin.connections()
            async with plugin.single.upstream.connection():
                during = plugin.connections()
            return before, during, plugin.connections()

    assert run(scenario()) == ((0, 0), (1, 1), (1, 0))


def test_a_unix_socket_carries_the_same(tmp_path):
    path = str(tmp_path / "s.sock")
    peer = Peer(path=path)
    assert run(sent(f"unix_path {path}", {"a": 1}, peer=peer))[0][0] == "t"


# Acks


def test_a_chunk_is_delivered_when_it_is_acknowledged():
    peer = Peer(ack=acked)
    ((_, _, options),) = run(sent("require_ack_response on", {"a": 1}, peer=peer))
    assert list(options) == ["chunk", "size", "fluent_signal"]


@pytest.mark.parametrize(
    "answer",
    [
        msgpack.packb({"ack": "other"}),
        msgpack.packb({"ack": 1}),
        msgpack.packb({}),
        msgpack.packb("ack"),
        b"\xc1",
        msgpack.packb(bytes(100_000)),
        msgpack.packb([[[[]]]] * 3) * 10_000,
    ],
)
def test_a_wrong_ack_is_a_retry_on_a_new_connection(answer):
    answers = [answer]
    peer = Peer(ack=lambda message: answers.pop() if answers else acked(message))

    async def scenario():
        async with peer, output(peer, "require_ack_response on") as plugin:
            with pytest.raises(Retry, match="no acknowledgement"):
                await plugin.flush(chunk_of([{"a": 1}]))
            await plugin.flush(chunk_of([{"a": 1}]))

    run(scenario())
    assert peer.connections == 2


def test_an_ack_that_does_not_come_in_time_is_a_retry():
    with pytest.raises(Retry, match="no acknowledgement"):
        run(sent("require_ack_response on\nnet.io_timeout 0.05", {"a": 1}))


def test_messages_are_acknowledged_in_any_order():
    held = []

    def ack(message):
        held.append(acked(message))
        return b"".join(reversed(held)) if len(held) == 3 else None

    section = "require_ack_response on\ntag $a"
    messages = run(sent(section, {"a": 1}, {"a": 2}, {"a": 2}, peer=Peer(ack=ack), messages=3))
    assert [message[0] for message in messages] == ["1", "2", "2"]


def test_only_messages_that_were_not_acknowledged_are_sent_again():
    def ack(message):
        return acked(message) if message[0] == "1" else msgpack.packb({"ack": "no"})

    async def scenario():
        section = "require_ack_response on\ntag $a"
        async with Peer(ack=ack) as peer, output(peer, section) as plugin:
            with pytest.raises(Partial) as caught:
                await plugin.flush(chunk_of([{"a": 1}, {"a": 2}, {"a": 3}]))
        return caught.value.retry.bodies

    assert run(scenario()) == [{"a": 2}, {"a": 3}]


class Pieces:
    """Stands for a connection on which these bytes come, then nothing more."""

    peer = "peer"

    def __init__(self, pieces):
        self.pieces = list(pieces)

    async def receive(self, seconds):
        return self.pieces.pop(0) if self.pieces else b""


SOME = st.recursive(
    st.none() | st.integers(-5, 5) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
)


@given(st.lists(st.binary(min_size=1, max_size=40) | SOME.map(msgpack.packb), max_size=5))
def test_whatever_a_server_answers_is_a_value_or_an_error(pieces):
    async def read_all():
        answers = Answers(Pieces(pieces), 1.0, 100)
        while True:
            with contextlib.suppress(ForwardError):
                ack_of(await answers.next())
                continue
            return

    with contextlib.suppress(Unreachable):
        run(read_all())


@given(SOME, st.integers(1, 50))
def test_an_answer_may_come_in_pieces(value, size):
    data = msgpack.packb(value)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert run(Answers(Pieces(pieces), 1.0, 10_000).next()) == value


@pytest.mark.parametrize(
    "data", [b"\x91" * 600, b"\xdd\xff\xff\xff\xff", b"\xc6\x7f\xff\xff\xff", b"\xdb" * 200]
)
def test_an_answer_that_pretends_to_be_huge_is_an_error(data):
    with pytest.raises((ForwardError, Unreachable)):
        run(Answers(Pieces([data]), 1.0, 1000).next())


# The handshake


@pytest.mark.parametrize(
    ("key", "users", "section"),
    [
        ("s3cret", None, "shared_key s3cret\nself_hostname me"),
        ("", None, "empty_shared_key on"),
        ("s3cret", {"ann": "pw"}, "shared_key s3cret\nusername ann\npassword pw"),
        ("", {"ann": "pw"}, "empty_shared_key on\nshared_key x\nusername ann\npassword pw"),
    ],
)
def test_a_peer_that_knows_the_key_gets_the_events_after_one_handshake(key, users, section):
    peer = Peer(key=key, users=users)
    assert len(run(sent(section, {"a": 1}, peer=peer, flushes=2, messages=2))) == 2
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("shared_key other", "who are you"),
        ("shared_key s3cret\nusername ann\npassword bad", "who are you"),
    ],
)
def test_a_refusal_is_a_retry_that_says_why_without_the_secret(section, why):
    async def scenario():
        peer = Peer(key="s3cret", users={"ann": "pw"})
        async with peer, output(peer, section) as plugin:
            with pytest.raises(Retry, match=why) as caught:
                await plugin.flush(chunk_of([{"a": 1}]))
        return peer.messages, str(caught.value)

    messages, text = run(scenario())
    assert messages == []
    assert "other" not in text
    assert "bad" not in text


def test_a_peer_without_handshake_gets_nothing_when_a_key_is_set():
    async def scenario():
        section = "shared_key x\nnet.connect_timeout 0.05"
        async with Peer() as peer, output(peer, section) as plugin:
            with pytest.raises(Retry):
                await plugin.flush(chunk_of([{"a": 1}]))
        return peer.messages

    assert run(scenario()) == []


@pytest.mark.parametrize("section", ["", "require_ack_response on"])
def test_a_peer_that_demands_a_handshake_is_told_when_no_key_is_set(section):
    async def scenario():
        async with Peer(key="k") as peer, output(peer, section) as plugin:
            for _ in range(2):
                with pytest.raises(Retry, match="give shared_key"):
                    await plugin.flush(chunk_of([{"a": 1}]))
        return peer.messages

    assert run(scenario()) == []


def test_a_peer_that_does_not_keep_connections_gets_a_new_one_each_time():
    peer = Peer(key="k", keepalive=False)
    run(sent("shared_key k", {"a": 1}, peer=peer, flushes=2, messages=2))
    assert peer.connections == 2


# What can't be


@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("compress gzip\ntime_as_integer on", "time_as_integer"),
        ("compress gzip\ntag $a", "tag made of the event"),
        ("username ann", "shared_key"),
        ("password pw", "shared_key"),
        ("tag $a[", "tag"),
        ("add_option chunk x\nrequire_ack_response on", "add_option"),
    ],
)
def test_options_that_contradict_each_other_are_an_error(section, why):
    with pytest.raises(ConfigError, match=why):
        make_plugin("output", "forward", section)


# Several servers


def upstream(*nodes):
    place = Place("up.conf", 1)
    sections = [Section("node", place, entries_of(node)) for node in nodes]
    return FakeContext(upstreams={"up.conf": [Section("upstream", place, [], sections)]})


def node(peer, name, more=""):
    return f"name {name}\nhost 127.0.0.1\nport {peer.port}\n{more}"


def bodies(peer):
    return [entry[1]["n"] for message in peer.messages for entry in message[1]]


async def flush(plugin, *numbers):
    for number in numbers:
        await plugin.flush(chunk_of([{"n": number}], "t"))


def test_nodes_take_turns_each_in_its_own_manner():
    async def scenario():
        async with Peer() as one, Peer(key="k", ack=acked) as two:
            context = upstream(
                node(one, "one", "tag first"),
                node(two, "two", "shared_key k\nrequire_ack_response on"),
            )
            plugin = make_plugin("output", "forward", "upstream up.conf", context)
            await flush(plugin, 1, 2, 3, 4)
            await one.got(2)
            assert plugin.connections() == (2, 0)
            await plugin.stop()
            return one, two

    one, two = run(scenario())
    assert (bodies(one), bodies(two)) == ([1, 3], [2, 4])
    assert (one.messages[0][0], len(one.messages[0])) == ("first", 2)
    assert (two.messages[0][0], two.messages[0][2]["size"]) == ("t", 1)


def test_each_node_has_its_own_tls(tmp_path):
    authority, server_side = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("localhost").configure_cert(server_side)

    async def scenario():
        async with Peer() as plain, Peer(tls=server_side, key="k") as safe:
            tls = f"tls on\ntls.ca_file {tmp_path}/ca.pem\ntls.vhost localhost\nshared_key k"
            context = upstream(node(plain, "plain"), node(safe, "safe", tls))
            plugin = make_plugin("output", "forward", "upstream up.conf", context)
            await flush(plugin, 1, 2)
            await plain.got(1)
            await safe.got(1)
            await plugin.stop()
            return bodies(plain), bodies(safe)

    assert run(scenario()) == ([1], [2])


def test_what_a_node_does_not_take_goes_to_the_next():
    async def scenario():
        async with Peer(ack=lambda message: b"\xc1") as bad, Peer() as good:
            context = upstream(node(bad, "bad", "require_ack_response on"), node(good, "good"))
            plugin = make_plugin("output", "forward", "upstream up.conf", context)
            await flush(plugin, 1, 2, 3)
            await good.got(3)
            await plugin.stop()
            return bad, good, [text for level, text in context.sink.messages if level == "warn"]

    bad, good, warnings = run(scenario())
    assert (bodies(bad), bodies(good)) == ([1], [1, 2, 3])
    assert len(warnings) == 1
    assert "node bad rests" in warnings[0]


def test_if_no_node_takes_it_each_is_told():
    async def scenario():
        async with Peer(ack=lambda message: b"\xc1") as bad:
            more = "require_ack_response on"
            context = upstream(node(bad, "one", more), node(bad, "two", more))
            plugin = make_plugin("output", "forward", "upstream up.conf", context)
            with pytest.raises(Retry, match=r"one: no ack.*two: no ack"):
                await flush(plugin, 1)
            await plugin.stop()

    run(scenario())


def test_what_stands_in_the_wrong_place_is_told():
    context = upstream("name a\nhost h\nport 1\nsend_option on")
    section = "upstream up.conf\nsend_options on\nhost h\ntls on\nnet.keepalive off"
    make_plugin("output", "forward", section, context)
    first, second = [text for level, text in context.sink.messages if level == "warn"]
    assert "send_options, host, tls: with `upstream`" in first
    assert "'send_option' is passed over" in second
    assert "send_options" in second


def test_a_node_that_will_not_do_is_an_error():
    context = upstream("name a\nhost h\nport 1\nshared_key k\ntime_as_integer perhaps")
    with pytest.raises(ConfigError, match="upstream"):
        make_plugin("output", "forward", "upstream up.conf", context)
