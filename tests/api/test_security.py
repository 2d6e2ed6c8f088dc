"""Attacks on the API that must come to nothing; docs/security.md names them."""

import asyncio
import re
import ssl
from pathlib import Path

import pytest
import trustme

from tailrace.api.server import is_loopback
from tailrace.api.traces import TraceProblem, read_trace
from tests.api.running import HEAD, running

ROOT = Path(__file__).parents[2]
PIPELINE = "[INPUT]\n name dummy\n[OUTPUT]\n name null\n match *\n"


def in_agent(tmp_path, scenario, service=""):
    async def run():
        async with running(tmp_path / "a.conf", HEAD + service + PIPELINE) as agent:
            await scenario(agent)

    asyncio.run(run())


def test_it_listens_on_loopback_unless_told_otherwise(tmp_path):
    async def scenario(agent):
        assert is_loopback(agent.agent.service.http_listen)
        listening = Path("/proc/net/tcp").read_text().split()
        ends = {word for word in listening if word.endswith(f":{agent.api.ports[0]:04X}")}
        assert ends == {f"0100007F:{agent.api.ports[0]:04X}"}

    in_agent(tmp_path, scenario)


def test_parameters_are_compared_whole():
    for key in (b"out", b"outputs", b"pre", b"OUTPUT", b"param"):
        with pytest.raises(TraceProblem, match="no parameter"):
            read_trace(b'{"' + key + b'":"stdout"}')


def test_odd_requests_do_no_harm(tmp_path):
    async def scenario(agent):
        port = agent.api.ports[0]
        for data in (
            b"",
            b"\0" * 100,
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST /api/v2/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            b"POST /api/v1/traces/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
            b"GET /api/v1/trace/%00%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            writer.write_eof()
            async with asyncio.timeout(5):
                reply = await reader.read()
            writer.close()
            assert b"passwd" not in reply
            assert b"Traceback" not in reply
        assert (await agent.ask("/api/v2/health"))[0] == 200

    in_agent(tmp_path, scenario, " enable_chunk_trace on\n")


def test_a_client_needs_a_certificate_where_that_is_asked_for(tmp_path):
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = authority.issue_cert("localhost")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "crt.pem")

    def context(issuer):
        made = ssl.create_default_context()
        authority.configure_trust(made)
        if issuer is not None:
            issuer.issue_cert("client@example.org").configure_cert(made)
        return made

    async def get(port, tls):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="localhost"
        )
        writer.write(b"GET /api/v1/uptime HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        try:
            return await reader.read()
        finally:
            writer.close()

    async def scenario(agent):
        port = agent.api.ports[0]
        assert b"uptime_sec" in await get(port, context(authority))
        for issuer in (None, stranger):
            try:
                reply = await get(port, context(issuer))
            except (ssl.SSLError, ConnectionError):
                reply = b""
            assert reply == b""

    in_agent(
        tmp_path,
        scenario,
        f" http_tls on\n http_tls.verify_client_cert on\n http_tls.ca_file {tmp_path}/ca.pem\n"
        f" http_tls.crt_file {tmp_path}/crt.pem\n http_tls.key_file {tmp_path}/key.pem\n",
    )


def test_the_token_is_never_shown(tmp_path):
    async def scenario(agent):
        assert "s3cret" not in repr(agent.agent.service)
        for path in ("/api/v2/pipeline", "/api/v2/metrics", "/"):
            reply = await agent.ask(
                path, headers=["Host: localhost", "Authorization: Bearer s3cret"]
            )
            assert b"s3cret" not in reply[2]
        assert not [message for _, message in agent.sink.messages if "s3cret" in message]

    in_agent(tmp_path, scenario, " http_token s3cret\n")


def test_every_test_that_the_page_on_security_names_is_there():
    text = (ROOT / "docs/security.md").read_text()
    named = re.findall(r"`(tests/[\w/]+(?:\.py)?)(?:::(\w+))?`", text)
    assert len(named) > 25
    for path, name in named:
        file = ROOT / path
        assert file.exists(), path
        if name:
            assert f"def {name}(" in file.read_text(), f"{path}::{name}"


@pytest.mark.parametrize(
    ("service", "is_told"),
    [
        (" http_listen 0.0.0.0\n", True),
        (" http_listen 0.0.0.0\n http_token s3cret\n", False),
        ("", False),
    ],
)
def test_an_api_that_is_open_to_others_is_told(tmp_path, service, is_told):
    async def scenario(agent):
        told = [text for level, text in agent.sink.messages if level == "warn"]
        assert any("http_token" in text for text in told) is is_told

    in_agent(tmp_path, scenario, service)
