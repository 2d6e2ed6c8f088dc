"""AWS: Signature Version 4 (docs.aws.amazon.com, "AWS API request signing"), and where its credentials come from.

Credentials are looked for in this order: the environment, the shared files (`~/.aws/credentials`), a web identity token, a container's
endpoint, the instance's metadata service. With a role these are exchanged for the role's at STS.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from tailrace.config import ConfigError, Options, option
from tailrace.net.auth import parse_url
from tailrace.net.connection import Unreachable
from tailrace.net.http_client import HTTPClient, Response
from tailrace.net.options import ConnectOptions, tls_for_url
from tailrace.net.tls import client_tls
from tailrace.net.upstream import Server, Upstream
from tailrace.plugin import Context

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = frozenset({"connection", "user-agent", "content-length", "expect", "x-amzn-trace-id"})
REFRESH_SKEW_SECONDS = 60.0
METADATA = Server("169.254.169.254", 80)
CONTAINERS = "http://169.254.170.2"
MOST_XML_BYTES = 64 * 1024
Header = tuple[str, str]


class Credentials(NamedTuple):
    """Keys, and when they end (seconds since the epoch; 0: never)."""

    key_id: str
    secret: str
    token: str = ""
    expires: float = 0.0


class AWSOptions(Options):
    """`aws_*` of an output that signs its requests."""

    auth: bool = option(False)
    """Sign the requests for AWS (Signature Version 4)."""

    service: str = option("")
    """Code of the AWS service that the requests go to, as: aoss."""

    region: str = option("")
    """AWS region of the server."""

    sts_endpoint: str = option("")
    """Address of STS, where roles are assumed; default: the region's."""

    role_arn: str = option("")
    """Role to assume."""

    external_id: str = option("")
    """External id to show when the role is assumed."""

    profile: str = option("")
    """Profile of the shared AWS files; default: `AWS_PROFILE`, else default."""


def sign(
    credentials: Credentials,
    service: str,
    region: str,
    method: str,
    target: str,
    headers: Sequence[Header],
    body: bytes,
    now: float,
) -> list[Header]:
    """The headers with `X-Amz-Date`, the token and `Authorization` added; `headers` must hold Host."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = [("X-Amz-Date", stamp)]
    if credentials.token:
        added.append(("X-Amz-Security-Token", credentials.token))
    every = [*headers, *added]
    signed: dict[str, list[str]] = {}
    for name, value in every:
        if name.lower() not in UNSIGNED:
            signed.setdefault(name.lower(), []).append(" ".join(value.split()))
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        [
            method,
            canonical_path(target, service),
            canonical_query(target),
            *(f"{name}:{','.join(signed[name])}" for name in sorted(signed)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.secret}".encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    authorization = (
        f"{ALGORITHM} Credential={credentials.key_id}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return [*every, ("Authorization", authorization)]


def canonical_path(target: str, service: str) -> str:
    """Each part encoded once for s3, twice for all others."""
    path = target.split("?", 1)[0] or "/"
    once = quote(unquote(path), safe="/-_.~")
    return once if service == "s3" else quote(once, safe="/-_.~")


def canonical_query(target: str) -> str:
    query = target.partition("?")[2]
    pairs = [part.partition("=") for part in query.split("&") if part]
    encoded = [
        (quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~"))
        for name, _, value in pairs
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


class Signer:
    """Signs requests with credentials that are fetched when needed and again before they end."""

    def __init__(self, options: AWSOptions, context: Context, net: ConnectOptions) -> None:
        if not options.service:
            raise ConfigError("aws_auth: there is no service.", "Give aws_service.")
        region = options.region or os.environ.get("AWS_REGION", "")
        if not region:
            raise ConfigError("aws_auth: there is no region.", "Give aws_region.")
        self.service, self.region = options.service, region
        self.context = context
        self.credentials = CredentialChain(options, region, context, net)

    @classmethod
    def of(cls, options: AWSOptions, context: Context, net: ConnectOptions) -> Signer | None:
        """A signer if `aws_auth` is on."""
        return cls(options, context, net) if options.auth else None

    async def sign(
        self, method: str, target: str, headers: Sequence[Header], body: bytes, host: str
    ) -> list[Header]:
        """The headers of a request with `Host` and its signature. `Unreachable` if there are no credentials now."""
        now = self.context.clock.time_ns() / 1e9
        credentials = await self.credentials.get(now)
        found = sign(
            credentials,
            self.service,
            self.region,
            method,
            target,
            [("Host", host), *headers],
            body,
            now,
        )
        return found

    async def close(self) -> None:
        await self.credentials.close()


class CredentialChain:
    """Finds credentials, keeps them, and finds new ones shortly before they end."""

    def __init__(
        self,
        options: AWSOptions,
        region: str,
        context: Context,
        net: ConnectOptions,
        environ: Mapping[str, str] | None = None,
        metadata: Server = METADATA,
    ) -> None:
        self.options = options
        self.region = region
        self.context = context
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self.metadata = metadata
        self._net = net
        self._clients: dict[tuple[str, int, bool], HTTPClient] = {}
        self._found: Credentials | None = None
        self._lock = asyncio.Lock()

    async def get(self, now: float) -> Credentials:
        async with self._lock:
            found = self._found
            if found is None or (found.expires and now >= found.expires - REFRESH_SKEW_SECONDS):
                found = await self._find()
                if self.options.role_arn:
                    found = await self._assume(found, now)
                self._found = found
            return found

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    async def _find(self) -> Credentials:
        found = from_environment(self.environ) if not self.options.profile else None
        found = found or from_profile(self.options.profile, self.environ)
        if found is not None:
            return found
        if self.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            return await self._web_identity()
        relative = self.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        url = f"{CONTAINERS}{relative}" if relative else ""
        url = url or self.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
        return await (self._container(url) if url else self._instance())

    def _client(self, url: str) -> tuple[HTTPClient, str]:
        """A client for an address, and the path in it."""
        server, tls, target = parse_url(url)
        key = (server.host, server.port, tls)
        if key not in self._clients:
            keeper = client_tls(tls_for_url(tls), self.context.config_dir, self.context.log)
            upstream = Upstream(server, self._net, self.context, keeper, direct=not tls)
            self._clients[key] = HTTPClient(upstream, response_timeout=10.0)
        return self._clients[key], target

    async def _container(self, url: str) -> Credentials:
        client, target = self._client(url)
        token = self.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        if path := self.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            token = read_text(Path(path)).strip()
        headers = [("Authorization", token)] if token else []
        return from_json(await client.request("GET", target, headers=headers))

    async def _instance(self) -> Credentials:
        base = f"http://{self.metadata}"
        client, target = self._client(f"{base}/latest/api/token")
        answer = await client.request(
            "PUT", target, headers=[("X-aws-ec2-metadata-token-ttl-seconds", "21600")]
        )
        headers = [("X-aws-ec2-metadata-token", answer.text())] if answer.status == 200 else []
        path = "/latest/meta-data/iam/security-credentials/"
        role = await client.request("GET", path, headers=headers)
        if role.status != 200 or not role.body:
            raise Unreachable("aws: no credentials were found anywhere")
        name = role.text().split()[0]
        return from_json(await client.request("GET", path + quote(name), headers=headers))

    async def _web_identity(self) -> Credentials:
        token = read_text(Path(self.environ["AWS_WEB_IDENTITY_TOKEN_FILE"])).strip()
        return await self._sts(
            [
                ("Action", "AssumeRoleWithWebIdentity"),
                ("RoleArn", self.environ.get("AWS_ROLE_ARN", "")),
                ("RoleSessionName", self.environ.get("AWS_ROLE_SESSION_NAME", "tailrace")),
                ("Version", "2011-06-15"),
                ("WebIdentityToken", token),
            ],
            None,
            0.0,
        )

    async def _assume(self, base: Credentials, now: float) -> Credentials:
        fields = [
            ("Action", "AssumeRole"),
            ("RoleArn", self.options.role_arn),
            ("RoleSessionName", "tailrace"),
            ("Version", "2011-06-15"),
        ]
        if self.options.external_id:
            fields.append(("ExternalId", self.options.external_id))
        return await self._sts(fields, base, now)

    async def _sts(
        self, fields: list[tuple[str, str]], base: Credentials | None, now: float
    ) -> Credentials:
        """Ask STS; signed with `base`, if given."""
        endpoint = self.options.sts_endpoint or f"https://sts.{self.region}.amazonaws.com"
        if "://" not in endpoint:
            endpoint = f"https://{endpoint}"
        client, _ = self._client(endpoint)
        target = "/?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in fields)
        headers: list[Header] = []
        if base is not None:
            host = [("Host", client.host_header)]
            headers = sign(base, "sts", self.region, "GET", target, host, b"", now)
        return from_sts(await client.request("GET", target, headers=headers))


def from_environment(environ: Mapping[str, str]) -> Credentials | None:
    key_id, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not key_id or not secret:
        return None
    return Credentials(key_id, secret, environ.get("AWS_SESSION_TOKEN", ""))


def from_profile(profile: str, environ: Mapping[str, str]) -> Credentials | None:
    """Keys of the shared files; None if the profile holds none."""
    import configparser

    home = Path(environ.get("HOME", "~")).expanduser()
    name = profile or environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE") or "default"
    reader = configparser.RawConfigParser()
    files = [
        environ.get("AWS_CONFIG_FILE") or home / ".aws/config",
        environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials",
    ]
    try:
        reader.read(files, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        raise Unreachable(f"aws: the shared credentials file can't be read: {error}") from error
    for section in (name, f"profile {name}"):
        if reader.has_option(section, "aws_access_key_id"):
            values = reader[section]
            return Credentials(
                values["aws_access_key_id"],
                values.get("aws_secret_access_key", ""),
                values.get("aws_session_token", ""),
            )
    if profile:
        raise Unreachable(f"aws: the profile '{profile}' holds no keys")
    return None


def from_json(response: Response) -> Credentials:
    """What the endpoints of containers and instances answer."""
    try:
        found: Any = json.loads(response.body)
        return Credentials(
            str(found["AccessKeyId"]),
            str(found["SecretAccessKey"]),
            str(found.get("Token") or ""),
            read_time(found.get("Expiration")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Unreachable(f"aws: status {response.status} instead of credentials") from None


def from_sts(response: Response) -> Credentials:
    """What STS answers (XML)."""
    from xml.etree import ElementTree

    values: dict[str, str] = {}
    # No document type, so no entities of its own: that is how XML grows without bound.
    if (
        response.status == 200
        and len(response.body) <= MOST_XML_BYTES
        and b"<!" not in response.body
    ):
        try:
            for element in ElementTree.fromstring(response.body).iter():
                values[element.tag.rpartition("}")[2]] = (element.text or "").strip()
        except ElementTree.ParseError:
            values.clear()
    if not values.get("AccessKeyId") or not values.get("SecretAccessKey"):
        raise Unreachable(f"aws: STS answered {response.status}: {response.text(200)}")
    return Credentials(
        values["AccessKeyId"],
        values["SecretAccessKey"],
        values.get("SessionToken", ""),
        read_time(values.get("Expiration")),
    )


def read_time(text: str | None) -> float:
    if not text:
        return 0.0
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreachable(f"aws: {path} can't be read: {error}") from error
