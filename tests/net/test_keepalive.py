"""Probes of idle connections, as the options ask for them."""

import socket

import pytest

from tailrace.config.errors import Problems
from tailrace.net.keepalive import keepalive_of, set_keepalive
from tailrace.net.options import ConnectOptions, ListenOptions
from tailrace.testing import entries_of

NUMBERS = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)


def probes_of(sock):
    return [sock.getsockopt(socket.IPPROTO_TCP, number) for number in NUMBERS]


@pytest.mark.parametrize("kind", [ConnectOptions, ListenOptions])
def test_the_system_probes_connections_as_asked(kind):
    text = "net.tcp_keepalive on\nnet.tcp_keepalive_time 7\nnet.tcp_keepalive_probes 2"
    options = kind.read(entries_of(text), Problems())
    with socket.socket() as sock:
        interval = probes_of(sock)[1]
        set_keepalive(sock, keepalive_of(options))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert probes_of(sock) == [7, interval, 2]


def test_nothing_is_set_unless_asked_or_where_there_is_nothing_to_probe():
    assert keepalive_of(ConnectOptions.read(entries_of(""), Problems())) is None
    with socket.socket() as sock, socket.socket(socket.AF_UNIX) as unix:
        set_keepalive(sock, None)
        set_keepalive(unix, (7, 3, 2))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        assert unix.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
