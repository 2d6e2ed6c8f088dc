"""What all parsers share: sections, times, types."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import InvalidConfiguration, Problems
from tailrace.config.source import Place, Section
from tailrace.plugin.base import Parsed
from tailrace.plugin.parsing import conversions, make_parser, take_times
from tailrace.testing import entries_of
from tailrace.testing import make_parser as parser_of

SECOND = 1_000_000_000
JSON = "name p\nformat json\n"


def convert(kind, text):
    return conversions(f"a:{kind}", [])["a"](text)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "42", 42),
        ("integer", "12abc", 12),
        ("integer", "abc", 0),
        ("integer", "", 0),
        ("integer", "1_000", 1),
        ("integer", "1.9", 1),
        ("integer", "9" * 30, (1 << 63) - 1),
        ("integer", "-" + "9" * 5000, -(1 << 63)),
        ("integer", "0" * 5000 + "7x", 7),
        ("float", "1.5", 1.5),
        ("float", "2e3x", 2000.0),
        ("float", "x", 0.0),
        ("float", "1_0", 1.0),
        ("hex", "ff", 255),
        ("hex", "0x1Fz", 31),
        ("hex", "z", 0),
        ("hex", "f" * 30, (1 << 64) - 1),
        ("bool", "TRUE", True),
        ("bool", "false", False),
        ("bool", "maybe", "maybe"),
        ("string", "42", "42"),
    ],
)
def test_text_becomes_the_value_that_it_begins_with(kind, text, value):
    found = convert(kind, text)
    assert (found, type(found)) == (value, type(value))


@given(st.sampled_from(["integer", "float", "hex", "bool", "string"]), st.text(max_size=12))
def test_any_text_has_a_value_of_each_type(kind, text):
    found = convert(kind, text)
    assert kind != "integer" or -(1 << 63) <= found < 1 << 63
    assert kind != "hex" or 0 <= found < 1 << 64


def test_types_stand_with_blanks_between_and_unknown_ones_are_warned_of():
    warnings = []
    assert set(conversions("a:integer b:float,c:bool d:bool e:int", warnings)) == {"a", "d"}
    assert ["'float,c:bool' is no type" in warnings[0], "'int' is no type" in warnings[1]]
    assert len(warnings) == 2


@pytest.mark.parametrize("types", ["a", "integer"])
def test_a_field_without_a_type_is_passed_over_with_a_warning(types):
    warnings = []
    assert conversions(types, warnings) == {}
    assert f"types: '{types}' is passed over" in warnings[0]


def test_a_time_that_is_kept_is_read_before_it_takes_its_type():
    made = parser_of(
        "name p\nformat regex\nregex ^(?<time>.*)$\ntime_key time\ntime_format %s\ntime_keep on\ntypes time:integer"
    )
    assert made.parse(["7"]) == Parsed([7 * SECOND], [{"time": 7}])


def test_the_time_is_in_the_field_time_unless_another_is_named():
    assert parser_of(JSON + "time_format %s").parse(['{"time":"7","a":1}']) == Parsed(
        [7 * SECOND], [{"a": 1}]
    )


def test_a_time_format_with_an_unknown_letter_is_warned_of_and_no_time_fits_it():
    made = parser_of(JSON + "time_format %s.%6N")
    assert "%6 is not known" in made.warnings[0]
    assert made.parse(['{"time":"7.000000"}']) == Parsed([None], [{"time": "7.000000"}])


def test_a_property_that_is_not_known_is_passed_over_with_a_warning():
    problems = Problems()
    section = Section("parser", Place("f"), entries_of(JSON + "colour red"))
    assert make_parser(section, problems) is not None
    [problem] = problems
    assert (problem.severity, "'colour'" in problem.what) == ("warning", True)


def test_a_type_that_there_is_not_is_warned_of_and_the_field_stays_text():
    warnings = []
    assert set(conversions("a:number b:integer", warnings)) == {"b"}
    assert "'number'" in warnings[0]


@pytest.mark.parametrize("section", ["types a:number", "decode_field yaml log"])
def test_what_is_odd_with_a_parser_is_a_warning(section):
    problems = Problems()
    made = make_parser(Section("parser", Place("f"), entries_of(JSON + section)), problems)
    assert made.parse(['{"a":"1"}']).bodies == [{"a": "1"}]
    assert [problem.severity for problem in problems] == ["warning"]


def test_a_negative_hexadecimal_number_counts_back_from_the_end():
    assert [conversions("a:hex", [])["a"](text) for text in ("-1", " -0x2", "+f")] == [
        (1 << 64) - 1,
        (1 << 64) - 2,
        15,
    ]


def test_a_time_is_taken_out_of_the_body():
    made = parser_of(JSON + "time_key t\ntime_format %s")
    parsed = made.parse(['{"t":"5","n":1}', '{"n":2}', "no json"])
    assert parsed.times == [5 * SECOND, None, None]
    assert parsed.bodies == [{"n": 1}, {"n": 2}, None]


def test_a_time_stays_if_asked_for():
    made = parser_of(JSON + "time_key t\ntime_format %s\ntime_keep on")
    assert made.parse(['{"t":"5"}']) == ([5 * SECOND], [{"t": "5"}])


@pytest.mark.parametrize(("drop_bad", "left"), [(True, {"n": 1}), (False, {"t": "bad", "n": 1})])
def test_what_is_no_time_stays_or_goes_as_the_format_has_it(drop_bad, left):
    bodies = [{"t": "bad", "n": 1}]
    assert take_times(bodies, "t", lambda text: None, False, drop_bad) == [None]
    assert bodies == [left]


def test_a_time_that_is_no_text_is_left_alone():
    bodies = [{"t": 5}]
    assert take_times(bodies, "t", lambda text: pytest.fail("parsed"), False, True) == [None]
    assert bodies == [{"t": 5}]


def test_decoded_fields_are_there_before_the_time_is_taken():
    made = parser_of(JSON + "decode_field json log\ntime_key t\ntime_format %s")
    assert made.parse(['{"log":"{\\"t\\":\\"7\\"}"}']).times == [7 * SECOND]


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ("name p", "format is missing"),
        ("name p\nformat yaml", "format 'yaml' is not known"),
        ("name p\nformat regex", "regex is missing"),
        ("name p\nformat regex\nregex (", "regex: "),
        (JSON + "time_format %s\ntime_offset +0100\ntime_zone UTC", "exclude each other"),
        (JSON + "time_key t\ntime_format %", "time_format: "),
        (JSON + "time_keep perhaps", "perhaps"),
    ],
)
def test_what_is_wrong_with_a_parser_is_told_by_its_name(section, what):
    problems = Problems()
    assert make_parser(Section("parser", Place("f"), entries_of(section)), problems) is None
    [problem] = problems
    assert what in problem.what
    assert problem.where == "parser p"


def test_the_shortcut_for_tests_raises_what_is_wrong():
    with pytest.raises(InvalidConfiguration):
        parser_of("name p")
