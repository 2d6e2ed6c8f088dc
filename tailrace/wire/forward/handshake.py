"""Who proves what to whom before a chunk is sent, when both sides have a shared key.

    server: ["HELO", {nonce, auth, keepalive}]
    client: ["PING", hostname, salt, digest of the key, user, digest of the password]
    server: ["PONG", accepted, reason, hostname, digest of the key]

A digest of the key is SHA-512 in hexadecimal of salt, hostname of the side that sends it, nonce and key; of the password: of auth, user
and password. `auth` is empty when the server asks for no user. All that comes from the other side is untrusted.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, NamedTuple

import msgpack

from tailrace.wire.forward import ForwardError, as_bytes

MOST_BYTES = 8192
"""The largest message of a handshake."""
MOST_NONCE_BYTES = 1024
DIGEST_LENGTH = 128


class Helo(NamedTuple):
    """What the server wants proven; `auth` is empty if it asks for no user."""

    nonce: bytes
    auth: bytes
    keepalive: bool


class Credentials(NamedTuple):
    """What a client has to show."""

    hostname: str
    shared_key: str
    username: str
    password: str


def key_digest(salt: bytes, hostname: bytes, nonce: bytes, shared_key: bytes) -> str:
    return hashlib.sha512(salt + hostname + nonce + shared_key).hexdigest()


def password_digest(auth: bytes, username: bytes, password: bytes) -> str:
    return hashlib.sha512(auth + username + password).hexdigest()


def new_salt() -> bytes:
    """16 letters: some servers take text alone."""
    return secrets.token_urlsafe(12).encode()


def read_helo(value: Any) -> Helo:
    """A server's first message, unpacked."""
    if type(value) is not list or len(value) < 2 or as_bytes(value[0]) != b"HELO":
        raise ForwardError("what the server sent first is no HELO")
    if type(value[1]) is not dict:
        raise ForwardError("the HELO has no options")
    nonce, auth = as_bytes(value[1].get("nonce")), as_bytes(value[1].get("auth", b""))
    if nonce is None:
        raise ForwardError("the HELO has no nonce")
    if auth is None or len(nonce) > MOST_NONCE_BYTES or len(auth) > MOST_NONCE_BYTES:
        raise ForwardError("the nonce or auth of the HELO is too long, or no text")
    return Helo(nonce, auth, value[1].get("keepalive") is not False)


def ping(helo: Helo, mine: Credentials, salt: bytes) -> bytes:
    """The client's proof."""
    hostname, key = mine.hostname.encode(), mine.shared_key.encode()
    username = password = ""
    if helo.auth:
        username = mine.username
        password = password_digest(helo.auth, username.encode(), mine.password.encode())
    digest = key_digest(salt, hostname, helo.nonce, key)
    packed: bytes = msgpack.packb(
        ["PING", mine.hostname, salt.decode("ascii"), digest, username, password]
    )
    return packed


def check_pong(value: Any, helo: Helo, mine: Credentials, salt: bytes) -> None:
    """`ForwardError` unless the server took the proof and has proven to hold the same key."""
    if type(value) is not list or len(value) != 5 or as_bytes(value[0]) != b"PONG":
        raise ForwardError("what the server answered to the PING is no PONG")
    _, accepted, reason, hostname, digest = value
    if accepted is not True:
        words = (as_bytes(reason) or b"no reason given").decode("utf-8", "replace")[:200]
        raise ForwardError(f"the server refused the authorization: {words}")
    server, proof = as_bytes(hostname), as_bytes(digest)
    if server is None or proof is None or len(proof) != DIGEST_LENGTH:
        raise ForwardError("the PONG has no hostname or no digest")
    expected = key_digest(salt, server, helo.nonce, mine.shared_key.encode())
    if not hmac.compare_digest(expected.encode(), proof.lower()):
        raise ForwardError("the server does not hold the same shared_key: its digest differs")
