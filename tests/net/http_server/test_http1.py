"""HTTP/1.1 as the server speaks it."""

import asyncio

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.net.http_server import AcceptSettings, HttpLimits, Response
from tailrace.testing import FakeContext
from tests.net.http_server.serving import bodies_of, serving, talk

GET = b"GET /a?b=c%20d HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def exchange(data, limits=None, handler=None, end=False, context=None):
    async def scenario():
        arguments = {"handler": handler} if handler else {}
        async with serving(limits=limits, context=context, **arguments) as server:
            reply = await talk(server, data, end=end)
            assert server.held.count == 0
            return bodies_of(reply)

    return asyncio.run(scenario())


def test_requests_on_one_connection_are_answered_in_order():
    post = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    assert exchange(GET + post + LAST) == [
        (200, b"GET /a?b=c%20d 1.1 0|"),
        (200, b"POST /p 1.1 3|abc"),
        (200, b"GET /last 1.1 0|"),
    ]


def test_a_chunked_body_is_put_together():
    head = b"POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") == [(200, b"POST /p 1.1 5|abcde")]


def test_many_pipelined_requests_are_all_answered():
    assert len(exchange(GET * 200 + LAST)) == 201


def test_the_old_version_closes_after_the_answer():
    assert exchange(b"GET / HTTP/1.0\r\n\r\n") == [(200, b"GET / 1.0 0|")]


def test_a_client_that_has_ended_its_side_still_gets_its_answer():
    assert exchange(GET, end=True) == [(200, b"GET /a?b=c%20d 1.1 0|")]


def test_head_is_answered_without_a_body():
    [(status, body)] = exchange(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (status, body) == (200, b"")


def test_an_upgrade_that_is_not_wanted_is_passed_over():
    upgrade = b"GET /u HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert [status for status, _ in exchange(upgrade + LAST)] == [200, 200]


@pytest.mark.parametrize(
    "body",
    [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
)
def test_the_body_of_a_request_that_asks_for_an_upgrade_is_taken(body):
    head = b"POST /u HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    expected = [(200, b"POST /u 1.1 3|abc"), (200, b"GET /last 1.1 0|")]
    assert exchange(head + body + LAST) == expected


def test_what_is_no_http_is_answered_with_400():
    assert [status for status, _ in exchange(b"\x16\x03\x01 hello\r\n\r\n")] == [400]


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 3, 4\r\n"]
)
def test_a_body_whose_end_is_in_doubt_is_refused(framing):
    head = b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n"
    assert [status for status, _ in exchange(head + b"0\r\n\r\n" + GET)] == [400]


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 11\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nb\r\n"]
)
def test_a_body_over_the_limit_is_answered_with_413(framing):
    head = b"POST / HTTP/1.1\r\nHost: x\r\n" + framing
    limits = HttpLimits(body_bytes=10)
    assert exchange(head + b"a" * 11, limits) == [(413, b"")]


@pytest.mark.parametrize("line", [b"GET /" + b"a" * 900, b"GET / HTTP/1.1\r\nX: " + b"a" * 900])
def test_a_head_over_the_limit_is_answered_with_431_before_it_ends(line):
    assert [status for status, _ in exchange(line, HttpLimits(head_bytes=500))] == [431]


@pytest.mark.parametrize("trailers", [b"X: a\r\n" * 2000, b"X: " + b"a" * 9000])
def test_trailers_are_passed_over_but_not_without_end(trailers):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(head + b"1\r\na\r\n0\r\nHost: y\r\n\r\n") == [(200, b"POST / 1.1 1|a")]

    async def scenario():
        async with serving(limits=HttpLimits(head_bytes=500)) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.ports[0])
            writer.write(head + b"1\r\na\r\n0\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(trailers)
            reply = await reader.read()
            writer.close()
            return bodies_of(reply)

    assert [status for status, _ in asyncio.run(scenario())] == [431]


def test_too_much_at_once_over_all_connections_is_answered_with_503():
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n"
    assert [status for status, _ in exchange(head + b"a" * 60, HttpLimits(held_bytes=50))] == [503]


def test_a_silent_connection_is_closed():
    assert exchange(GET, HttpLimits(idle_seconds=0.1)) == [(200, b"GET /a?b=c%20d 1.1 0|")]


def test_a_request_that_comes_too_slowly_is_answered_with_408():
    limits = HttpLimits(request_seconds=0.1)
    assert [status for status, _ in exchange(b"GET / HTTP/1.1\r\n", limits)] == [408]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(run):
    async def handler(request):
        return Response(200, b"x" * (32 << 20))

    async def scenario():
        async with serving(handler, HttpLimits(idle_seconds=0.1)) as server:
            _, writer = await asyncio.open_connection("127.0.0.1", server.ports[0], limit=1)
            writer.write(GET * 20)
            async with asyncio.timeout(5):
                while not server.connections:
                    await asyncio.sleep(0.01)
                while server.connections:
                    await asyncio.sleep(0.01)
            writer.close()
            return server.held.count

    assert run(scenario()) == 0


def test_connections_over_the_limit_are_closed():
    async def scenario():
        async with serving(settings=AcceptSettings(connections=1)) as server:
            first = await asyncio.open_connection("127.0.0.1", server.ports[0])
            first[1].write(GET)
            assert await first[0].readuntil(b"|")
            assert await talk(server, b"") == b""
            first[1].close()
            await first[1].wait_closed()
            return server.turned_away

    assert asyncio.run(scenario()) == 1


def test_a_body_that_is_awaited_is_asked_for():
    async def scenario():
        async with serving() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.ports[0])
            writer.write(
                b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
            )
            interim = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"ab")
            answer = await reader.readuntil(b"|ab")
            writer.close()
            return interim, answer

    interim, answer = asyncio.run(scenario())
    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.endswith(b"POST / 1.1 2|ab")


def test_a_handler_that_fails_is_logged_and_answered_with_500():
    async def broken(request):
        raise KeyError("oops")

    context = FakeContext()
    assert [status for status, _ in exchange(LAST, handler=broken, context=context)] == [500]
    assert any("oops" in message for _, message in context.sink.messages)


def test_closing_lets_an_answer_under_way_finish():
    async def scenario():
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow(request):
            begun.set()
            await go_on.wait()
            return Response(204)

        async with serving(slow) as server:
            asking = asyncio.ensure_future(talk(server, GET))
            await begun.wait()
            closing = asyncio.ensure_future(server.close(grace_seconds=5))
            await asyncio.sleep(0)
            go_on.set()
            await closing
            return await asking

    reply = asyncio.run(scenario())
    assert reply.startswith(b"HTTP/1.1 204 ")
    assert b"Content-Length" not in reply


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
def test_no_bytes_hang_or_break_the_server(data):
    limits = HttpLimits(idle_seconds=2.0, head_bytes=100, body_bytes=100)
    context = FakeContext()
    exchange(GET[:16] + data, limits, end=True, context=context)
    assert not [message for level, message in context.sink.messages if level == "error"]
