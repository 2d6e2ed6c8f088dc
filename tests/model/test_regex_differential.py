"""Random patterns match as in Oniguruma, the sister of the library that Fluent Bit uses.

Texts are ASCII, since there the two libraries agree; where they do not, `test_regex_ruby.py` has Onigmo's word.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.model.regex import RegexError, budget, compile_regex

onigurumacffi = pytest.importorskip("onigurumacffi")

CLASS_PARTS = [
    "a",
    "b",
    "A",
    "1",
    "_",
    "-",
    r"\w",
    r"\d",
    r"\S",
    r"\h",
    "a-b",
    "A-Z",
    "[:alpha:]",
    "[:^digit:]",
    "&&",
    "[^b]",
    r"\n",
    " ",
]
ATOMS = [
    "a",
    "b",
    "A",
    "1",
    "_",
    " ",
    "ab",
    ".",
    r"\w",
    r"\W",
    r"\d",
    r"\D",
    r"\s",
    r"\S",
    r"\h",
    r"\R",
    r"\.",
    r"\n",
    r"\x41",
]
ANCHORS = ["^", "$", r"\A", r"\z", r"\Z", r"\b", r"\B"]
QUANTIFIERS = [
    "",
    "",
    "",
    "",
    "*",
    "+",
    "?",
    "*?",
    "+?",
    "??",
    "*+",
    "++",
    "?+",
    "{2}",
    "{1,2}",
    "{,2}",
    "{1,}",
    "{2}?",
    "{1,2}?",
]
OPENINGS = ["(", "(", "(?:", "(?>", "(?i:", "(?m:", "(?=", "(?!"]

classes = st.builds(
    lambda sign, parts: f"[{sign}{''.join(parts)}]",
    st.sampled_from(["", "^"]),
    st.lists(st.sampled_from(CLASS_PARTS), min_size=1, max_size=3),
)
lookbehinds = st.sampled_from(
    ["(?<=a)", "(?<!b)", "(?<=a|b1)", "(?<![ab]1|A)", r"(?<=^)", r"(?<!\w)"]
)
repeatable = st.sampled_from(ATOMS) | classes


def bracketed(inner):
    return st.builds(lambda opening, text: f"{opening}{text})", st.sampled_from(OPENINGS), inner)


def extended(inner):
    quantified = st.builds(
        lambda item, sign: item + sign, repeatable | bracketed(inner), st.sampled_from(QUANTIFIERS)
    )
    unit = quantified | st.sampled_from(ANCHORS) | lookbehinds
    branch = st.lists(unit, min_size=1, max_size=4).map("".join)
    return st.lists(branch, min_size=1, max_size=3).map("|".join)


patterns = st.recursive(st.sampled_from(ATOMS), extended, max_leaves=12)
texts = st.text(st.sampled_from("abA1_ \n.-"), max_size=10)


def spans_of_oniguruma(pattern, text):
    match = onigurumacffi.compile(pattern).search(text)
    # ASCII text: the library's byte offsets are places in the text; -1 says that a group took no part.
    return match and list(zip(match._begs, match._ends, strict=True))


def spans(pattern, text):
    match = compile_regex(pattern).search(text)
    return match and [match.span(group) for group in range(len(match.groups()) + 1)]


def outcome(function, pattern, text):
    try:
        with budget(5):
            return function(pattern, text)
    except (RegexError, onigurumacffi.OnigError):
        return "refused"


@given(patterns, texts)
@settings(max_examples=400, deadline=None)
def test_groups_span_what_they_span_in_oniguruma(pattern, text):
    expected = outcome(spans_of_oniguruma, pattern, text)
    # Oniguruma refuses quantified look-around, Onigmo does not.
    if expected != "refused":
        assert outcome(spans, pattern, text) == expected


def test_the_comparison_can_fail():
    assert outcome(spans, "a", "ba") != outcome(spans_of_oniguruma, "b", "ba")
    assert outcome(spans, "(", "") == "refused"
