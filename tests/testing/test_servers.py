"""Servers for tests: what they promise to those who test outputs with them."""

import http.client
import socket
import time

import pytest

from tailrace.testing import (
    CLOSE,
    GARBAGE,
    HANG,
    PARTIAL,
    RESET,
    FakeServer,
    Reply,
    TCPSink,
    UDPSink,
)


def ask(server, body=b"", path="/", timeout=5.0):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    try:
        connection.request("POST", path, body, {"X-A": "b"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_a_script_is_answered_step_by_step_and_its_last_step_stays():
    with FakeServer([500, Reply(201, b"made", {"X-B": "c"}), 204]) as server:
        answers = [ask(server) for _ in range(4)]
    assert answers == [(500, b""), (201, b"made"), (204, b""), (204, b"")]


def test_requests_are_kept_as_they_came():
    with FakeServer() as server:
        ask(server, b"body", "/p?q")
        ask(server)
        first, second = server.wait(2)
    assert (first.method, first.path, first.body, first.headers["x-a"]) == (
        "POST",
        "/p?q",
        b"body",
        "b",
    )
    assert (first.connection, second.connection) == (0, 1)


@pytest.mark.parametrize("fault", [RESET, CLOSE, PARTIAL, GARBAGE, HANG])
def test_a_fault_is_a_failure_for_the_client(fault):
    with FakeServer([fault]) as server:
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(server, timeout=0.2)
        assert len(server.requests) == 1


def test_an_answer_can_be_late():
    with FakeServer([Reply(delay=0.1)]) as server:
        began = time.monotonic()
        ask(server)
        assert time.monotonic() - began >= 0.1


def test_a_sink_keeps_the_bytes_of_each_connection_and_answers():
    with TCPSink(reply=bytes.upper) as sink:
        for data in (b"one", b"two"):
            with socket.create_connection(("127.0.0.1", sink.port)) as client:
                client.sendall(data)
                assert client.recv(10) == data.upper()
        assert sink.wait(6) == b"onetwo"
    assert sink.received == [b"one", b"two"]


def test_a_sink_can_break_connections():
    with (
        TCPSink(reset_after=3) as sink,
        socket.create_connection(("127.0.0.1", sink.port)) as client,
    ):
        client.sendall(b"abc")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_udp_sink_keeps_each_datagram():
    with UDPSink() as sink, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for data in (b"one", b""):
            client.sendto(data, ("127.0.0.1", sink.port))
        assert sink.wait(2) == [b"one", b""]


def test_a_wait_for_what_does_not_come_ends():
    with FakeServer() as server, pytest.raises(TimeoutError):
        server.wait(1, seconds=0.05)
