"""Requests that must bring a JSON Web Token (`Authorization: Bearer ...`): `oauth2.*` of inputs.

Everything that is in doubt is refused: a token without the name of its key, a key that is not in the set, a set that can't be had.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tailrace.config import ConfigError, Options, Seconds, option
from tailrace.net.auth import parse_url
from tailrace.net.http_client import HTTPClient
from tailrace.net.options import ConnectOptions, tls_for_url
from tailrace.net.tls import client_tls
from tailrace.net.upstream import Upstream
from tailrace.plugin import Context, Retry
from tailrace.wire.jwt import (
    PublicKey,
    TokenError,
    check_claims,
    is_signed_by,
    read_keys,
    read_token,
)

PAUSE_SECONDS = 10.0
"""How long to wait after a key set could not be had before it is asked for again."""
RESPONSE_SECONDS = 10.0


class BearerOptions(Options):
    """`oauth2.*` of a server."""

    validate: bool = option(False)
    """Take only requests with a token (`Authorization: Bearer ...`) that holds; others are answered with 401."""

    issuer: str = option("")
    """Who must have issued the token."""

    jwks_url: str = option("")
    """Where the issuer's public keys are, as: https://HOST/.well-known/jwks.json. The system's authorities are trusted."""

    allowed_audience: str = option("")
    """For whom the token must be."""

    allowed_clients: list[str] = option(many=True)
    """The clients (`client_id` or `azp`) that may send. May be given many times."""

    jwks_refresh_interval: Seconds = option(300.0)
    """How long the keys are used before they are asked for again."""


class KeysUnreachable(Exception):
    """The keys can't be had now, so no token can be checked."""


class BearerCheck:
    """Checks tokens against the issuer's keys, which are fetched when first needed."""

    def __init__(self, options: BearerOptions, context: Context) -> None:
        if not options.issuer or not options.jwks_url:
            raise ConfigError(
                "oauth2.validate is on, but there is no issuer or no jwks_url.",
                "Give oauth2.issuer and oauth2.jwks_url.",
            )
        self.options = options
        self.context = context
        self.clients = frozenset(options.allowed_clients)
        server, is_tls, self._target = parse_url(options.jwks_url)
        keeper = client_tls(tls_for_url(is_tls), context.config_dir, context.log)
        defaults: dict[str, Any] = {}
        upstream = Upstream(server, ConnectOptions(**defaults), context, keeper)
        self._client = HTTPClient(upstream, response_timeout=RESPONSE_SECONDS)
        self._keys: dict[str, PublicKey] = {}
        self._good_until = self._ask_again_at = 0.0
        self._asking = asyncio.Lock()

    async def check(self, authorization: str) -> None:
        """Raise `TokenError` unless the header holds a good token; `KeysUnreachable` if that can't be known."""
        scheme, _, text = authorization.strip().partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise TokenError("there is no bearer token")
        token = read_token(text.strip())
        name = token.head.get("kid")
        if type(name) is not str:
            raise TokenError("it does not name its key")
        key = (await self.keys()).get(name)
        if key is None:
            raise TokenError("its key is not among the issuer's")
        if not is_signed_by(token, key):
            raise TokenError("its signature is wrong")
        now = self.context.clock.time_ns() / 1e9
        options = self.options
        check_claims(token.claims, now, options.issuer, options.allowed_audience, self.clients)

    async def keys(self) -> dict[str, PublicKey]:
        """The issuer's keys. They are asked for again only as time passes, whatever tokens come."""
        async with self._asking:
            now = self.context.clock.monotonic()
            if now < self._good_until:
                return self._keys
            if now < self._ask_again_at:
                raise KeysUnreachable
            try:
                self._keys = await self._fetch()
            except (Retry, TokenError) as error:
                self._ask_again_at = now + PAUSE_SECONDS
                self.context.log.error(f"{self.options.jwks_url}: the keys can't be had: {error}")
                raise KeysUnreachable from error
            self._good_until = now + self.options.jwks_refresh_interval
            return self._keys

    async def _fetch(self) -> dict[str, PublicKey]:
        answer = await self._client.request("GET", self._target)
        if answer.status != 200:
            raise TokenError(f"status {answer.status}")
        return read_keys(answer.body)

    async def close(self) -> None:
        await self._client.close()
