"""Tokens and key sets."""

import base64
import contextlib
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from tailrace.wire.jwt import TokenError, check_claims, is_signed_by, read_keys, read_token

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return base64url(value.to_bytes((value.bit_length() + 7) // 8))


def key_set(key=KEY, **changes):
    public = key.public_key().public_numbers()
    made = {"kty": "RSA", "kid": "k", "n": number(public.n), "e": number(public.e), **changes}
    return json.dumps({"keys": [{"kty": "EC", "kid": "x"}, 5, made]}).encode()


def signed(claims, key=KEY, digest=None, **head):
    parts = [{"alg": "RS256", "kid": "k", **head}, claims]
    text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    signature = key.sign(text.encode(), padding.PKCS1v15(), digest or hashes.SHA256())
    return f"{text}.{base64url(signature)}"


def test_a_token_is_known_by_its_signature():
    [key] = read_keys(key_set()).values()
    token = read_token(signed({"a": 1}))
    assert token.claims == {"a": 1}
    assert is_signed_by(token, key)


@pytest.mark.parametrize(
    "text",
    [
        signed({"a": 1}, key=OTHER),
        signed({"a": 1}, digest=hashes.SHA512()),
        signed({"a": 1})[:-4] + "AAAA",
        signed({"a": 1}).rpartition(".")[0] + ".",
        signed({"a": 1}).rpartition(".")[0] + "." + base64url(b"\xff" * 256),
        ".".join(
            (
                signed({"a": 2}).split(".")[0],
                signed({"a": 2}).split(".")[1],
                signed({}).split(".")[2],
            )
        ),
    ],
)
def test_any_other_signature_is_refused(text):
    [key] = read_keys(key_set()).values()
    assert not is_signed_by(read_token(text), key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "a.b.c.d",
        "e30.e30.*",
        signed({}, alg="none"),
        signed({}, alg="HS256"),
        "W10.e30.",
        "a" * 20_000,
    ],
)
def test_what_is_no_token_of_ours_is_refused(text):
    with pytest.raises(TokenError):
        read_token(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": "oct"},
        {"use": "enc"},
        {"n": number(3**600 | 1)},
        {"e": number(1)},
        {"e": number(4)},
        {"n": 5},
        {"kid": 5},
    ],
)
def test_keys_that_are_not_sound_are_passed_over(changes):
    assert read_keys(key_set(**changes)) == {}


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys":5}'])
def test_what_is_no_key_set_is_an_error(data):
    with pytest.raises(TokenError):
        read_keys(data)


GOOD = {"exp": 200, "iss": "i", "aud": ["x", "a"], "azp": "c"}


def test_claims_hold_when_all_are_right():
    check_claims(GOOD, 100, "i", "a", frozenset("c"))
    check_claims({"exp": 200}, 100, "", "", frozenset())


@pytest.mark.parametrize(
    "change",
    [
        {"exp": 100},
        {"exp": None},
        {"exp": "200"},
        {"nbf": 101},
        {"iss": "j"},
        {"aud": "ab"},
        {"aud": None},
        {"azp": "d"},
        {"azp": None},
    ],
)
def test_one_claim_that_is_wrong_is_enough(change):
    with pytest.raises(TokenError):
        check_claims({**GOOD, **change}, 100, "i", "a", frozenset("c"))


@given(text=st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_no_text_breaks_the_reader(text):
    with contextlib.suppress(TokenError):
        read_token(text)
    with contextlib.suppress(TokenError):
        read_keys(text.encode())
