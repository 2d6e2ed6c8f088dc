import asyncio
import contextlib
import json
import threading

import pytest

from tailrace.cli.asking import NoAnswer, ask
from tailrace.net.http_server import Response, serve_http
from tailrace.net.listener import listening_socket
from tailrace.testing import FakeContext


@contextlib.contextmanager
def served(handler):
    """The URL of a server that runs in a thread."""
    ready, loop, urls = threading.Event(), asyncio.new_event_loop(), []
    ended = asyncio.Event()

    async def run():
        server = await serve_http(
            handler, [listening_socket("127.0.0.1", 0)], log=FakeContext().log
        )
        urls.append(f"127.0.0.1:{server.ports[0]}")
        ready.set()
        await ended.wait()
        await server.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    ready.wait(5)
    yield urls[0]
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


def test_the_answer_is_a_value_and_the_token_is_sent():
    async def handler(request):
        body = {"path": request.path, "token": request.headers.get("authorization")}
        return Response(200, json.dumps(body).encode())

    with served(handler) as url:
        assert ask(url, "/x", "s3cret") == {"path": "/x", "token": "Bearer s3cret"}


@pytest.mark.parametrize(
    ("status", "body", "what"),
    [
        (401, b"{}", "wants a token"),
        (404, b"", "enable_chunk_trace"),
        (404, b'{"message":"no input x"}', "no input x"),
        (500, b"<html>", "answers 500"),
    ],
)
def test_other_answers_are_explained(status, body, what):
    async def handler(request):
        return Response(status, body)

    with served(handler) as url, pytest.raises(NoAnswer, match=what):
        ask(url, "/x")


def test_no_agent_is_explained():
    with pytest.raises(NoAnswer, match="http_server on"):
        ask("127.0.0.1:1", "/x")
