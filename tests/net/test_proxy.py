"""Proxies by name and by environment."""

import pytest

from tailrace.config import ConfigError
from tailrace.net.proxy import Proxy, authority, parse_proxy, proxy_of_environment


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://p:3128", Proxy("p", 3128)),
        ("http://p", Proxy("p", 80)),
        ("https://p/", Proxy("p", 443, True)),
        ("http://me:a%40b@p:1", Proxy("p", 1, False, "Basic bWU6YUBi")),
        ("http://[::1]:8", Proxy("::1", 8)),
    ],
)
def test_an_address_is_a_proxy(url, proxy):
    assert parse_proxy(url) == proxy


@pytest.mark.parametrize("url", ["p:3128", "ftp://p", "http://", "http://me:secret@p:x"])
def test_what_is_no_proxy_is_an_error_that_shows_no_password(url):
    with pytest.raises(ConfigError) as caught:
        parse_proxy(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("excepted", "is_used"),
    [
        ("", True),
        ("b.example", True),
        ("b.example, a.example", False),
        (".example", False),
        ("*", False),
        ("example", True),
    ],
)
def test_hosts_can_be_excepted(excepted, is_used):
    environ = {"HTTP_PROXY": "http://p:1", "NO_PROXY": excepted}
    assert (proxy_of_environment("a.example", environ) is not None) == is_used


def test_names_in_lower_case_and_no_names_at_all():
    assert proxy_of_environment("h", {"http_proxy": "http://p:1"}) == Proxy("p", 1)
    assert proxy_of_environment("h", {"HTTP_PROXY": ""}) is None


def test_an_ipv6_address_gets_brackets():
    assert authority("::1", 80) == "[::1]:80"
    assert authority("h", 80) == "h:80"
