"""The output http."""

import asyncio
import base64
import json
import zlib

import cramjam
import msgpack
import pytest
import trustme

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.plugin import Partial, Reject, Retry
from tailrace.testing import (
    CLOSE,
    EPOCH_NS,
    GARBAGE,
    HANG,
    PARTIAL,
    RESET,
    FakeContext,
    FakeServer,
    Reply,
    chunk_of,
    make_plugin,
    run_output,
)

SECONDS = EPOCH_NS // 1_000_000_000


def post(section, *bodies, script=(200,), context=None):
    """The requests that these events become."""
    with FakeServer(script) as server:
        run_output(
            "http", f"host 127.0.0.1\nport {server.port}\n{section}", *bodies, context=context
        )
        return server.requests


def refusal_of(section, *bodies, script):
    """What `flush` raises, and the requests."""
    with FakeServer(script) as server:
        with pytest.raises((Retry, Reject, Partial)) as caught:
            run_output("http", f"host 127.0.0.1\nport {server.port}\n{section}", *bodies)
        return caught.value, server.requests


@pytest.mark.parametrize(
    ("layout", "body", "content_type"),
    [
        ("json", b'[{"a":1},{"a":2}]', "application/json"),
        ("json_lines", b'{"a":1}\n{"a":2}\n', "application/x-ndjson"),
        ("JSON_stream", b'{"a":1}{"a":2}', "application/json"),
    ],
)
def test_a_format_has_its_body_and_its_content_type(layout, body, content_type):
    (request,) = post(f"format {layout}\njson_date_key false", {"a": 1}, {"a": 2})
    assert (request.method, request.path, request.body) == ("POST", "/", body)
    assert request.headers["content-type"] == content_type


def test_msgpack_holds_time_metadata_and_body():
    (request,) = post("format msgpack", {"a": 1})
    time = msgpack.ExtType(0, SECONDS.to_bytes(4) + bytes(4))
    assert msgpack.unpackb(request.body, strict_map_key=False) == [[time, {}], {"a": 1}]
    assert request.headers["content-type"] == "application/msgpack"


def test_an_unknown_format_is_reported_and_sent_as_msgpack():
    context = FakeContext()
    (request,) = post("format xml", {"a": 1}, context=context)
    assert request.headers["content-type"] == "application/msgpack"
    assert any(level == "error" and "xml" in text for level, text in context.sink.messages)


def test_gelf_renames_the_keys_that_have_a_meaning():
    (request,) = post(
        "format gelf\ngelf_short_message_key m\ngelf_level_key l\ngelf_host_key h\n"
        "gelf_full_message_key f\ngelf_timestamp_key t",
        {"m": "short", "l": "err", "h": "web", "f": "long", "t": 5, "x": True},
    )
    assert json.loads(request.body) == {
        "version": "1.1",
        "short_message": "short",
        "level": 3,
        "host": "web",
        "full_message": "long",
        "timestamp": 5,
        "_x": "true",
    }


def test_an_event_that_can_not_be_gelf_is_refused_alone():
    error, (request,) = refusal_of(
        "format gelf", {"short_message": "ok"}, {"log": "x"}, script=[200]
    )
    assert isinstance(error, Partial)
    assert [refusal.chunk.bodies for refusal in error.rejected] == [[{"log": "x"}]]
    assert json.loads(request.body)["short_message"] == "ok"


@pytest.mark.parametrize(
    ("word", "unpack"),
    [
        ("gzip", lambda data: zlib.decompress(data, 31)),
        ("snappy", lambda data: bytes(cramjam.snappy.decompress_raw(data))),
        ("zstd", lambda data: bytes(cramjam.zstd.decompress(data))),
    ],
)
def test_a_compressed_body_says_how(word, unpack):
    (request,) = post(f"compress {word}\njson_date_key false", {"a": 1})
    assert request.headers["content-encoding"] == word
    assert unpack(request.body) == b'[{"a":1}]'


def test_headers_are_sent_in_order_and_more_than_once():
    (request,) = post("header X-A one two\nheader X-A 3\nheader_tag X-Tag", {"a": 1})
    own = [pair for pair in request.header_lines if pair[0].startswith("X-")]
    assert own == [("X-Tag", "test"), ("X-A", "one two"), ("X-A", "3")]


def test_without_duplicates_the_last_header_counts():
    (request,) = post("header X-A 1\nheader x-a 2\nallow_duplicated_headers off", {"a": 1})
    assert [value for name, value in request.header_lines if name.lower() == "x-a"] == ["2"]


def test_a_header_of_the_user_replaces_the_agents_own():
    (request,) = post("header User-Agent mine\nheader Content-Type text/x", {"a": 1})
    names = [name.lower() for name, _ in request.header_lines]
    assert request.headers["user-agent"] == "mine"
    assert request.headers["content-type"] == "text/x"
    assert names.count("user-agent") == names.count("content-type") == 1


def test_a_tag_can_not_forge_a_header():
    with FakeServer() as server:
        run_output(
            "http",
            f"host 127.0.0.1\nport {server.port}\nheader_tag X-Tag",
            {"a": 1},
            tag="t\r\nX-Evil: yes\x00",
        )
    assert "x-evil" not in server.requests[0].headers
    assert server.requests[0].headers["x-tag"] == "t  X-Evil: yes"


def test_user_and_password_are_sent_as_basic():
    (request,) = post("http_user ann\nhttp_passwd a:b", {"a": 1})
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) == b"ann:a:b"


@pytest.mark.parametrize("uri", ["in?a=1", "/in?a=1"])
def test_a_uri_gets_its_first_slash(uri):
    assert post(f"uri {uri}\nhttp_method put", {"a": 1})[0].path == "/in?a=1"


@pytest.mark.parametrize("status", [200, 201, 204, 205])
def test_a_status_up_to_205_is_delivered(status):
    assert len(post("", {"a": 1}, script=[status])) == 1


@pytest.mark.parametrize("status", [206, 302, 408, 429, 500, 503])
def test_a_status_that_may_pass_is_tried_again(status):
    error, _ = refusal_of("", {"a": 1}, script=[status])
    assert isinstance(error, Retry)
    assert str(status) in error.why


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
def test_a_status_that_is_final_refuses_the_chunk(status):
    error, _ = refusal_of("", {"a": 1}, script=[Reply(status, b"no such\nindex")])
    assert isinstance(error, Reject)
    assert f"HTTP status={status} no such index" in error.why


def test_the_payload_of_a_response_can_be_kept_out_of_the_log():
    error, _ = refusal_of("log_response_payload off", {"a": 1}, script=[Reply(500, b"secret")])
    assert "secret" not in error.why


@pytest.mark.parametrize(("value", "after"), [("7", 7.0), ("soon", None), ("99999999", 3600.0)])
def test_the_server_may_say_when_to_come_again(value, after):
    error, _ = refusal_of("", {"a": 1}, script=[Reply(503, headers={"Retry-After": value})])
    assert error.after == after


@pytest.mark.parametrize("fault", [RESET, CLOSE, PARTIAL, GARBAGE])
def test_a_broken_answer_is_tried_again(fault):
    error, requests = refusal_of("", {"a": 1}, script=[fault])
    assert isinstance(error, Retry)
    assert len(requests) == 1


def test_a_server_that_does_not_answer_is_given_up_in_time():
    error, _ = refusal_of("http.response_timeout 0.1", {"a": 1}, script=[HANG])
    assert isinstance(error, Retry)
    assert "0.1 s" in error.why


def test_nothing_that_listens_is_a_retry():
    with FakeServer() as server:
        port = server.port
    with pytest.raises(Retry, match="no connection"):
        run_output("http", f"host 127.0.0.1\nport {port}", {"a": 1})


RECORDS = (
    {"b": "one", "h": {"X-N": "1", "X-Bad": 5}},
    {"b": "two", "h": {"X-N": "2"}},
    {"b": "three", "h": {"X-N": "3"}},
)
EACH = "body_key $b\nheaders_key $h\nheader X-Fixed yes"


def test_each_event_can_be_a_request_of_its_own():
    requests = post(EACH, *RECORDS)
    assert [(r.body, r.headers["x-n"], r.headers["x-fixed"]) for r in requests] == [
        (b"one", "1", "yes"),
        (b"two", "2", "yes"),
        (b"three", "3", "yes"),
    ]
    assert "content-type" not in requests[0].headers
    assert "x-bad" not in requests[0].headers


def test_an_event_can_not_rule_the_connection():
    headers = {
        "Host": "evil",
        "Content-Length": "0",
        "transfer-encoding": "chunked",
        "": "x",
        "A b": "x",
    }
    with FakeServer() as server:
        run_output(
            "http",
            f"host 127.0.0.1\nport {server.port}\n{EACH}",
            {"b": "body", "h": {**headers, "Connection": "close", "X-N": "a\r\nX-Evil: b"}},
        )
    (request,) = server.requests
    names = [name.lower() for name, _ in request.header_lines]
    assert names == ["host", "content-length", "x-n", "user-agent", "x-fixed", "connection"]
    assert (request.body, request.headers["connection"]) == (b"body", "keep-alive")
    assert request.headers["host"] == f"127.0.0.1:{server.port}"


def test_a_host_of_the_users_stands_alone():
    (request,) = post("header Host virtual.example", {"a": 1})
    assert [value for name, value in request.header_lines if name == "Host"] == ["virtual.example"]


def test_only_events_that_failed_are_tried_again():
    error, _ = refusal_of(EACH, *RECORDS, script=[200, 400, 500])
    assert isinstance(error, Partial)
    assert error.retry.bodies == [RECORDS[2]]
    assert [refusal.chunk.bodies for refusal in error.rejected] == [[RECORDS[1]]]


def test_an_event_without_a_body_is_refused_alone():
    error, requests = refusal_of(EACH, {"h": {}}, RECORDS[0], {"b": 1, "h": {}}, script=[200])
    assert isinstance(error, Partial)
    assert [refusal.why for refusal in error.rejected] == [
        "the body is missing",
        "the body is neither text nor binary",
    ]
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ("body_key $b", "headers_key"),
        ("headers_key $b", "body_key"),
        ("body_key $\nheaders_key $h", "accessor"),
        ("proxy ftp://x", "proxy"),
        ("oauth2.enable on\noauth2.client_id x", "token_url"),
        ("oauth2.enable on\noauth2.client_id x\noauth2.token_url http://h/t", "secret"),
        ("oauth2.enable on\noauth2.client_id x\noauth2.client_secret s\noauth2.token_url h", "'h'"),
        ("aws_auth on", "service"),
    ],
)
def test_what_can_not_work_is_an_error_at_start(section, what):
    with pytest.raises(ConfigError, match=what):
        make_plugin("output", "http", section)


@pytest.mark.parametrize("section", ["compress lz9", "http_method DELETE", "port x", "port 70000"])
def test_a_value_that_is_not_known_is_an_error(section):
    with pytest.raises(InvalidConfiguration):
        make_plugin("output", "http", section)


def test_a_plain_request_through_a_proxy_names_the_whole_address():
    with FakeServer() as proxy:
        run_output(
            "http",
            f"host backend.example\nport 8080\nuri /in\nproxy http://me:pw@127.0.0.1:{proxy.port}",
            {"a": 1},
        )
    (request,) = proxy.requests
    assert request.path == "http://backend.example:8080/in"
    assert request.headers["host"] == "backend.example:8080"
    assert request.headers["proxy-connection"] == "KeepAlive"
    assert request.headers["proxy-authorization"] == "Basic bWU6cHc="


def test_the_environments_proxy_gives_a_tunnel(monkeypatch):
    with FakeServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        run_output("http", "host backend.example\nport 8080\nuri /in", {"a": 1})
    connect, request = proxy.requests
    assert (connect.method, connect.path) == ("CONNECT", "backend.example:8080")
    assert (request.method, request.path) == ("POST", "/in")


def test_the_environments_proxy_can_be_passed_over(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert post("net.proxy_env_ignore on", {"a": 1})[0].method == "POST"


TOKEN = Reply(body=b'{"access_token":"tok","token_type":"Bearer","expires_in":3600}')


def oauth_section(token_server):
    return (
        "oauth2.enable on\noauth2.client_id id\noauth2.client_secret s&s\n"
        f"oauth2.token_url http://127.0.0.1:{token_server.port}/token"
    )


def test_a_token_is_fetched_and_sent():
    with FakeServer([TOKEN]) as tokens:
        (request,) = post(
            oauth_section(tokens) + "\noauth2.scope a b\nheader Authorization x", {"a": 1}
        )
    (asked,) = tokens.requests
    assert request.headers["authorization"] == "Bearer tok"
    assert (asked.path, asked.body) == ("/token", b"grant_type=client_credentials&scope=a%20b")
    assert asked.headers["authorization"] == "Basic aWQ6cyZz"


def test_a_token_that_is_not_taken_is_replaced_once():
    new = Reply(body=b'{"access_token":"new","expires_in":3600}')
    with FakeServer([TOKEN, new]) as tokens:
        requests = post(oauth_section(tokens), {"a": 1}, script=[401, 200])
    assert [request.headers["authorization"] for request in requests] == [
        "Bearer tok",
        "Bearer new",
    ]


def test_without_a_token_the_chunk_waits():
    with FakeServer([Reply(500, b"down")]) as tokens:
        error, requests = refusal_of(oauth_section(tokens), {"a": 1}, script=[200])
    assert isinstance(error, Retry)
    assert requests == []


def test_requests_are_signed_for_aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    (request,) = post("aws_auth on\naws_service aoss\naws_region eu-west-1", {"a": 1})
    assert request.headers["authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKID/20231114/eu-west-1/aoss/aws4_request, SignedHeaders="
    )
    assert request.headers["x-amz-security-token"] == "session"
    assert [name for name, _ in request.header_lines].count("Host") == 1


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def server_context(authority, *names):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def test_tls_with_a_trusted_certificate(authority, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = FakeContext(config_dir=tmp_path)
    with FakeServer(tls=server_context(authority, "localhost")) as server:
        section = f"host 127.0.0.1\nport {server.port}\ntls on\ntls.ca_file ca.pem\ntls.debug 2"
        run_output("http", section, {"a": 1}, context=context)
    assert len(server.requests) == 1
    assert any("TLSv1" in text for _, text in context.sink.messages)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("", "certificate"),
        ("tls.ca_file ca.pem\ntls.verify_hostname on\ntls.vhost other", "certificate"),
    ],
)
def test_tls_with_a_certificate_that_will_not_do_is_a_retry(authority, tmp_path, more, why):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with FakeServer(tls=server_context(authority, "localhost")) as server:
        section = f"host localhost\nport {server.port}\ntls on\n{more}"
        with pytest.raises(Retry, match=why):
            run_output("http", section, {"a": 1}, context=FakeContext(config_dir=tmp_path))
    assert server.requests == []


def test_kept_connections_are_counted():
    with FakeServer() as server:

        async def scenario():
            plugin = make_plugin("output", "http", f"host 127.0.0.1\nport {server.port}")
            await plugin.flush(chunk_of([{"a": 1}]))
            counted = plugin.connections()
            await plugin.stop()
            return counted

        assert asyncio.run(scenario()) == (1, 0)
