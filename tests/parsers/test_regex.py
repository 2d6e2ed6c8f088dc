import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import InvalidConfiguration
from tailrace.plugin.parsing import to_integer
from tailrace.testing import make_parser


def parse(regex, *lines, more=""):
    return make_parser(f"name p\nformat regex\nregex {regex}\n{more}").parse(lines)


def test_named_groups_become_fields_in_their_order():
    [body] = parse(r"^(?<b>\w+) (?<a>\w+)( \w+)?$", "x y z").bodies
    assert list(body.items()) == [("b", "x"), ("a", "y")]


def test_a_line_that_does_not_match_does_not_parse():
    assert parse(r"^(?<a>\d+)$", "1", "x", "2").bodies == [{"a": "1"}, None, {"a": "2"}]


@pytest.mark.parametrize("regex", [r"^(\w+)$", r"^\w+$"])
def test_without_a_named_group_nothing_parses(regex):
    assert parse(regex, "x").bodies == [None]


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ("", {"a": "x"}),
        ("skip_empty_values on", {"a": "x"}),
        ("skip_empty_values off", {"a": "x", "b": "", "c": ""}),
    ],
)
def test_groups_that_match_nothing_are_left_out_or_empty(more, body):
    assert parse(r"^(?<a>[^,]*),(?<b>[^,]*)(?<c>;)?$", "x,", more=more).bodies == [body]


def test_of_a_repeated_name_the_last_group_that_took_part_counts():
    assert parse(r"^(?:a(?<v>\d)|b(?<v>\d))$", "a1", "b2").bodies == [{"v": "1"}, {"v": "2"}]
    off = parse(r"^(?:a(?<v>\d)|b(?<v>\d)|c)$", "a1", "c", more="skip_empty_values off")
    assert off.bodies == [{"v": "1"}, {"v": ""}]


def test_types_are_converted():
    found = parse(
        r"^(?<i>\S*) (?<f>\S*) (?<b>\S*)$", "5x 1.5 TRUE", more="types i:integer f:float b:bool"
    )
    assert found.bodies == [{"i": 5, "f": 1.5, "b": True}]


def test_options_stand_behind_the_slashes():
    assert parse(r"/^(?<a>error)$/i", "ERROR").bodies == [{"a": "ERROR"}]


def test_a_bad_time_is_taken_out_unless_it_is_kept():
    more = "time_key t\ntime_format %s"
    assert parse(r"^(?<t>\w+) (?<a>\w+)$", "7 x", "soon x", more=more) == (
        [7_000_000_000, None],
        [{"a": "x"}, {"a": "x"}],
    )
    kept = parse(r"^(?<t>\w+) (?<a>\w+)$", "soon x", more=f"{more}\ntime_keep on")
    assert kept.bodies == [{"t": "soon", "a": "x"}]


def test_a_line_that_takes_too_long_does_not_parse_and_others_do(monkeypatch):
    monkeypatch.setattr("tailrace.parsers.regex.BATCH_SECONDS", 0.05)
    monkeypatch.setattr("tailrace.parsers.regex.LINE_SECONDS", 0.05)
    found = parse(r"^(?<a>(x|xx)+)$", "xx", "x" * 60 + "!", "x")
    assert found.bodies == [{"a": "xx"}, None, {"a": "x"}]


@pytest.mark.parametrize("regex", ["", "(", "(?<a>"])
def test_what_is_no_expression_is_refused(regex):
    with pytest.raises(InvalidConfiguration, match="regex"):
        parse(regex)


@given(lines=st.lists(st.binary(max_size=20), max_size=5))
def test_any_bytes_give_a_body_or_none_for_each_line(lines):
    texts = [line.decode("utf-8", "surrogateescape") for line in lines]
    found = parse(r"^(?<a>[^ ]*) (?<b>.*)$", *texts, more="types a:integer b:hex")
    assert len(found.bodies) == len(texts)
    for text, body in zip(texts, found.bodies, strict=True):
        assert (body is None) or " " in text


@given(lines=st.lists(st.text("ab \n", max_size=6), max_size=5))
def test_a_line_gives_the_same_alone_and_among_others(lines):
    regex = r"^(?<a>a+)(?<b> ?b)?$"
    assert parse(regex, *lines).bodies == [parse(regex, line).bodies[0] for line in lines]


@given(st.lists(st.text("ab0 ²٣-", max_size=6), max_size=5), st.booleans(), st.booleans())
def test_blocks_and_lines_are_parsed_alike(lines, skip_empty, converted):
    more = f"skip_empty_values {'on' if skip_empty else 'off'}"
    more += "\ntypes n:integer" if converted else ""
    parser = make_parser(f"name p\nformat regex\nregex ^(?<a>a*)(?<b>b+)?(?<n>[^ab ]*)$\n{more}")
    block = "\n".join(lines).encode()
    expected = [parser.parse([line]) for line in block.decode().split("\n")]
    assert parser.parse_block(block).bodies == [each.bodies[0] for each in expected]


def test_integers_of_any_length_and_script_are_read_as_by_themselves():
    texts = ["7", "0" * 30 + "5", "9" * 25, "²", "٣", "-4", "5x", "1_0"]
    found = parse(r"^(?<n>\S+)$", *texts, more="types n:integer").bodies
    assert [body["n"] for body in found] == [to_integer(text) for text in texts]
