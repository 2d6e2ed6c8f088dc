"""Requests that must bring a token."""

import asyncio
import contextlib

import pytest

from tailrace.config import ConfigError
from tailrace.net.bearer import BearerCheck, BearerOptions, KeysUnreachable
from tailrace.net.http_server import Response
from tailrace.testing import EPOCH_NS, FakeContext
from tailrace.wire.jwt import TokenError
from tests.net.http_server.serving import serving
from tests.wire.test_jwt import key_set, signed

NOW = EPOCH_NS // 1_000_000_000
CLAIMS = {"exp": NOW + 60, "iss": "me", "aud": "a", "client_id": "c"}


@contextlib.asynccontextmanager
async def checking(keys=None, status=200, **options):
    """A check whose keys come from a server; `asked` counts how often."""

    async def handler(request):
        check.asked += 1
        return Response(status, key_set() if keys is None else keys)

    async with serving(handler) as server:
        url = f"http://127.0.0.1:{server.ports[0]}/jwks"
        context = FakeContext()
        made = BearerOptions(validate=True, issuer="me", jwks_url=url, **options)
        check = BearerCheck(made, context)
        check.asked = 0
        try:
            yield check
        finally:
            await check.close()


def outcome(authorization, **named):
    """None, or the error, of one check."""

    async def scenario():
        async with checking(**named) as check:
            try:
                await check.check(authorization)
            except (TokenError, KeysUnreachable) as error:
                return type(error)

    return asyncio.run(scenario())


def test_a_good_token_is_taken():
    assert outcome(f"bearer {signed(CLAIMS)}", allowed_audience="a", allowed_clients=["c"]) is None


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Basic abc",
        f"Bearer {signed(CLAIMS, kid='other')}",
        f"Bearer {signed(CLAIMS, kid=None)}",
        f"Bearer {signed({**CLAIMS, 'exp': NOW})}",
        f"Bearer {signed({**CLAIMS, 'iss': 'you'})}",
        f"Bearer {signed(CLAIMS)[:-8]}AAAAAAAA",
    ],
)
def test_what_is_in_doubt_is_refused(authorization):
    assert outcome(authorization) is TokenError


@pytest.mark.parametrize("named", [{"status": 500}, {"keys": b"no json"}])
def test_without_keys_nothing_is_taken(named):
    assert outcome(f"Bearer {signed(CLAIMS)}", **named) is KeysUnreachable


def test_keys_are_asked_for_as_time_passes_and_not_for_each_token():
    async def scenario():
        async with checking() as check:
            for kid in ("k", "a", "b"):
                with contextlib.suppress(TokenError):
                    await check.check(f"Bearer {signed({**CLAIMS, 'exp': NOW + 999}, kid=kid)}")
            first = check.asked
            check.context.clock.advance(301)
            await check.check(f"Bearer {signed({**CLAIMS, 'exp': NOW + 999})}")
            return first, check.asked

    assert asyncio.run(scenario()) == (1, 2)


def test_a_server_that_has_no_keys_is_left_alone_for_a_while():
    async def scenario():
        async with checking(status=500) as check:
            for _ in range(3):
                with contextlib.suppress(KeysUnreachable):
                    await check.check(f"Bearer {signed(CLAIMS)}")
            return check.asked

    assert asyncio.run(scenario()) == 1


@pytest.mark.parametrize("given", [{"issuer": "me"}, {"jwks_url": "http://x/y"}])
def test_issuer_and_keys_are_both_needed(given):
    with pytest.raises(ConfigError, match="issuer"):
        BearerCheck(BearerOptions(validate=True, **given), FakeContext())
