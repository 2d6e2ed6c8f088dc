"""Who a client says it is: Basic, Bearer, and OAuth 2.0 client credentials (RFC 6749 4.4, RFC 7523 for signed assertions)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tailrace.config import ConfigError, Options, Seconds, one_of, option
from tailrace.net.connection import Unreachable
from tailrace.net.http_client import HTTPClient, Response
from tailrace.net.options import ConnectOptions, TLSOptions, tls_for_url
from tailrace.net.tls import client_tls
from tailrace.net.upstream import Server, Upstream
from tailrace.plugin import Context

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded"
DEFAULT_LIFETIME_SECONDS = 300.0
"""How long a token is used whose server says nothing of it."""
MOST_LIFETIME_SECONDS = 10.0 * 365 * 86400


def basic(user: str, password: str) -> str:
    """The value of `Authorization` for a user and a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def bearer(token: str) -> str:
    """The value of `Authorization` for a token."""
    return f"Bearer {token}"


class OAuth2Options(Options):
    """`oauth2.*`: get a token from an authorization server and send it as a Bearer token."""

    enable: bool = option(False)
    """Get a token with client credentials (OAuth 2.0) and send it with each request."""

    token_url: str = option("")
    """Address of the authorization server's token endpoint."""

    client_id: str = option("")
    """Who asks for the token."""

    client_secret: str = option("", secret=True)
    """The client's secret, for the methods basic and post."""

    user_agent: str = option("")
    """`User-Agent` of the requests for tokens."""

    scope: str = option("")
    """Scope to ask for."""

    audience: str = option("")
    """Audience to ask for."""

    resource: str = option("")
    """Resource to ask for (RFC 8707)."""

    auth_method: str = option("basic", reader=one_of("basic", "post", "private_key_jwt"))
    """How the client proves itself: basic (header), post (in the form) or private_key_jwt (signed assertion)."""

    jwt_key_file: str = option("")
    """private_key_jwt: private RSA key (PEM)."""

    jwt_cert_file: str = option("")
    """private_key_jwt: certificate (PEM or DER) whose thumbprint stands in the assertion."""

    jwt_aud: str = option("")
    """private_key_jwt: audience of the assertion; default: `oauth2.token_url`."""

    jwt_header: str = option("kid", reader=one_of("kid", "x5t", "x5t#S256"))
    """private_key_jwt: the header field that holds the thumbprint: kid, x5t or x5t#S256."""

    jwt_ttl_seconds: int = option(300)
    """private_key_jwt: seconds that an assertion is valid."""

    refresh_skew_seconds: int = option(60)
    """Ask for a new token so many seconds before the old one ends."""

    timeout: Seconds = option(0.0)
    """Longest time for the answer; 0: as for the output's own requests."""

    connect_timeout: Seconds = option(0.0)
    """Longest time to connect; 0: `net.connect_timeout`."""


class TokenSource:
    """Gets tokens, and keeps each until shortly before its end. One request at a time, whoever waits for it."""

    def __init__(
        self,
        options: OAuth2Options,
        context: Context,
        net: ConnectOptions,
        tls_options: TLSOptions,
        response_timeout: float,
    ) -> None:
        self.options = options
        self.context = context
        check(options)
        server, tls, self._target = parse_url(options.token_url)
        values = {name: getattr(net, name) for name in net._declared}
        if options.connect_timeout:
            values["net_connect_timeout"] = options.connect_timeout
        upstream = Upstream(
            server,
            ConnectOptions(**values),
            context,
            client_tls(tls_for_url(tls, tls_options), context.config_dir, context.log),
        )
        self._client = HTTPClient(
            upstream, response_timeout=options.timeout or response_timeout or 60.0
        )
        self._signer: Signer | None = None
        if options.auth_method == "private_key_jwt":
            self._signer = Signer(options, context.config_dir)
        self._token = ""
        self._refresh_at = 0.0
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """A token that is valid now; `Unreachable` (so `Retry`) if there is none."""
        async with self._lock:
            if not self._token or self.context.clock.monotonic() >= self._refresh_at:
                await self._refresh()
            return self._token

    def forget(self, token: str) -> None:
        """The server does not take this token any more."""
        if token == self._token:
            self._token = ""

    async def close(self) -> None:
        await self._client.close()

    async def _refresh(self) -> None:
        headers = [("Content-Type", FORM)]
        if self.options.user_agent:
            headers.append(("User-Agent", self.options.user_agent))
        if self.options.auth_method == "basic":
            headers.append(
                ("Authorization", basic(self.options.client_id, self.options.client_secret))
            )
        body = form(self._fields()).encode()
        response = await self._client.request("POST", self._target, body, headers)
        self._token, lifetime = read_token(response, self._client.peer)
        skew = max(self.options.refresh_skew_seconds, 0)
        # A token that lives shorter than the skew is used for half of its life.
        keep = lifetime - skew if lifetime > skew else lifetime / 2
        self._refresh_at = self.context.clock.monotonic() + keep
        self.context.log.info(f"oauth2: a token of {self._client.peer}, valid for {lifetime:g} s")

    def _fields(self) -> list[tuple[str, str]]:
        options = self.options
        fields = [("grant_type", "client_credentials")]
        wishes = [(name, getattr(options, name)) for name in ("scope", "audience", "resource")]
        fields += [(name, value) for name, value in wishes if value]
        if options.auth_method == "post":
            fields += [("client_id", options.client_id), ("client_secret", options.client_secret)]
        elif self._signer is not None:
            fields += [
                ("client_id", options.client_id),
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", self._signer.assertion(self.context.clock.time_ns() // 10**9)),
            ]
        return fields


def check(options: OAuth2Options) -> None:
    """`ConfigError` if something that the method needs is missing."""
    if not options.token_url or not options.client_id:
        raise ConfigError(
            "oauth2.enable: there is no token_url or no client_id.",
            "Give oauth2.token_url and oauth2.client_id.",
        )
    if options.auth_method == "private_key_jwt":
        if not options.jwt_key_file or not options.jwt_cert_file:
            raise ConfigError(
                "oauth2.auth_method: private_key_jwt needs a key and a certificate.",
                "Give oauth2.jwt_key_file and oauth2.jwt_cert_file.",
            )
    elif not options.client_secret:
        raise ConfigError(
            f"oauth2.auth_method: {options.auth_method} needs a secret.",
            "Give oauth2.client_secret.",
        )


def parse_url(url: str) -> tuple[Server, bool, str]:
    """Server, whether TLS, and the path of an `http(s)://` address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"'{url}' is no address.", "Give http://HOST/PATH or https://HOST/PATH.")
    tls = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Server(parts.hostname, port or (443 if tls else 80)), tls, target


def form(fields: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in fields)


def read_token(response: Response, peer: str) -> tuple[str, float]:
    """Token and lifetime (seconds) of a token endpoint's answer."""
    if response.status != 200:
        raise Unreachable(f"oauth2: {peer} answered {response.status}: {response.text(200)}")
    try:
        answer: Any = json.loads(response.body)
        token = answer["access_token"]
        lifetime = float(answer.get("expires_in") or DEFAULT_LIFETIME_SECONDS)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Unreachable(f"oauth2: {peer} gave no token") from None
    if not isinstance(token, str) or not token:
        raise Unreachable(f"oauth2: {peer} gave no token")
    if str(answer.get("token_type", "bearer")).lower() != "bearer":
        raise Unreachable(f"oauth2: {peer} gave a token that is no Bearer token")
    return token, min(max(lifetime, 0.0), MOST_LIFETIME_SECONDS)


class Signer:
    """Makes signed assertions (RS256) with the client's key. Needs the package `cryptography`."""

    def __init__(self, options: OAuth2Options, config_dir: Path) -> None:
        try:
            from cryptography import x509
            from cryptography.hazmat.primitives import hashes, serialization
            from cryptography.hazmat.primitives.asymmetric import padding, rsa
        except ImportError as error:
            raise ConfigError(
                "oauth2.auth_method: private_key_jwt needs the Python package cryptography.",
                "pip install 'tailrace[jwt]'",
            ) from error
        self.options = options
        key_bytes = read_file("oauth2.jwt_key_file", config_dir / options.jwt_key_file)
        certificate_bytes = read_file("oauth2.jwt_cert_file", config_dir / options.jwt_cert_file)
        try:
            key = serialization.load_pem_private_key(key_bytes, None)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"oauth2.jwt_key_file: it is no private key: {error}") from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ConfigError("oauth2.jwt_key_file: it is no RSA key.", "RS256 needs an RSA key.")
        try:
            is_pem = b"-----BEGIN" in certificate_bytes
            certificate = (
                x509.load_pem_x509_certificate(certificate_bytes)
                if is_pem
                else x509.load_der_x509_certificate(certificate_bytes)
            )
        except ValueError as error:
            raise ConfigError(f"oauth2.jwt_cert_file: it is no certificate: {error}") from error
        sign: Any = key.sign
        self._sign: Callable[[bytes], bytes] = lambda data: bytes(
            sign(data, padding.PKCS1v15(), hashes.SHA256())
        )
        is_256 = options.jwt_header == "x5t#S256"
        digest = certificate.fingerprint(hashes.SHA256() if is_256 else hashes.SHA1())
        self._thumbprint = (
            digest.hex().upper() if options.jwt_header == "kid" else base64url(digest)
        )

    def assertion(self, now: int) -> str:
        """A signed assertion from `now` (seconds since the epoch) on."""
        import uuid

        options = self.options
        head = {"alg": "RS256", "typ": "JWT", options.jwt_header: self._thumbprint}
        ttl = options.jwt_ttl_seconds if options.jwt_ttl_seconds > 0 else 300
        claims = {
            "iss": options.client_id,
            "sub": options.client_id,
            "aud": options.jwt_aud or options.token_url,
            "iat": now,
            "exp": now + ttl,
            "jti": str(uuid.uuid4()),
        }
        text = ".".join(
            base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims)
        )
        return f"{text}.{base64url(self._sign(text.encode()))}"


def read_file(option_name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{option_name}: {path} can't be read: {error.strerror}.") from error


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
