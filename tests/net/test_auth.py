"""Tokens."""

import asyncio
import base64
import json
from urllib.parse import parse_qs

import pytest
import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tailrace.config import ConfigError
from tailrace.config.errors import Problems
from tailrace.net.auth import OAuth2Options, TokenSource, basic, read_token
from tailrace.net.connection import Unreachable
from tailrace.net.http_client import Response
from tailrace.net.options import ConnectOptions, TLSOptions
from tailrace.testing import EPOCH_NS, FakeContext, FakeServer, Reply, entries_of

SECRET = "enable on\nclient_id me\nclient_secret s"


def answer(**fields):
    return Reply(body=json.dumps({"token_type": "bearer", **fields}).encode())


def source_of(server, text=SECRET, context=None):
    problems = Problems()
    options = OAuth2Options.read(
        entries_of(f"{text}\ntoken_url http://127.0.0.1:{server.port}/t?x=1"), problems
    )
    assert options is not None, problems.found
    return TokenSource(options, context or FakeContext(), ConnectOptions(), TLSOptions(), 5.0)


def tokens(server, text=SECRET, context=None, pauses=(0,)):
    """The tokens that are given after each pause (seconds)."""
    context = context or FakeContext()

    async def scenario():
        source = source_of(server, text, context)
        found = []
        for pause in pauses:
            context.clock.advance(pause)
            found.append(await source.token())
        await source.close()
        return found

    return asyncio.run(scenario())


def test_a_token_is_kept_until_shortly_before_its_end():
    script = [answer(access_token="a", expires_in=100), answer(access_token="b", expires_in=100)]
    with FakeServer(script) as server:
        text = SECRET + "\nrefresh_skew_seconds 10"
        assert tokens(server, text, pauses=(0, 89, 2)) == ["a", "a", "b"]


def test_a_token_that_lives_shorter_than_the_skew_is_used_for_half_its_life():
    script = [answer(access_token="a", expires_in=20), answer(access_token="b", expires_in=20)]
    with FakeServer(script) as server:
        assert tokens(server, pauses=(0, 9, 2)) == ["a", "a", "b"]


def test_one_request_serves_all_that_wait():
    async def scenario(server):
        source = source_of(server)
        found = await asyncio.gather(*(source.token() for _ in range(5)))
        await source.close()
        return found

    with FakeServer([answer(access_token="a", expires_in=100)]) as server:
        assert asyncio.run(scenario(server)) == ["a"] * 5
    assert len(server.requests) == 1


def test_the_form_holds_what_was_asked_for():
    with FakeServer([answer(access_token="a")]) as server:
        text = SECRET + "\nauth_method post\naudience x y\nresource r\nuser_agent me/1"
        tokens(server, text)
    (request,) = server.requests
    assert request.path == "/t?x=1"
    assert request.body == (
        b"grant_type=client_credentials&audience=x%20y&resource=r&client_id=me&client_secret=s"
    )
    assert request.headers["user-agent"] == "me/1"
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    "response",
    [
        Response(500),
        Response(200, body=b"{}"),
        Response(200, body=b"[]"),
        Response(200, body=b"no"),
        Response(200, body=b'{"access_token":5}'),
        Response(200, body=b'{"access_token":"a","expires_in":"x"}'),
        Response(200, body=b'{"access_token":"a","token_type":"mac"}'),
    ],
)
def test_an_answer_without_a_token_is_a_failure(response):
    with pytest.raises(Unreachable, match="oauth2"):
        read_token(response, "server")


def decoded(part):
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.mark.parametrize("header", ["kid", "x5t", "x5t#S256"])
def test_an_assertion_is_signed_with_the_key(tmp_path, header):
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    leaf = authority.issue_cert("me", key_type=trustme.KeyType.RSA)
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    text = (
        "enable on\nclient_id me\nauth_method private_key_jwt\njwt_key_file key.pem\n"
        f"jwt_cert_file cert.pem\njwt_header {header}\njwt_aud them\njwt_ttl_seconds 7"
    )
    with FakeServer([answer(access_token="a")]) as server:
        tokens(server, text, FakeContext(config_dir=tmp_path))
    assertion = parse_qs(server.requests[0].body.decode())["client_assertion"][0]
    head, claims, signature = assertion.split(".")
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate((tmp_path / "cert.pem").read_bytes())
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    certificate.public_key().verify(
        raw, f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    digest = certificate.fingerprint(hashes.SHA256() if "256" in header else hashes.SHA1())
    shown = decoded(head)[header]
    if header == "kid":
        assert shown == digest.hex().upper()
    else:
        assert base64.urlsafe_b64decode(shown + "=" * (-len(shown) % 4)) == digest
    now = EPOCH_NS // 10**9
    found = decoded(claims)
    assert (found["iss"], found["sub"], found["aud"]) == ("me", "me", "them")
    assert (found["iat"], found["exp"]) == (now, now + 7)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("auth_method private_key_jwt", "certificate"),
        ("auth_method private_key_jwt\njwt_key_file none\njwt_cert_file none", "jwt_key_file"),
        ("auth_method post", "secret"),
    ],
)
def test_what_a_method_lacks_is_an_error_at_start(tmp_path, text, what):
    with FakeServer() as server, pytest.raises(ConfigError, match=what):
        source_of(server, f"enable on\nclient_id me\n{text}", FakeContext(config_dir=tmp_path))


def test_basic_joins_user_and_password():
    assert base64.b64decode(basic("é", "b:c")[6:]) == "é:b:c".encode()
