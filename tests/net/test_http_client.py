"""Requests and their answers."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.net import http_client
from tailrace.net.connection import Unreachable
from tailrace.net.http_client import HTTPClient, Response, ResponseReader
from tailrace.net.options import ConnectOptions
from tailrace.net.upstream import Server, Upstream
from tailrace.testing import CLOSE, RESET, FakeContext, FakeServer, Reply


def ask(server, *bodies, **options):
    """The responses to some requests over one client."""

    async def scenario():
        upstream = Upstream(Server("127.0.0.1", server.port), ConnectOptions(), FakeContext())
        client = HTTPClient(upstream, **options)
        try:
            return [await client.request("POST", "/p", body) for body in bodies]
        finally:
            await client.close()

    return asyncio.run(scenario())


def read(*parts, method="POST", limit=1000):
    """The response that these bytes are, and whether the connection may be kept."""
    reader = ResponseReader(method, limit)
    for part in parts:
        reader.feed(part)
    return reader.response if reader.is_complete else None, reader.keeps_connection


def test_requests_share_a_connection():
    with FakeServer() as server:
        ask(server, b"a", b"b", b"c")
    assert [request.connection for request in server.requests] == [0, 0, 0]
    assert [request.body for request in server.requests] == [b"a", b"b", b"c"]


@pytest.mark.parametrize("fault", [RESET, CLOSE])
def test_a_kept_connection_that_has_gone_is_replaced(fault):
    with FakeServer([200, fault, 200]) as server:
        responses = ask(server, b"a", b"b")
    assert [response.status for response in responses] == [200, 200]
    assert [request.body for request in server.requests] == [b"a", b"b", b"b"]


def test_a_server_may_end_each_connection():
    with FakeServer([Reply(200, close=True)]) as server:
        ask(server, b"a", b"b")
    assert [request.connection for request in server.requests] == [0, 1]


def test_time_between_parts_of_an_answer_has_a_limit():
    with FakeServer([Reply(delay=5)]) as server, pytest.raises(Unreachable, match=r"0\.1 s"):
        ask(server, b"a", read_idle_timeout=0.1)


def test_a_large_body_has_more_time_than_the_answer(monkeypatch):
    monkeypatch.setattr(http_client, "LEAST_BYTES_PER_SECOND", 1000)
    with FakeServer([Reply(delay=0.2)]) as server:
        ask(server, b"x" * 10_000, response_timeout=0.05)
        with pytest.raises(Unreachable, match=r"0\.05 s"):
            ask(server, b"x", response_timeout=0.05)


def test_a_response_has_status_headers_and_body():
    response, keep = read(b"HTTP/1.1 201 Made\r\nX-A: b\r\nContent-Length: 2\r\n\r\n", b"hi")
    assert (response.status, response.headers["x-a"], response.body) == (201, "b", b"hi")
    assert keep


def test_chunks_are_joined():
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    response, keep = read(head, b"2\r\nhi\r\n4\r\n th", b"e\r\n0\r\n\r\n")
    assert response.body == b"hi the"
    assert keep


def test_trailers_change_nothing():
    head = b"HTTP/1.1 200 OK\r\nRetry-After: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
    response, keep = read(head, b"2\r\nhi\r\n0\r\nRetry-After: 99\r\nX-A: b\r\n\r\n")
    assert response.headers == {"retry-after": "1", "transfer-encoding": "chunked"}
    assert keep


def test_a_body_without_a_length_ends_with_the_connection():
    response, keep = read(b"HTTP/1.0 200 OK\r\n\r\n", b"all", b"")
    assert response.body == b"all"
    assert not keep


def test_an_interim_answer_is_passed_over():
    response, _ = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert response.status == 200


def test_a_head_has_no_body():
    response, _ = read(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", method="HEAD")
    assert response.status == 200


@pytest.mark.parametrize(
    "parts",
    [
        [b"220 smtp\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", b""],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
        [b"HTTP/1.1 200 O", b""],
        [b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"y" * 1000) * 100],
    ],
)
def test_what_is_no_whole_answer_is_a_failure(parts):
    with pytest.raises(Unreachable):
        read(*parts)


def test_a_long_body_is_cut():
    response, keep = read(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + b"x" * 20, limit=5)
    assert (response.body, response.is_cut, keep) == (b"xxxxx", True, True)


def test_a_body_without_end_is_not_read_for_ever(monkeypatch):
    monkeypatch.setattr(http_client, "MOST_UNWANTED_BYTES", 100)
    response, keep = read(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 50] * 4, limit=10)
    assert (len(response.body), response.is_cut, keep) == (10, True, False)


@given(data=st.binary(max_size=200), cut=st.integers(0, 200))
def test_any_bytes_give_a_response_or_a_failure(data, cut):
    for whole in (data, b"HTTP/1.1 200 OK\r\n" + data):
        reader = ResponseReader("POST", 50)
        try:
            reader.feed(whole[:cut] or b"H")
            reader.feed(whole[cut:])
        except Unreachable:
            continue
        assert not reader.is_complete or reader.response.status >= 200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("3", 3.0),
        ("0.5", 0.5),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 60.0),
        ("Wed, 21 Oct 2015 07:26:00 GMT", 0.0),
        ("-5", None),
        ("9" * 400, 3600.0),
        ("tomorrow", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    response = Response(503, {"retry-after": value})
    assert response.retry_after(1445412420.0) == seconds


def test_the_text_of_a_response_fits_a_log_line():
    assert Response(200, body=b"a\r\nb\xff\x1b[2J").text() == "a  b\ufffd [2J"
    assert Response(200, body=b"x" * 50).text(10) == "x" * 10 + "…"
