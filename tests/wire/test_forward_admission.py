"""The server's side of the handshake of the Forward protocol."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.forward import ForwardError
from tailrace.wire.forward.admission import Challenge, Guard
from tailrace.wire.forward.handshake import Credentials, check_pong, new_salt, ping, read_helo

GUARD = Guard("server", "s3cret", {"ann": "pw1", "bob": ""})
OPEN = GUARD._replace(users={})


def shake_hands(guard, mine):
    """The PONG that a client with these credentials gets, whether it may send, and the client's own view."""
    challenge, salt = Challenge(guard), new_salt()
    helo = read_helo(unpack(challenge.helo()))
    pong, is_admitted = challenge.check(unpack(ping(helo, mine, salt)))
    return unpack(pong), is_admitted, lambda: check_pong(unpack(pong), helo, mine, salt)


def unpack(data):
    return msgpack.unpackb(data, unicode_errors="surrogateescape")


@pytest.mark.parametrize(
    ("guard", "mine"),
    [
        (OPEN, Credentials("client", "s3cret", "", "")),
        (GUARD, Credentials("client", "s3cret", "ann", "pw1")),
        (GUARD, Credentials("client", "s3cret", "bob", "")),
        (Guard("s", "", {"ä": "ö"}), Credentials("c", "", "ä", "ö")),
    ],
)
def test_who_proves_the_key_and_the_password_may_send(guard, mine):
    pong, is_admitted, check = shake_hands(guard, mine)
    assert is_admitted
    assert pong[:4] == ["PONG", True, "", guard.hostname]
    check()


@pytest.mark.parametrize(
    "mine", [("ann", "wrong"), ("ann", ""), ("eve", "pw1"), ("eve", ""), ("", "")]
)
def test_a_wrong_user_is_refused_with_a_reason(mine):
    pong, is_admitted, check = shake_hands(GUARD, Credentials("client", "s3cret", *mine))
    assert not is_admitted
    assert pong == ["PONG", False, "username/password mismatch", "", ""]
    with pytest.raises(ForwardError, match="mismatch"):
        check()


@pytest.mark.parametrize("key", ["", "s3cre", "S3CRET"])
def test_a_wrong_key_gets_no_answer(key):
    with pytest.raises(ForwardError, match="shared_key mismatch"):
        shake_hands(OPEN, Credentials("client", key, "", ""))


ANY = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.binary(max_size=3) | st.just("PING"),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=2), inner),
)


@given(
    ANY | st.lists(st.text(max_size=130), min_size=5, max_size=5).map(lambda rest: ["PING", *rest])
)
def test_nothing_else_lets_anybody_in(value):
    with pytest.raises(ForwardError):
        Challenge(GUARD).check(value)


def test_each_client_is_asked_anew():
    assert Challenge(OPEN).helo() != Challenge(OPEN).helo()


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_helo_holds_the_nonce_whatever_its_bytes(nonce, auth):
    helo = read_helo(unpack(Challenge(OPEN, nonce, auth).helo()))
    assert (helo.nonce, helo.auth) == (nonce, auth)
