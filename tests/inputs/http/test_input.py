"""The input http, as clients see it."""

import asyncio
import contextlib
import socket

import pytest

from tailrace.config import ConfigError
from tailrace.model import Receipt
from tailrace.testing import FakeContext, make_plugin
from tailrace.wire.compression import gzip

JSON = "Content-Type: application/json"


@contextlib.asynccontextmanager
async def running(section="", context=None, emit=None):
    """The input at a free port; `plugin.chunks` holds what it emitted, each settled at once."""
    context = context or FakeContext("http.0")
    listen = f"listen 127.0.0.1\nport {free_port()}\n"
    plugin = make_plugin("input", "http", listen + section, context)
    plugin.chunks = []

    async def take(chunk):
        plugin.chunks.append(chunk)
        chunk.receipt.hold()
        chunk.receipt.release()

    await plugin.start()
    task = asyncio.ensure_future(plugin.run(emit or take))
    await asyncio.sleep(0)
    try:
        yield plugin
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await plugin.stop()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


async def ask(plugin, body=b"", *headers, method="POST", path="/", host="Host: x"):
    """Status, headers and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plugin.server.ports[0])
    lines = [f"{method} {path} HTTP/1.1", host, f"Content-Length: {len(body)}", "Connection: close"]
    head = "\r\n".join(line for line in (*lines, *headers) if line)
    writer.write(head.encode() + b"\r\n\r\n" + body)
    async with asyncio.timeout(10):
        reply = await reader.read()
    writer.close()
    head, _, text = reply.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), text


def asked(section, *arguments, context=None, **named):
    """The answer to one request, and the chunks that came of it."""

    async def scenario():
        async with running(section, context) as plugin:
            return await ask(plugin, *arguments, **named), plugin.chunks

    return asyncio.run(scenario())


def bodies_of(chunks):
    return [body for chunk in chunks for body in chunk.bodies]


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (b'{"a":1}', [{"a": 1}]),
        (b'[{"a":1},{"a":2}]', [{"a": 1}, {"a": 2}]),
        (b'{"a":1}\n{"a":2}', [{"a": 1}, {"a": 2}]),
        (b'[{"a":1}]{"a":2},', [{"a": 1}, {"a": 2}]),
        (b"[]", []),
        (b"{}", [{}]),
    ],
)
def test_json_is_taken_in_every_form(body, records):
    (status, _, text), chunks = asked("", body, JSON)
    assert (status, text, bodies_of(chunks)) == (201, b"", records)


@pytest.mark.parametrize(
    "body",
    [b'{"a":', b"17", b'"x"', b"  ", b'[{"a":1}', b'{"a":1} trailing', b'{"a":1} 7', b"[" * 3000],
)
def test_what_is_not_wholly_records_is_refused_and_nothing_of_it_taken(body):
    (status, _, text), chunks = asked("", body, JSON)
    assert (status, text) == (400, b"error: unable to process records\n")
    assert chunks == []


def test_items_of_an_array_that_are_no_objects_are_counted_as_lost():
    context = FakeContext()
    (status, _, _), chunks = asked("", b'[{"a":1},2,{"a":3}]', JSON, context=context)
    assert (status, bodies_of(chunks)) == (201, [{"a": 1}, {"a": 3}])
    assert context.dropped == [(1, "no object")]


def test_a_form_is_one_record_of_text():
    header = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
    (status, _, _), chunks = asked("", b"a=1&b=two+words&c=%C3%A9%26&d=&e=x%3&f", header)
    assert status == 201
    assert bodies_of(chunks) == [{"a": "1", "b": "two words", "c": "é&", "d": "", "e": "x%3"}]


@pytest.mark.parametrize(
    ("headers", "named", "text"),
    [
        ([], {}, b"error: header 'Content-Type' is not set\n"),
        (["Content-Type: text/plain"], {}, b"error: invalid 'Content-Type'\n"),
        ([JSON], {"method": "PUT"}, b"error: invalid HTTP method\n"),
        ([JSON], {"path": "*"}, b"error: invalid request\n"),
    ],
)
def test_other_requests_are_refused_with_a_reason(headers, named, text):
    (status, _, body), chunks = asked("", b'{"a":1}', *headers, **named)
    assert (status, body, chunks) == (400, text, [])


def test_a_request_need_not_name_the_host():
    assert asked("", b'{"a":1}', JSON, host="")[0][0] == 201


def test_an_empty_body_is_refused():
    assert asked("", b"", JSON)[0][::2] == (400, b"error: no payload found\n")


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        ("/", "t"),
        ("/app.log", "app.log"),
        ("/a/b-c%20d?x=1", "a_b_c_20d"),
        ("//", "_"),
        ("/" + "a" * 900, "a" * 512),
    ],
)
def test_the_tag_is_the_path_made_safe(path, tag):
    assert [chunk.tag for chunk in asked("tag t", b'{"a":1}', JSON, path=path)[1]] == [tag]


def test_a_field_of_each_record_may_be_its_tag():
    body = b'[{"m":{"t":"x y/.."}},{"m":{"t":5}},{"n":1},{"m":{"t":"x y/.."}}]'
    _, chunks = asked("tag_key $m['t']", body, JSON, path="/p")
    assert {chunk.tag: chunk.count for chunk in chunks} == {"x_y_..": 2, "p": 2}


def test_the_address_of_a_forwarded_request_is_added_unless_it_is_there():
    section = "add_remote_addr on\nremote_addr_key from"
    header = "X-Forwarded-For:  192.0.2.7 , 10.0.0.1"
    _, chunks = asked(section, b'[{"n":1},{"from":"own"}]', JSON, header)
    assert bodies_of(chunks) == [{"n": 1, "from": "192.0.2.7"}, {"from": "own"}]


def test_success_has_the_status_and_headers_that_are_asked_for():
    section = "successful_response_code 200\nsuccess_header X-One first\nsuccess_header X-Two a b"
    (status, headers, _), _ = asked(section, b"{}", JSON)
    assert (status, headers["X-One"], headers["X-Two"]) == (200, "first", "a b")
    (status, headers, _), _ = asked(section, b"{", JSON)
    assert (status, "X-One" in headers) == (400, False)


def test_another_success_status_is_201_and_told():
    context = FakeContext()
    assert asked("successful_response_code 302", b"{}", JSON, context=context)[0][0] == 201
    assert any("302" in message for _, message in context.sink.messages)


def test_health_is_told_where_asked_for():
    (status, _, text), _ = asked("enable_health_endpoint on", method="GET", path="/health")
    assert (status, b'"status": "ok"' in text) == (200, True)
    assert asked("", method="GET", path="/health")[0][0] == 400


def test_packed_bodies_are_unpacked_and_what_is_not_packed_is_read_as_it_came():
    encoding = "Content-Encoding: gzip"
    assert bodies_of(asked("", gzip(b'{"a":1}'), JSON, encoding)[1]) == [{"a": 1}]
    assert bodies_of(asked("", b'{"a":1}', JSON, encoding)[1]) == [{"a": 1}]


def test_a_body_that_unpacks_to_too_much_is_refused():
    bomb = gzip(b'{"a":"' + b"a" * 200_000 + b'"}')
    answer, chunks = asked("buffer_max_size 10k", bomb, JSON, "Content-Encoding: gzip")
    assert (answer[0], chunks) == (413, [])


def test_a_body_over_the_limit_is_refused():
    assert asked("buffer_max_size 1k", b" " * 1001, JSON)[0][0] == 413


def test_the_answer_waits_until_the_records_are_delivered():
    async def scenario():
        chunks, arrived = [], asyncio.Event()

        async def emit(chunk):
            chunk.receipt.hold()
            chunks.append(chunk)
            arrived.set()

        async with running(emit=emit) as plugin:
            asking = asyncio.ensure_future(ask(plugin, b'{"a":1}', JSON))
            await arrived.wait()
            await asyncio.sleep(0.02)
            was_done = asking.done()
            assert chunks[0].receipt.urgent
            chunks[0].receipt.release()
            return was_done, (await asking)[0]

    assert asyncio.run(scenario()) == (False, 201)


def test_records_that_are_not_delivered_in_time_are_answered_with_503():
    async def emit(chunk):
        chunk.receipt.hold()

    async def scenario():
        async with running("answer_timeout 0.05", emit=emit) as plugin:
            return await ask(plugin, b'{"a":1}', JSON)

    status, headers, _ = asyncio.run(scenario())
    assert (status, headers["Retry-After"]) == (503, "1")


def test_while_the_pipeline_is_full_requests_wait_and_nothing_of_them_is_taken():
    async def scenario():
        async with running("answer_timeout 0.05") as plugin:
            plugin.pause()
            refused = await ask(plugin, b'{"a":1}', JSON)
            taken = list(plugin.chunks)
            plugin.resume()
            return refused[0], taken, (await ask(plugin, b'{"a":1}', JSON))[0]

    assert asyncio.run(scenario()) == (503, [], 201)


def test_more_waiting_requests_than_allowed_are_answered_with_503():
    async def scenario():
        async with running("http_server.ingress_queue_event_limit 1") as plugin:
            plugin.pause()
            first = asyncio.ensure_future(ask(plugin, b'{"a":1}', JSON))
            while not plugin.intake.waiting:
                await asyncio.sleep(0.001)
            second = await ask(plugin, b'{"a":2}', JSON)
            plugin.resume()
            return second[0], (await first)[0]

    assert asyncio.run(scenario()) == (503, 201)


@pytest.mark.parametrize("section", ["success_header X:Y a", "tag_key $a[", "tls on"])
def test_what_can_not_work_is_an_error_before_it_runs(section):
    async def scenario():
        async with running(section):
            pass

    with pytest.raises(ConfigError):
        asyncio.run(scenario())


def test_a_receipt_that_is_settled_late_does_no_harm():
    """The client was answered with 503 already."""
    kept = []

    async def emit(chunk):
        chunk.receipt.hold()
        kept.append(chunk.receipt)

    async def scenario():
        async with running("answer_timeout 0.02", emit=emit) as plugin:
            await ask(plugin, b'{"a":1}', JSON)
            kept[0].release()
            return kept[0]

    assert isinstance(asyncio.run(scenario()), Receipt)


def test_a_request_without_a_token_that_holds_is_answered_with_401():
    section = "oauth2.validate on\noauth2.issuer me\noauth2.jwks_url http://127.0.0.1:1/keys"
    context = FakeContext()
    (status, headers, _), chunks = asked(section, b'{"a":1}', JSON, context=context)
    assert (status, headers["WWW-Authenticate"], chunks) == (401, "Bearer", [])
    assert any("token" in message for _, message in context.sink.messages)


def test_a_request_whose_token_can_not_be_checked_is_not_taken():
    from tests.wire.test_jwt import signed

    section = "oauth2.validate on\noauth2.issuer me\noauth2.jwks_url http://127.0.0.1:1/keys"
    (status, _, _), chunks = asked(section, b'{"a":1}', JSON, f"Authorization: Bearer {signed({})}")
    assert (status, chunks) == (503, [])


def test_what_was_not_delivered_comes_again():
    """Said to `tailrace check`, which states the guarantee of each route."""
    assert make_plugin("input", "http").replays
