"""Requests as handlers see them."""

import pytest

from tailrace.net.http_server import Request
from tailrace.wire.compression import CompressionError, TooLarge, deflate, gzip


def request(body=b"", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", "/a%20b?c=d", named, body, "1.1")


def test_path_and_query_are_apart_and_undecoded():
    assert (request().path, request().query) == ("/a%20b", "c=d")


def test_the_media_type_is_without_parameters_and_in_lower_case():
    assert request(content_type="Application/JSON ; charset=utf-8").media_type == "application/json"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", b"abc"),
        ("identity", b"abc"),
        ("GZIP", gzip(b"abc")),
        ("x-gzip", gzip(b"abc")),
        ("gzip, deflate", deflate(gzip(b"abc"))),
    ],
)
def test_content_encodings_are_undone_in_reverse(encoding, body):
    assert request(body, content_encoding=encoding).unpacked(100) == b"abc"


def test_a_body_that_unpacks_to_more_than_the_limit_is_refused():
    with pytest.raises(TooLarge):
        request(gzip(b"a" * 1000), content_encoding="gzip").unpacked(999)


def test_a_body_packed_again_and_again_is_refused():
    with pytest.raises(CompressionError, match="packed"):
        request(gzip(gzip(gzip(b"a"))), content_encoding="gzip,gzip,gzip").unpacked(999)
