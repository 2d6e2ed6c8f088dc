"""HTTP/2 as the server speaks it, against h2's own client side."""

import asyncio
import contextlib
import ssl

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.net.http_server import ALPN, PREFACE, AcceptSettings, HttpLimits, Response
from tailrace.testing import FakeContext
from tests.net.http_server.serving import serving, talk


class Client:
    """One connection; `replies` holds status and body by stream once it has ended."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.statuses, self.bodies, self.ended = {}, {}, set()
        self.terminated = None
        self.http.initiate_connection()

    def request(self, method, path, body=b"", **headers):
        number = self.http.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", path)]
        fields += [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.http.send_headers(number, fields, end_stream=not body)
        if body:
            self.http.send_data(number, body, end_stream=True)
        self.send()
        return number

    async def upload(self, path, body):
        """A request whose body is sent as the server gives room for it."""
        number = self.http.get_next_available_stream_id()
        fields = [(":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", path)]
        self.http.send_headers(number, fields)
        rest = memoryview(body)
        while rest:
            room = min(
                self.http.local_flow_control_window(number), self.http.max_outbound_frame_size
            )
            if room:
                part, rest = rest[:room], rest[room:]
                self.http.send_data(number, bytes(part), end_stream=not rest)
                continue
            self.send()
            async with asyncio.timeout(10):
                data = await self.reader.read(65536)
            for event in self.http.receive_data(data):
                self.note(event)
        self.send()
        return number

    def send(self):
        self.writer.write(self.http.data_to_send())

    async def hear(self, *numbers):
        """Read until these streams have ended, or the connection has."""
        async with asyncio.timeout(10):
            while not set(numbers) <= self.ended and self.terminated is None:
                data = await self.reader.read(65536)
                if not data:
                    break
                for event in self.http.receive_data(data):
                    self.note(event)
                self.send()
        return [(self.statuses.get(n), self.bodies.get(n, b"")) for n in numbers]

    def note(self, event):
        if isinstance(event, h2.events.ResponseReceived):
            self.statuses[event.stream_id] = int(dict(event.headers)[b":status"])
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
            self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.terminated = event.error_code


@contextlib.asynccontextmanager
async def client(server, tls=None):
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.ports[0], ssl=tls, server_hostname="localhost" if tls else None
    )
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


def test_streams_of_one_connection_are_answered_side_by_side():
    async def scenario():
        first_is_there, go_on = asyncio.Event(), asyncio.Event()

        async def handler(request):
            if request.path == "/slow":
                first_is_there.set()
                await go_on.wait()
            return Response(201, request.body, (("X-A", "b"),))

        async with serving(handler) as server, client(server) as http:
            slow = http.request("POST", "/slow", b"one")
            await first_is_there.wait()
            fast = http.request("POST", "/fast?q", b"two")
            assert await http.hear(fast) == [(201, b"two")]
            go_on.set()
            answers = await http.hear(slow)
            assert server.held.count == 0
            return answers

    assert asyncio.run(scenario()) == [(201, b"one")]


def test_the_request_is_told_as_in_the_first_version():
    seen = []

    async def handler(request):
        seen.append(request)
        return Response(204)

    async def scenario():
        async with serving(handler) as server, client(server) as http:
            return await http.hear(http.request("GET", "/a?b=c", x_one="1"))

    assert asyncio.run(scenario()) == [(204, b"")]
    [request] = seen
    assert (request.method, request.target, request.version) == ("GET", "/a?b=c", "2")
    assert request.headers == {"host": "x", "x-one": "1"}


def test_a_body_larger_than_the_window_comes_whole():
    async def handler(request):
        return Response(200, b"%d" % len(request.body))

    async def scenario():
        async with serving(handler) as server, client(server) as http:
            return await http.hear(await http.upload("/", b"a" * 3_500_000))

    assert asyncio.run(scenario()) == [(200, b"3500000")]


def test_headers_over_the_limit_end_the_connection():
    async def scenario():
        limits = HttpLimits(head_bytes=1000)
        async with serving(limits=limits) as server, client(server) as http:
            await http.hear(http.request("GET", "/", x="a" * 2000))
            return http.terminated

    assert asyncio.run(scenario()) is not None


def test_an_answer_larger_than_the_window_comes_whole():
    large = bytes(range(256)) * 2000

    async def handler(request):
        return Response(200, large)

    async def scenario():
        async with serving(handler) as server, client(server) as http:
            return await http.hear(http.request("GET", "/"))

    assert asyncio.run(scenario()) == [(200, large)]


@pytest.mark.parametrize(
    ("limits", "status"), [(HttpLimits(body_bytes=9), 413), (HttpLimits(held_bytes=9), 503)]
)
def test_bodies_over_a_limit_are_refused_and_the_connection_goes_on(limits, status):
    async def scenario():
        async with serving(limits=limits) as server, client(server) as http:
            refused = await http.hear(http.request("POST", "/", b"a" * 10))
            taken = await http.hear(http.request("POST", "/", b"a"))
            return [answer[0] for answer in refused + taken], server.held.count

    assert asyncio.run(scenario()) == ([status, 200], 0)


def test_a_client_that_opens_and_resets_without_end_is_cut_off():
    async def handler(request):
        await asyncio.Event().wait()

    async def scenario():
        async with serving(handler) as server, client(server) as http:
            for _ in range(400):
                number = http.request("GET", "/")
                http.http.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
                http.send()
            await http.hear(number)
            return http.terminated

    assert asyncio.run(scenario()) == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM


def test_a_silent_connection_is_closed():
    async def scenario():
        limits = HttpLimits(idle_seconds=0.1)
        async with serving(limits=limits) as server, client(server) as http:
            http.send()
            await http.hear(1)
            return http.terminated

    assert asyncio.run(scenario()) == h2.errors.ErrorCodes.NO_ERROR


def test_a_client_that_gives_no_room_for_its_answer_is_closed_and_holds_no_body():
    async def handler(request):
        return Response(200, b"x" * 100_000)

    async def scenario():
        limits = HttpLimits(idle_seconds=0.1)
        async with serving(handler, limits) as server, client(server) as http:
            http.request("POST", "/", b"a" * 1000)
            async with asyncio.timeout(10):
                while data := await http.reader.read(65536):
                    for event in http.http.receive_data(data):
                        http.note(event)
                    assert not http.statuses or server.held.count == 0
            return http.ended, http.terminated

    assert asyncio.run(scenario()) == (set(), h2.errors.ErrorCodes.NO_ERROR)


def test_a_reset_request_counts_as_held_until_its_handler_has_ended():
    async def scenario():
        go_on = asyncio.Event()

        async def handler(request):
            await go_on.wait()
            return Response(200)

        async with serving(handler) as server, client(server) as http:
            number = http.request("POST", "/", b"a" * 1000)
            http.http.reset_stream(number)
            http.send()
            async with asyncio.timeout(5):
                while not any(getattr(each, "resets", 0) for each in server.connections):
                    await asyncio.sleep(0.01)
            held = server.held.count
            go_on.set()
            async with asyncio.timeout(5):
                while server.held.count:
                    await asyncio.sleep(0.01)
            return held

    assert asyncio.run(scenario()) == 1000


@pytest.fixture
def contexts():
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    server.set_alpn_protocols(list(ALPN))
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    return server, trusting


def test_the_protocol_is_agreed_on_within_tls(contexts):
    async def scenario():
        async with serving(settings=AcceptSettings(tls=contexts[0])) as server:
            contexts[1].set_alpn_protocols(["h2"])
            async with client(server, contexts[1]) as http:
                [second] = await http.hear(http.request("POST", "/", b"a"))
            contexts[1].set_alpn_protocols(["http/1.1"])
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.ports[0], ssl=contexts[1], server_hostname="localhost"
            )
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            first = await reader.readuntil(b"|")
            writer.close()
            return second, first

    second, first = asyncio.run(scenario())
    assert second == (200, b"POST / 2 1|a")
    assert first.endswith(b"GET / 1.1 0|")


def test_without_http2_the_preface_is_a_bad_request():
    async def scenario():
        async with serving(limits=HttpLimits(http2=False)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.ports[0])
            writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            reply = await reader.read()
            writer.close()
            return reply

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 400 ")


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


FRAMES = st.builds(
    frame, st.integers(0, 10), st.integers(0, 255), st.integers(0, 5), st.binary(max_size=40)
)


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(FRAMES | st.binary(max_size=60), max_size=5))
def test_no_bytes_hang_or_break_the_server(parts):
    """Frames of every kind, and what is none, behind a proper beginning."""
    context = FakeContext()

    async def scenario():
        limits = HttpLimits(idle_seconds=2.0)
        async with serving(limits=limits, context=context) as server:
            data = PREFACE + frame(4, 0, 0, b"") + b"".join(parts)
            await talk(server, data, end=True)
            return server.held.count

    assert asyncio.run(scenario()) == 0
    assert not [message for level, message in context.sink.messages if level == "error"]
