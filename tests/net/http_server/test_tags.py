"""Tags that clients choose."""

import pytest

from tailrace.config import ConfigError
from tailrace.net.http_server.tags import clean_tag, tag_getter


@pytest.mark.parametrize(
    ("text", "tag"),
    [("app.log", "app.log"), ("a/b c", "a_b_c"), ("../é", ".._" + "__"), ("x" * 900, "x" * 512)],
)
def test_a_tag_is_letters_digits_dots_and_underscores(text, tag):
    assert clean_tag(text) == tag


@pytest.mark.parametrize(
    ("key", "body", "tag"),
    [
        ("app", {"app": "shop/a"}, "shop_a"),
        ("$k['app']", {"k": {"app": "x"}}, "x"),
        ("app", {"app": 7}, ""),
        ("app", {}, ""),
    ],
)
def test_a_record_may_name_its_tag(key, body, tag):
    get = tag_getter(key)
    assert get is not None
    assert get(body) == tag


def test_no_key_means_no_tag_of_the_record():
    assert tag_getter("") is None


def test_a_broken_accessor_is_said_at_once():
    with pytest.raises(ConfigError, match="tag_key"):
        tag_getter("$a[")
