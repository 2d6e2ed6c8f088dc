"""Which tags an instance takes, and what a tag from outside is made into."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.regex import RegexError
from tailrace.model.tag import CONTROL, MOST_LENGTH, clean_tag, matcher

tags = st.text("ab.\n", max_size=8)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("app", ["app"], ["app.x", "xapp", "App", ""]),
        ("*", ["app", ""], []),
        ("app.*", ["app.", "app.x.y"], ["app", "xapp.y"]),
        ("*.log", ["a.log", ".log"], ["a.logs", "log"]),
        ("a*c*e", ["ace", "abcde"], ["ac", "acef"]),
        ("a**b", ["ab", "axb"], ["a"]),
        ("a.b*", ["a.b"], ["axb"]),
        ("a[1]?", ["a[1]?"], ["a1x"]),
    ],
)
def test_a_star_stands_for_any_text_and_nothing_else_does(pattern, yes, no):
    matches = matcher(pattern, None)
    assert [tag for tag in yes + no if matches(tag)] == yes


@given(st.text("ab.*", max_size=6).filter(bool), tags)
def test_a_pattern_matches_as_a_shell_pattern_does(pattern, tag):
    assert matcher(pattern, None)(tag) == fnmatch.fnmatchcase(tag, pattern)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("app", ["app", "app.x"], ["my.app"]),
        ("^(a|b)$", ["a", "b"], ["ab"]),
        (r"\d+", ["1a"], ["a1"]),
    ],
)
def test_a_regex_matches_from_the_start(pattern, yes, no):
    matches = matcher(None, pattern)
    assert [tag for tag in yes + no if matches(tag)] == yes


def test_either_of_pattern_and_regex_is_enough():
    matches = matcher("a.*", "^b")
    assert [tag for tag in ("a.1", "b", "c") if matches(tag)] == ["a.1", "b"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_rule_takes_nothing(nothing):
    assert not matcher(nothing, nothing)("app")


def test_a_regex_that_can_not_be_used_is_the_declared_error():
    with pytest.raises(RegexError):
        matcher(None, "(")


@pytest.mark.parametrize(
    ("tag", "clean"),
    [("app.web", "app.web"), ("a\nb\x00c\x7f", "a_b_c_"), ("é/😀", "é/😀"), ("", "")],
)
def test_control_characters_are_replaced_and_the_rest_stays(tag, clean):
    assert clean_tag(tag) == clean


@given(st.text())
def test_a_clean_tag_is_bounded_and_clean_and_stays_so(tag):
    clean = clean_tag(tag * 100)
    assert len(clean) <= MOST_LENGTH
    assert not CONTROL.search(clean)
    assert clean_tag(clean) == clean
