"""Signatures and credentials of AWS."""

import asyncio
import json

import pytest

from tailrace.config import ConfigError
from tailrace.config.errors import Problems
from tailrace.net.aws import AWSOptions, CredentialChain, Credentials, Signer, from_sts, sign
from tailrace.net.connection import Unreachable
from tailrace.net.http_client import Response
from tailrace.net.options import ConnectOptions
from tailrace.net.upstream import Server
from tailrace.testing import FakeContext, FakeServer, Reply, entries_of

# The key and time of AWS's own test suite for Signature Version 4.
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW = 1440938160.0
HOST = ("Host", "example.amazonaws.com")
NOBODY = Server("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("method", "target", "signature"),
    [
        ("GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
def test_signatures_are_those_of_the_published_suite(method, target, signature):
    headers = dict(sign(KEYS, "service", "us-east-1", method, target, [HOST], b"", NOW))
    assert headers["X-Amz-Date"] == "20150830T123600Z"
    assert headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


def chain(environ, text="", context=None, metadata=NOBODY):
    problems = Problems()
    options = AWSOptions.read(entries_of(text), problems)
    assert options is not None, problems.found
    return CredentialChain(
        options, "eu-west-1", context or FakeContext(), ConnectOptions(), environ, metadata
    )


def found(environ, text="", times=(0.0,), metadata=NOBODY):
    async def scenario():
        credentials = chain(environ, text, metadata=metadata)
        try:
            return [await credentials.get(now) for now in times]
        finally:
            await credentials.close()

    return asyncio.run(scenario())


ENVIRON = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "t"}


def test_the_environment_comes_first():
    assert found(ENVIRON) == [Credentials("id", "key", "t")]


def test_a_profile_is_read_from_the_shared_files(tmp_path):
    (tmp_path / "credentials").write_text(
        "[default]\naws_access_key_id = d\naws_secret_access_key = 1\n"
        "[other]\naws_access_key_id = o\naws_secret_access_key = 2%\n"
    )
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"), "HOME": str(tmp_path)}
    assert found(environ) == [Credentials("d", "1")]
    assert found({**environ, **ENVIRON}, "profile other") == [Credentials("o", "2%")]
    with pytest.raises(Unreachable, match="none"):
        found(environ, "profile none")


def reply(key_id, expires="2015-08-30T13:36:00Z"):
    fields = {"AccessKeyId": key_id, "SecretAccessKey": "k", "Token": "t", "Expiration": expires}
    return Reply(body=json.dumps(fields).encode())


def test_credentials_of_a_container_are_fetched_again_before_they_end(tmp_path):
    with FakeServer([reply("a"), reply("b", "2015-08-30T14:36:00Z")]) as server:
        environ = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{server.port}/c",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": "secret",
            "HOME": str(tmp_path),
        }
        three = found(environ, times=(NOW, NOW + 3500, NOW + 3550))
    assert [each.key_id for each in three] == ["a", "a", "b"]
    assert server.requests[0].headers["authorization"] == "secret"


def test_an_instance_is_asked_with_a_token(tmp_path):
    with FakeServer([Reply(body=b"imds"), Reply(body=b"my-role\n"), reply("i")]) as server:
        metadata = Server("127.0.0.1", server.port)
        (credentials,) = found({"HOME": str(tmp_path)}, metadata=metadata)
    assert credentials.key_id == "i"
    assert [request.method for request in server.requests] == ["PUT", "GET", "GET"]
    assert server.requests[2].path.endswith("/security-credentials/my-role")
    assert server.requests[2].headers["x-aws-ec2-metadata-token"] == "imds"


STS = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>role</AccessKeyId><SecretAccessKey>k</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2015-08-30T13:36:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


def test_a_role_is_assumed():
    with FakeServer([Reply(body=STS)]) as server:
        text = f"role_arn arn:x/y\nexternal_id e\nsts_endpoint http://127.0.0.1:{server.port}"
        (credentials,) = found(ENVIRON, text, times=(NOW,))
    assert credentials == Credentials("role", "k", "t", NOW + 3600)
    (request,) = server.requests
    assert request.path.startswith("/?Action=AssumeRole&RoleArn=arn%3Ax%2Fy&")
    assert "Credential=id/20150830/eu-west-1/sts/aws4_request" in request.headers["authorization"]


def test_a_web_identity_is_exchanged(tmp_path):
    (tmp_path / "token").write_text("jwt\n")
    with FakeServer([Reply(body=STS)]) as server:
        environ = {
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
            "AWS_ROLE_ARN": "arn",
            "HOME": str(tmp_path),
        }
        (credentials,) = found(environ, f"sts_endpoint http://127.0.0.1:{server.port}")
    assert credentials.key_id == "role"
    assert "WebIdentityToken=jwt" in server.requests[0].path


@pytest.mark.parametrize(
    "response",
    [
        Response(403, body=b"<Error/>"),
        Response(200, body=b"<a"),
        Response(200, body=b"<!DOCTYPE a [<!ENTITY b 'c'>]><AccessKeyId>&b;</AccessKeyId>"),
    ],
)
def test_an_answer_without_keys_is_a_failure(response):
    with pytest.raises(Unreachable, match="STS"):
        from_sts(response)


@pytest.mark.parametrize(("text", "what"), [("", "service"), ("service s", "region")])
def test_service_and_region_must_be_known(monkeypatch, text, what):
    monkeypatch.delenv("AWS_REGION", raising=False)
    problems = Problems()
    options = AWSOptions.read(entries_of(f"auth on\n{text}"), problems)
    with pytest.raises(ConfigError, match=what):
        Signer.of(options, FakeContext(), ConnectOptions())
