"""The handshake of the Forward protocol."""

import hashlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.forward import ForwardError
from tailrace.wire.forward.handshake import (
    Credentials,
    Helo,
    check_pong,
    key_digest,
    new_salt,
    ping,
    read_helo,
)

MINE = Credentials("client", "s3cret", "ann", "pw1")
HELO = Helo(b"\x00\xff nonce", b"\xfe auth", True)
SALT = b"0123456789abcdef"
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=4),
)


def sha512(text):
    return hashlib.sha512(text).hexdigest()


def pong(*, hostname="server", key="s3cret", accepted=True, reason=""):
    digest = key_digest(SALT, hostname.encode(), HELO.nonce, key.encode())
    return ["PONG", accepted, reason, hostname, digest]


def test_a_ping_proves_the_key_and_the_password():
    sent = msgpack.unpackb(ping(HELO, MINE, SALT))
    key = sha512(SALT + b"client" + HELO.nonce + b"s3cret")
    assert sent == ["PING", "client", SALT.decode(), key, "ann", sha512(HELO.auth + b"annpw1")]


def test_a_ping_names_no_user_unless_the_server_asks_for_one():
    assert msgpack.unpackb(ping(HELO._replace(auth=b""), MINE, SALT))[4:] == ["", ""]


def test_a_server_that_holds_the_key_is_believed():
    check_pong(pong(), HELO, MINE, SALT)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (pong(key="other"), "same shared_key"),
        (pong(accepted=False, reason="shared_key mismatch"), "shared_key mismatch"),
        (pong(accepted=1), "refused"),
        (pong()[:4], "no PONG"),
        ([*pong()[:3], None, "x" * 128], "no hostname"),
        ([*pong()[:4], "x" * 127], "no digest"),
        ({"ack": "x"}, "no PONG"),
    ],
)
def test_a_server_that_proves_nothing_is_an_error(answer, why):
    with pytest.raises(ForwardError, match=why):
        check_pong(answer, HELO, MINE, SALT)


def test_a_helo_may_bring_text_or_binary():
    assert read_helo(["HELO", {"nonce": "a\udcff", "auth": b"b", "keepalive": False}]) == Helo(
        b"a\xff", b"b", False
    )
    assert read_helo(["HELO", {"nonce": b"a"}]) == Helo(b"a", b"", True)


@pytest.mark.parametrize(
    "value",
    [
        ["HELO"],
        ["HELO", []],
        ["HELO", {}],
        ["HELO", {"nonce": 1}],
        ["HELO", {"nonce": b"x" * 1025}],
        ["EHLO", {"nonce": b"x"}],
        "HELO",
    ],
)
def test_what_is_no_helo_is_an_error(value):
    with pytest.raises(ForwardError):
        read_helo(value)


@given(ANY)
def test_whatever_comes_is_read_or_an_error(value):
    for read in (read_helo, lambda it: check_pong(it, HELO, MINE, SALT)):
        try:
            read(value)
        except ForwardError:
            continue


def test_salts_are_of_16_letters_and_differ():
    assert len({new_salt() for _ in range(50)}) == 50
    assert all(len(new_salt()) == 16 for _ in range(50))
