"""Tags made of paths."""

import pytest

from tailrace.config import ConfigError
from tailrace.inputs.tail.tagging import NoTag, tagger


@pytest.mark.parametrize(
    ("tag", "path", "expected"),
    [
        ("plain", "/var/log/a.log", "plain"),
        ("*", "/var/log/a.log", "var.log.a.log"),
        ("pre.*", "/var/log/a.log", "pre.var.log.a.log"),
        ("pre.*.mid*post", "/a/two..dots.log", "pre.a.two.dots.log.midpost"),
        ("*", "C:\\logs\\a b*.log", "C.logs.a b.log"),
        ("t.*", "/a/", "t.a"),
        ("*", "../x", "..x".replace("..", ".")),
    ],
)
def test_the_star_is_the_path_in_dots(tag, path, expected):
    assert tagger(tag, "")(path) == expected


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("k8s.<pod>.<ns>", "k8s.web-1.prod"),
        ("<nothing>.<opt>.x", "_._.x"),
        ("<ns>", "prod"),
        ("fixed.*", "fixed.*"),
    ],
)
def test_names_in_brackets_are_groups_of_the_path(tag, expected):
    pattern = r"/(?<pod>[a-z0-9-]+)_(?<ns>[^_/]+)_(?<opt>x)?[^/]*\.log$"
    assert tagger(tag, pattern)("/var/web-1_prod_abc.log") == expected


def test_a_path_that_does_not_fit_has_no_tag():
    with pytest.raises(NoTag, match="other"):
        tagger("t.<a>", "^/(?<a>x)")("/other")


@pytest.mark.parametrize(
    ("tag", "pattern"), [("a.<b", "(?<b>.)"), ("a.<b<c>", "(?<b>.)"), ("t", "(")]
)
def test_a_template_or_pattern_that_will_not_do_is_an_error(tag, pattern):
    with pytest.raises(ConfigError):
        tagger(tag, pattern)
