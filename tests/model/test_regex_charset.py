"""Sets of characters."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.regex.charset import (
    ASCII,
    DIGIT,
    HEX_DIGIT,
    LAST_CODE,
    POSIX_CLASSES,
    SPACE,
    WORD,
    UnknownProperty,
    any_case,
    close_over_case,
    complement,
    contains,
    intersection,
    normalise,
    posix_ranges,
    property_ranges,
    single_letters,
    union,
)

codes = st.integers(0, LAST_CODE)
sets = st.lists(st.tuples(codes, codes).map(sorted).map(tuple), max_size=5).map(normalise)


@given(sets, sets, codes)
def test_sets_behave_as_sets(one, other, code):
    assert contains(union(one, other), code) == (contains(one, code) or contains(other, code))
    assert contains(intersection(one, other), code) == (
        contains(one, code) and contains(other, code)
    )
    assert contains(complement(one), code) != contains(one, code)


@given(sets)
def test_ranges_are_sorted_and_have_gaps_between(ranges):
    bounds = [bound for pair in ranges for bound in pair]
    assert bounds == sorted(bounds)
    assert all(following > last + 1 for (_, last), (following, _) in pairwise(ranges))
    assert complement(complement(ranges)) == ranges


@pytest.mark.parametrize(
    ("name", "ascii_only"),
    [("word", WORD), ("digit", DIGIT), ("space", SPACE), ("xdigit", HEX_DIGIT)],
)
def test_the_ascii_part_of_a_class_is_the_ascii_class(name, ascii_only):
    assert intersection(posix_ranges(name), ASCII) == ascii_only


@pytest.mark.parametrize("name", POSIX_CLASSES)
def test_every_posix_class_is_a_property_too(name):
    char = {
        "cntrl": "\t",
        "blank": " ",
        "space": " ",
        "punct": "!",
        "digit": "7",
        "upper": "A",
    }.get(name, "a")
    assert contains(posix_ranges(name), ord(char))
    assert contains(property_ranges(name.title()), ord(char))


def test_properties_ignore_case_and_punctuation_in_their_names():
    assert property_ranges("in_basic LATIN") == ASCII


def test_an_unknown_property_is_refused():
    with pytest.raises(UnknownProperty):
        property_ranges("Nonsense")


def test_every_character_with_case_is_folded():
    cased = [chr(code) for code in range(LAST_CODE + 1) if chr(code).casefold() != chr(code)]
    folds = {char: char.casefold() for char in cased}
    single = [char for char, folded in folds.items() if len(folded) == 1]
    assert all(contains(any_case(ord(char)), ord(folds[char])) for char in single)
    assert all(contains(any_case(ord(folds[char])), ord(char)) for char in single)
    assert all(char in single_letters(folds[char]) for char in cased if len(folds[char]) > 1)


def test_case_does_not_cross_to_ascii_unless_allowed():
    kelvin = ord("\N{KELVIN SIGN}")
    small_k = normalise([(ord("k"), ord("k"))])
    assert contains(close_over_case(small_k, small_k), kelvin)
    assert close_over_case(small_k, ()) == normalise([(ord("k"), ord("k")), (ord("K"), ord("K"))])


def test_a_class_is_closed_over_case_beyond_ascii():
    lower = posix_ranges("lower")
    assert all(contains(close_over_case(lower, lower), ord(char)) for char in "AÉΣЖ")


def test_digits_of_all_scripts_are_digits():
    assert all(contains(posix_ranges("digit"), ord(char)) for char in "7٣९")
