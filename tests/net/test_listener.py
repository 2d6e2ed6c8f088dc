"""Sockets to listen on."""

import socket
import stat

import pytest

from tailrace.config import ConfigError
from tailrace.net.listener import datagram_socket, listening_socket, unix_socket


def test_a_taken_port_is_an_error_that_names_it():
    with listening_socket("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}"):
            listening_socket("127.0.0.1", port)


@pytest.mark.parametrize("make", [listening_socket, datagram_socket])
def test_a_shared_port_may_be_listened_on_twice(make):
    with make("127.0.0.1", 0, share_port=True) as first:
        port = first.getsockname()[1]
        with make("127.0.0.1", port, share_port=True) as second:
            assert second.getsockname()[1] == port


def test_what_helps_depends_on_what_is_wrong():
    with pytest.raises(ConfigError, match="address of this machine"):
        listening_socket("192.0.2.1", 0)


def test_an_address_that_is_none_is_an_error():
    with pytest.raises(ConfigError, match="no address"):
        listening_socket("not an address", 0)


def test_the_sixth_version_is_listened_on_too():
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        made = listening_socket("::1", 0)
    except ConfigError as error:
        pytest.skip(str(error))
    with made:
        assert made.family == socket.AF_INET6


def test_a_unix_socket_takes_the_place_of_an_old_one_and_gets_its_mode(tmp_path):
    path = tmp_path / "x.sock"
    unix_socket(str(path), socket.SOCK_STREAM).close()
    with unix_socket(str(path), socket.SOCK_STREAM, mode=0o600):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_in_the_way_of_a_unix_socket_stays(tmp_path):
    path = tmp_path / "file"
    path.write_text("keep me")
    with pytest.raises(ConfigError, match="file"):
        unix_socket(str(path), socket.SOCK_DGRAM)
    assert path.read_text() == "keep me"


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_number_that_is_no_port_is_an_error_and_not_another_port(port):
    with pytest.raises(ConfigError, match=f"{port} is no port"):
        listening_socket("127.0.0.1", port)
