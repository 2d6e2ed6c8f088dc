"""Options: declared once, read with every problem at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import CommaList, KeyText, Options, Seconds, Size, group, one_of, option
from tailrace.config.errors import FAILED_LOAD, FAILED_START, Place, Problems
from tailrace.config.options import describe
from tailrace.config.source import Entry
from tailrace.config.types import read_seconds, read_size, split_tokens, split_words


class Inner(Options):
    verify: bool = True
    """Check the certificate."""


class Sample(Options):
    path: str
    """Where."""

    count: int = 3
    """How many."""

    rule: list[KeyText] = option(many=True)
    """Rules."""

    size: Size = option(1000)
    """Bytes."""

    wait: Seconds = option(1.0)
    """Seconds."""

    names: CommaList = option(list)
    """Names."""

    parser_: dict[str, str] = option(prefix="parser_")
    """More parsers."""

    tls: Inner = group("tls.")


def read(*pairs):
    problems = Problems()
    made = Sample.read(
        [Entry(key, value, Place("f", line)) for line, (key, value) in enumerate(pairs, 1)],
        problems,
    )
    return made, [str(problem) for problem in problems]


def test_values_are_typed_and_names_ignore_case():
    made, _ = read(
        ("PATH", "/x"),
        ("rule", "a b c"),
        ("Size", "2k"),
        ("wait", "2m"),
        ("names", "a, b"),
        ("tls.verify", "off"),
        ("parser_1", "p"),
    )
    assert (
        made.path,
        made.rule,
        made.size,
        made.wait,
        made.names,
        made.tls.verify,
        made.parser_,
    ) == (
        "/x",
        [("a", "b c")],
        2000,
        120.0,
        ["a", "b"],
        False,
        {"1": "p"},
    )


def test_every_problem_is_found_at_once_with_its_line():
    made, problems = read(("cout", "1"), ("size", "2KiB"), ("count", "x"), ("tls.verify", "maybe"))
    assert made is None
    text = "\n".join(problems)
    for expected in ("f:1", "Did you mean 'count'?", "f:2", "f:3", "f:4", "path is missing"):
        assert expected in text


def test_one_value_given_twice_is_an_error():
    _, problems = read(("path", "a"), ("path", "b"))
    assert "path is given 2 times" in problems[0]


def test_options_are_frozen():
    made, _ = read(("path", "a"))
    with pytest.raises(AttributeError):
        made.path = "b"


def test_help_is_the_string_under_the_field():
    assert {option.name: option.help for option in describe(Sample)}[
        "tls.verify"
    ] == "Check the certificate."


@pytest.mark.parametrize(
    ("text", "bytes_"), [("1", 1), ("32k", 32_000), ("5MB", 5_000_000), ("1g", 10**9), ("false", 0)]
)
def test_sizes(text, bytes_):
    assert read_size(text) == bytes_


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5", 5), ("0.2", 0.2), ("10s", 10), ("1m", 60), ("2h", 7200), ("1d", 86400)],
)
def test_times(text, seconds):
    assert read_seconds(text) == seconds


@given(st.text(max_size=40))
def test_words_of_any_text(text):
    assert isinstance(split_words(text), list)


def test_quotes_keep_blanks_together():
    assert split_words("""a "b c" 'd  e' f""") == ["a", "b c", "d  e", "f"]


def test_a_bad_value_of_a_common_option_ends_the_start_as_a_bad_file_does():
    class Common(Options):
        is_common = True
        level: bool = True
        """Of all."""

    class Own(Common):
        size: bool = True
        """Its own."""

    problems = Problems()
    Own.read([Entry("level", "x", Place("f", 1)), Entry("size", "x", Place("f", 2))], problems)
    assert [problem.exit_code for problem in problems] == [FAILED_LOAD, FAILED_START]


class Numbers(Options):
    count: int = 1
    """How many."""
    share: float = 0.5
    """How much."""
    wait: Seconds = 1.0
    """How long."""
    mode: str = option("a", reader=one_of("a", "b", otherwise="a"))
    """Which."""


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("count", "2x", 2),
        ("count", "0.5", 0),
        ("count", "many", 0),
        ("share", "0.25 of it", 0.25),
        ("share", "half", 0.0),
        ("wait", "300ms", 300.0),
        ("wait", "2.5x", 2.0),
        ("wait", "-1", 0.0),
        ("wait", "ever", 0.0),
        ("mode", "c", "a"),
    ],
)
def test_an_odd_value_counts_as_in_fluent_bit_with_a_warning_at_its_place(key, text, value):
    problems = Problems()
    found = Numbers.read([Entry(key, text, Place("f", 3))], problems)
    assert found is not None
    assert getattr(found, key) == value
    [problem] = problems
    assert (problem.severity, str(problem.place)) == ("warning", "f:3")
    assert problem.what.startswith(f"{key}: '{text}'")


@pytest.mark.parametrize("key", ["count", "share"])
def test_a_comment_behind_a_value_that_will_not_do_is_told(key):
    problems = Problems()
    Numbers.read([Entry(key, "x  # of them", Place("f", 3))], problems)
    (problem,) = problems
    assert problem.mend.startswith("A comment needs a line of its own")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("count", " 7 ", 7), ("share", ".5", 0.5), ("wait", "1.5m", 90.0), ("mode", "B", "b")],
)
def test_of_a_good_value_there_is_no_warning(key, text, value):
    problems = Problems()
    found = Numbers.read([Entry(key, text, Place("f", 3))], problems)
    assert getattr(found, key) == value
    assert not problems


@pytest.mark.parametrize(
    ("line", "tokens"),
    [
        ('a "b c" d', ["a", "b c", "d"]),
        ("a 'b c'", ["a", "'b", "c'"]),
        (r'"a\"b" c', ['a"b', "c"]),
        ('a "b c', ["a", "b c"]),
        ('"a"b', ["a", "b"]),
        ('a"b c"', ['a"b', 'c"']),
        ('a ""', ["a", ""]),
        ("  ", []),
    ],
)
def test_values_are_split_as_in_fluent_bit(line, tokens):
    assert split_tokens(line) == tokens
