"""The server's side of the handshake (see `handshake`): who may send.

Nothing of a client is believed before its PING has proven the shared key and, if there are users, the password of one. Digests are compared in
constant time.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgpack

from tailrace.wire.forward import ForwardError, as_bytes
from tailrace.wire.forward.handshake import DIGEST_LENGTH, key_digest, password_digest

NONCE_BYTES = 16
MOST_PING_BYTES = 1023
"""As Fluent Bit takes them."""
WRONG_USER = "username/password mismatch"


class Guard(NamedTuple):
    """What a server asks for. `users` are passwords by name; none: the key alone counts."""

    hostname: str
    shared_key: str
    users: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Challenge:
    """What one client has to prove itself against."""

    guard: Guard
    nonce: bytes = field(default_factory=lambda: secrets.token_bytes(NONCE_BYTES))
    auth: bytes = field(default_factory=lambda: secrets.token_bytes(NONCE_BYTES))

    def helo(self) -> bytes:
        """The first message on a connection. Nonce and salt are text to MessagePack, as Fluent Bit's clients want them."""
        return b"\x92" + b"".join(
            (
                packed("HELO"),
                b"\x82",
                packed("nonce"),
                as_text(self.nonce),
                packed("auth"),
                as_text(self.auth),
            )
        )

    def check(self, ping: Any) -> tuple[bytes, bool]:
        """The PONG for a PING, and whether the client may send; `ForwardError` for what gets no answer."""
        if type(ping) is not list or len(ping) != 6 or as_bytes(ping[0]) != b"PING":
            raise ForwardError("what the client sent first is no PING")
        proofs = [proof for proof in map(as_bytes, ping[1:]) if proof is not None]
        if len(proofs) != 5:
            raise ForwardError("its PING holds what is no text")
        hostname, salt, digest, user, password = proofs
        key = self.guard.shared_key.encode()
        if not same(key_digest(salt, hostname, self.nonce, key), digest):
            raise ForwardError("shared_key mismatch")
        if self.guard.users and not self.knows(user, password):
            return packed(["PONG", False, WRONG_USER, "", ""]), False
        mine = self.guard.hostname
        proof = key_digest(salt, mine.encode(), self.nonce, key)
        return packed(["PONG", True, "", mine, proof]), True

    def knows(self, user: bytes, password: bytes) -> bool:
        """Whether there is such a user with this password; a user who is not there costs as much time."""
        name = user.decode("utf-8", "surrogateescape")
        known = self.guard.users.get(name)
        right = same(password_digest(self.auth, user, (known or "").encode()), password)
        return right and known is not None


def same(digest: str, claimed: bytes) -> bool:
    """Whether a digest in hexadecimal is what somebody claims it to be."""
    return len(claimed) == DIGEST_LENGTH and hmac.compare_digest(digest.encode(), claimed.lower())


def packed(value: Any) -> bytes:
    data: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return data


def as_text(data: bytes) -> bytes:
    """Fewer than 32 bytes as a MessagePack str, whatever they are."""
    return bytes([0xA0 | len(data)]) + data
