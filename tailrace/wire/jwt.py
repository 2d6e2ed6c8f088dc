"""JSON Web Tokens signed with RS256, and the key sets that check them: pure functions, no cryptographic library.

Checking an RSA signature is one power modulo a public number and a comparison, so Python's integers do. Formats: RFC 7515 (JWS),
7517 (JWK), 7519 (JWT); RFC 8017 §8.2.2 (RSASSA-PKCS1-v1_5).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any

import orjson

MOST_TOKEN_BYTES = 16 * 1024
MOST_KEYS = 256
LEAST_KEY_BITS, MOST_KEY_BITS = 2048, 8192
MOST_EXPONENT = 1 << 32
BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")
SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
"""The DigestInfo that stands before a SHA-256 digest (RFC 8017 §9.2)."""


class TokenError(ValueError):
    """A token, or a set of keys, that is not to be trusted; says why."""


@dataclass(slots=True)
class Token:
    """A token whose signature is not checked yet. `signed` are the bytes that `signature` is of."""

    head: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


@dataclass(slots=True)
class PublicKey:
    """An RSA key: modulus and exponent."""

    modulus: int
    exponent: int


def read_token(text: str) -> Token:
    """The parts of a token in its compact form."""
    raw = text.encode("utf-8", "surrogateescape")
    if len(raw) > MOST_TOKEN_BYTES:
        raise TokenError(f"the token has more than {MOST_TOKEN_BYTES} bytes")
    parts = raw.split(b".")
    if len(parts) != 3:
        raise TokenError("it is no JSON Web Token of three parts")
    head, claims = (read_object(unbase64(part)) for part in parts[:2])
    if head.get("alg") != "RS256":
        raise TokenError(f"its algorithm is {head.get('alg')!r}, only RS256 is taken")
    return Token(head, claims, raw[: raw.rindex(b".")], unbase64(parts[2]))


def unbase64(part: bytes) -> bytes:
    if not BASE64URL.fullmatch(part):
        raise TokenError("a part of it is not written in base64url")
    try:
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except binascii.Error as error:
        raise TokenError("a part of it is not written in base64url") from error


def read_object(data: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise TokenError("a part of it is no JSON") from error
    if type(value) is not dict:
        raise TokenError("a part of it is no JSON object")
    return value


def read_keys(data: bytes) -> dict[str, PublicKey]:
    """The RSA keys of a key set (JWKS) by their `kid`. Other keys are passed over."""
    keys = read_object(data).get("keys")
    if type(keys) is not list:
        raise TokenError("the key set has no keys")
    found = {}
    for key in keys[:MOST_KEYS]:
        if type(key) is dict and type(key.get("kid")) is str and (made := read_key(key)):
            found[key["kid"]] = made
    return found


def read_key(key: dict[str, Any]) -> PublicKey | None:
    """An RSA key for signatures, of a sound size."""
    modulus, exponent = key.get("n"), key.get("e")
    if key.get("kty") != "RSA" or key.get("use", "sig") != "sig":
        return None
    if type(modulus) is not str or type(exponent) is not str:
        return None
    try:
        n = int.from_bytes(unbase64(modulus.encode()[: MOST_KEY_BITS // 4]))
        e = int.from_bytes(unbase64(exponent.encode()[:16]))
    except TokenError:
        return None
    is_sound = LEAST_KEY_BITS <= n.bit_length() <= MOST_KEY_BITS and 3 <= e < MOST_EXPONENT
    return PublicKey(n, e) if is_sound and n % 2 and e % 2 else None


def is_signed_by(token: Token, key: PublicKey) -> bool:
    """Whether the token's signature is this key's."""
    size = (key.modulus.bit_length() + 7) // 8
    if len(token.signature) != size:
        return False
    number = int.from_bytes(token.signature)
    if number >= key.modulus:
        return False
    message = pow(number, key.exponent, key.modulus).to_bytes(size)
    digest = SHA256_PREFIX + hashlib.sha256(token.signed).digest()
    expected = b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest
    return hmac.compare_digest(message, expected)


def check_claims(
    claims: dict[str, Any], now: float, issuer: str, audience: str, clients: frozenset[str]
) -> None:
    """Raise `TokenError` unless the claims hold at `now` (seconds since the epoch). Empty: any will do."""
    expiry: Any = claims.get("exp")
    begin: Any = claims.get("nbf", 0)
    if not is_number(expiry) or expiry <= now:
        raise TokenError("it has expired")
    if not is_number(begin) or begin > now:
        raise TokenError("it does not hold yet")
    if issuer and claims.get("iss") != issuer:
        raise TokenError(f"its issuer is not {issuer}")
    audiences = claims.get("aud")
    if audience and audience not in (audiences if type(audiences) is list else [audiences]):
        raise TokenError(f"it is not for {audience}")
    client = claims.get("client_id", claims.get("azp"))
    if clients and (type(client) is not str or client not in clients):
        raise TokenError("its client is not among those allowed")


def is_number(value: Any) -> bool:
    return type(value) in (int, float)
