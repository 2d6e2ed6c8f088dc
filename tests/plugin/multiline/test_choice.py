import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.regex import compile_regex
from tailrace.plugin.multiline.choice import Choice, required_texts
from tailrace.plugin.multiline.rules import Rule


def rules_of(*patterns):
    return [Rule(("s",), compile_regex(pattern), "s") for pattern in patterns]


def chosen(rules, line):
    choice = Choice(rules)
    found = choice.match(line)
    return None if found is None else choice.rules[found.lastindex]


@pytest.mark.parametrize(
    "patterns",
    [
        ("^a", "^ab", "^b"),
        ("a", "b"),
        ("^a", "b$"),
        ("^(a)", "^(?<n>b)"),
        ("^a|b", "^b"),
        ("/^A/i", "^b"),
        ("Error",),
        ("^a",),
        (),
    ],
)
def test_the_first_rule_that_matches_is_chosen(patterns):
    rules = rules_of(*patterns)
    for line in ("a", "ab", "b", "xab", "", "an Error", "A", "c", "c\na", "b\n", "x\nError"):
        expected = next((rule for rule in rules if rule.search(line)), None)
        assert Choice(rules).of(line) is expected
        if "\n" not in line:
            assert chosen(rules, line) is expected


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("Error", ("Error",)),
        ("x*Error[0-9]", ("Error",)),
        (".(?:Error|Fault)[:]", ("Error", "Fault")),
        ("(abc|defg)+x", ("abc", "defg")),
        ("abc.*longer", ("longer",)),
        ("(?:abc)?", None),
        ("ab", None),
        ("abc|d", None),
        ("(?i)error", None),
        (r"\\d+", None),
    ],
)
def test_texts_that_a_match_must_hold_are_found(pattern, texts):
    assert required_texts(re.compile(pattern)) == texts


PIECES = st.sampled_from(
    ["abc", "xyz", ".", "a*", "(?:abc|xyz)", "(?:abc)?", "[ab]", "^", "\\b", "(?:bca)+"]
)


@given(pieces=st.lists(PIECES, min_size=1, max_size=4), line=st.text("abcxyz ", max_size=12))
def test_a_line_without_the_texts_never_matches(pieces, line):
    pattern = re.compile("".join(pieces))
    texts = required_texts(pattern)
    if texts is not None and not any(text in line for text in texts):
        assert pattern.search(line) is None


def test_without_a_view_into_re_every_line_is_tried(monkeypatch):
    monkeypatch.setattr("tailrace.plugin.multiline.choice.parser", None)
    assert required_texts(re.compile("Error")) is None
    [rule] = rules_of("Error")
    assert chosen([rule], "an Error") is rule
