"""The HTTP/2 client, against a server made of h2."""

import asyncio
import ssl

import h2.settings
import pytest
import trustme

from tailrace.net.client import ClientOptions, http2_client
from tailrace.net.connection import Unreachable
from tailrace.net.options import ConnectOptions, HostOptions, TLSOptions
from tailrace.testing import FakeContext, FakeServer, TCPSink
from tests.net.http2_peer import (
    CANCEL,
    CLOSE,
    GARBAGE,
    GO_AWAY,
    HANG,
    LEAVE,
    PING,
    REFUSE,
    Answer,
    HTTP2Peer,
)

STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS


def run(server, work, *, tls=None, context=None, net=None, **options):
    """Do `work(client)` with a client of this server."""

    async def scenario():
        given = ClientOptions(
            server=HostOptions(host="127.0.0.1", port=server.port),
            tls=tls or TLSOptions(),
            net=ConnectOptions(**(net or {})),
        )
        client = http2_client(given, context or FakeContext(), port=80, **options)
        try:
            async with asyncio.timeout(20):
                return await work(client)
        finally:
            await client.close()

    return asyncio.run(scenario())


def post(server, *bodies, **options):
    """The answers to these bodies, sent one after another."""

    async def work(client):
        return [await client.request("POST", "/a", body) for body in bodies]

    return run(server, work, **options)


def failure_of(server, *bodies, **options):
    with pytest.raises(Unreachable) as caught:
        post(server, *bodies, **options)
    return caught.value.why


def test_a_request_and_its_answer():
    answer = Answer(201, b"made", {"x-a": "1"}, {"grpc-status": "0"})

    async def work(client):
        headers = [("X-Team", "storage"), ("Connection", "close"), ("Host", "other.example")]
        return await client.request("POST", "/v1/logs?x=1", b"body", headers)

    with HTTP2Peer([answer]) as server:
        response = run(server, work)
    assert (response.status, response.body, response.version) == (201, b"made", 2)
    assert (response.headers["x-a"], response.trailers) == ("1", {"grpc-status": "0"})
    [request] = server.requests
    assert (request.method, request.path, request.body) == ("POST", "/v1/logs?x=1", b"body")
    assert request.headers[":authority"] == "other.example"
    assert (request.headers["x-team"], request.headers["content-length"]) == ("storage", "4")
    assert "connection" not in request.headers


def test_requests_share_a_connection():
    with HTTP2Peer() as server:
        answers = post(server, b"a", b"b", b"")
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [(request.connection, request.body) for request in server.requests] == [
        (0, b"a"),
        (0, b"b"),
        (0, b""),
    ]


def test_requests_are_under_way_side_by_side():
    async def work(client):
        requests = [client.request("POST", "/", b"x") for _ in range(5)]
        waiting = asyncio.gather(*requests)
        await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 5)
        server.release()
        return await waiting

    with HTTP2Peer([HANG]) as server:
        assert len(run(server, work)) == 5
    assert server.connections == 1


def test_a_connection_is_in_use_while_a_request_is_under_way():
    async def work(client):
        before = client.connections()
        waiting = asyncio.ensure_future(client.request("POST", "/", b"x"))
        await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 1)
        during = client.connections()
        server.release()
        await waiting
        return before, during, client.connections()

    with HTTP2Peer([HANG]) as server:
        assert run(server, work) == ((0, 0), (1, 1), (1, 0))


def test_no_more_requests_at_once_than_the_server_allows():
    async def work(client):
        await client.request("POST", "/", b"x")  # the server's settings are known after it
        await asyncio.gather(*[client.request("POST", "/", bytes(100_000)) for _ in range(8)])

    with HTTP2Peer(settings={STREAMS: 2}) as server:
        run(server, work)
    assert len(server.requests) == 9
    assert server.most_at_once == 2


def test_a_body_larger_than_the_windows_arrives_whole():
    body = bytes(range(256)) * 8192
    with HTTP2Peer(window=1000) as server:
        post(server, b"", body)  # the window is known after the first
    assert server.requests[1].body == body


def test_an_answer_before_the_request_was_whole_is_heard():
    with HTTP2Peer([200, Answer(413, early=True), 200], window=1000) as server:
        answers = post(server, b"", bytes(1 << 20), b"")
    assert [answer.status for answer in answers] == [200, 413, 200]
    assert server.connections == 1


def test_a_ping_is_answered():
    with HTTP2Peer([PING]) as server:
        assert [answer.status for answer in post(server, b"a")] == [200]


def test_informational_answers_are_passed_over():
    with HTTP2Peer([Answer(204, informational=True)]) as server:
        [answer] = post(server, b"a")
    assert (answer.status, "link" in answer.headers) == (204, False)


def test_the_body_of_an_answer_ends_at_the_limit():
    with HTTP2Peer([Answer(200, bytes(60_000)), 200]) as server:
        answers = post(server, b"a", b"b", body_limit=1000)
    assert (len(answers[0].body), answers[0].is_cut, answers[1].is_cut) == (1000, True, False)
    assert server.connections == 1


def test_a_head_that_is_too_large_is_a_failure():
    many = {f"x-{number}": "a" * 1000 for number in range(100)}
    with HTTP2Peer([Answer(200, headers=many)]) as server:
        assert "no HTTP/2" in failure_of(server, b"a")


def test_what_is_no_http2_is_a_failure():
    with HTTP2Peer([GARBAGE]) as server:
        assert "no HTTP/2" in failure_of(server, b"a")


def test_a_server_that_speaks_http1_is_a_failure():
    with FakeServer() as server:
        assert failure_of(server, b"a")


def test_no_answer_in_time_is_a_failure_and_the_next_goes_by_a_new_connection():
    async def work(client):
        await client.request("POST", "/", b"a")
        with pytest.raises(Unreachable, match="gave no answer within"):
            await client.request("POST", "/", b"b")
        return await client.request("POST", "/", b"c")

    with HTTP2Peer([200, HANG, 200]) as server:
        assert run(server, work, response_timeout=0.3).status == 200
    assert server.connections == 2


def test_a_connection_to_a_dead_server_is_not_kept():
    async def work(client):
        with pytest.raises(Unreachable, match="gave no answer within"):
            await client.request("POST", "/", b"a")
        async with asyncio.timeout(5):
            while client.sessions:
                await asyncio.sleep(0.01)

    with TCPSink(stall=True) as server:
        run(server, work, response_timeout=0.1)


def test_a_request_that_is_given_up_leaves_the_others_alone():
    async def work(client):
        await client.request("POST", "/", b"x")
        given_up = asyncio.ensure_future(client.request("POST", "/", b"a"))
        await asyncio.to_thread(server.wait_until, lambda: len(server.requests) == 2)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        return await client.request("POST", "/", b"b")

    with HTTP2Peer([200, HANG, 200]) as server:
        assert run(server, work).status == 200
    assert server.connections == 1


@pytest.mark.parametrize("step", [CLOSE, CANCEL])
def test_a_first_request_that_breaks_is_a_failure(step):
    with HTTP2Peer([step]) as server:
        assert failure_of(server, b"a")
    assert len(server.requests) == 1


@pytest.mark.parametrize("step", [CLOSE, GO_AWAY])
def test_a_kept_connection_that_ends_is_replaced_once(step):
    with HTTP2Peer([200, step, 200]) as server:
        answers = post(server, b"a", b"b")
    assert [answer.status for answer in answers] == [200, 200]
    assert [request.connection for request in server.requests] == [0, 0, 1]


@pytest.mark.parametrize("step", [REFUSE, GO_AWAY])
def test_what_the_server_did_not_look_at_is_sent_anew_once(step):
    with HTTP2Peer([step, 200]) as server:
        assert [answer.status for answer in post(server, b"a")] == [200]
    with HTTP2Peer([step]) as server:
        assert failure_of(server, b"a")
    assert len(server.requests) == 2


def test_an_announced_end_lets_the_answer_come_and_the_next_request_go_elsewhere():
    with HTTP2Peer([LEAVE, 200]) as server:
        answers = post(server, b"a", b"b")
    assert [answer.status for answer in answers] == [200, 200]
    assert [request.connection for request in server.requests] == [0, 1]


def test_a_connection_is_used_as_often_as_it_may_be():
    with HTTP2Peer() as server:
        post(server, b"a", b"b", b"c", b"d", net={"net_keepalive_max_recycle": 1})
    assert [request.connection for request in server.requests] == [0, 0, 1, 1]


def test_without_keepalive_each_request_has_its_connection():
    with HTTP2Peer() as server:
        post(server, b"a", b"b", net={"net_keepalive": False})
    assert [request.connection for request in server.requests] == [0, 1]


def test_a_connection_that_nobody_uses_is_closed():
    async def work(client):
        await client.request("POST", "/", b"a")
        async with asyncio.timeout(5):
            while client.sessions:
                await asyncio.sleep(0.01)
        await client.request("POST", "/", b"b")

    with HTTP2Peer() as server:
        run(server, work, net={"net_keepalive_idle_timeout": 0.05})
    assert server.connections == 2


def test_no_connection_is_a_failure():
    with HTTP2Peer() as server:
        pass
    assert "no connection" in failure_of(server, b"a")


# TLS


def contexts(*protocols):
    """A server's TLS context that chooses of these protocols, and a client's options."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context, TLSOptions(tls=True, tls_verify=False)


@pytest.mark.parametrize("choice", ["negotiate", "force"])
def test_http2_is_negotiated_by_tls(choice):
    tls, options = contexts("h2", "http/1.1")
    with HTTP2Peer(tls=tls) as server:
        [answer] = post(server, b"a", tls=options, choice=choice)
    assert (answer.status, answer.version) == (200, 2)
    assert server.requests[0].headers[":scheme"] == "https"


@pytest.mark.parametrize("protocols", [("http/1.1",), ()])
def test_a_server_that_chooses_http1_gets_it(protocols):
    tls, options = contexts(*protocols)

    async def work(client):
        version = await client.version()
        answers = [await client.request("POST", "/a", b"x") for _ in range(2)]
        return version, [answer.version for answer in answers]

    with FakeServer(tls=tls) as server:
        assert run(server, work, tls=options) == (1, [1, 1])
    assert [request.connection for request in server.requests] == [0, 0]


def test_forced_http2_does_without_the_servers_word():
    tls, options = contexts()
    with HTTP2Peer(tls=tls) as server:
        [answer] = post(server, b"a", tls=options, choice="force")
    assert answer.version == 2


def test_the_version_is_known_without_tls_before_there_is_a_connection():
    async def work(client):
        return await client.version()

    with HTTP2Peer() as server:
        assert run(server, work) == 2
    assert server.connections == 0
