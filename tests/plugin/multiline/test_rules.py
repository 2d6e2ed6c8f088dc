import pytest

from tailrace.config.errors import ConfigError, Place, Problems
from tailrace.config.source import Entry, Section
from tailrace.plugin.multiline import flush_ms_of, make_rules
from tailrace.testing import entries_of, make_parser

LIST = 'name list\ntype regex\nrule "start_state" "/^- /" "cont"\nrule "cont" "/^  /" "cont"'


def find_parser(name):
    if name != "js":
        raise ConfigError(f"there is no parser '{name}'.")
    return make_parser("name js\nformat json")


def read(text):
    problems = Problems()
    section = Section("multiline_parser", Place("test.conf"), entries_of(text))
    return make_rules(section, problems, find_parser), problems


def test_rules_know_which_may_follow():
    parser, problems = read(LIST)
    assert not problems
    start, cont = parser.rules
    assert start.is_start
    assert start.nexts == (cont,)
    assert cont.nexts == (cont,)
    assert not start.may_end


def test_a_rule_that_leads_back_to_the_start_may_end_the_message():
    parser, _ = read(LIST + '\nrule "cont" "/^end/" "start_state"')
    assert [rule.may_end for rule in parser.rules] == [False, False, True]
    assert parser.rules[2].nexts == ()


def test_a_rule_may_belong_to_several_states_and_lead_nowhere():
    parser, problems = read(
        'name x\ntype regex\nrule "start_state, more" "/x/" "more"\nrule more /y/'
    )
    assert not problems
    assert parser.rules[0].states == ("start_state", "more")
    assert parser.rules[0].may_end
    assert parser.rules[1].nexts == ()


def test_rules_of_yaml_are_maps():
    rules = [
        {"state": "start_state", "regex": "/^x/", "next_state": "more"},
        {"state": "more", "regex": "/^y/i", "next_state": "more"},
    ]
    place = Place("test.yaml")
    entries = [
        Entry("name", "m", place),
        Entry("type", "regex", place),
        Entry("rules", rules, place),
    ]
    parser = make_rules(Section("multiline_parser", place, entries), Problems(), find_parser)
    assert [rule.states for rule in parser.rules] == [("start_state",), ("more",)]
    assert parser.rules[1].search("Y1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type regex", "name is missing"),
        ("name x", "type is missing"),
        ("name x\ntype beginswith\nmatch_string x", "'beginswith' is not known"),
        ("name x\ntype regex", "rule is missing"),
        ("name x\ntype endswith", "match_string is missing"),
        ('name x\ntype regex\nrule "cont" "/x/" "cont"', "not one of start_state"),
        ('name x\ntype regex\nrule "start_state" "/x/" "nowhere"', "'nowhere'"),
        ('name x\ntype regex\nrule "start_state"', "Give states, a regex"),
        ('name x\ntype regex\nrule "start_state" "/(/" "start_state"', "not a regular expression"),
        ('name x\ntype regex\nrule "," "/x/" "cont"', "without a state"),
        (LIST + "\nflush_time 5", "flush_timeout"),
    ],
)
def test_a_mistake_is_named(text, expected):
    parser, problems = read(text)
    assert parser is None
    assert expected in str(problems.found[0])
    assert problems.found[0].exit_code == 1


@pytest.mark.parametrize(
    "rules", ["text", ["text"], [{"state": "start_state", "regex": "x"}], [{"regex": "x"}]]
)
def test_a_rule_of_yaml_that_is_no_map_of_texts_is_refused(rules):
    place = Place("test.yaml")
    entries = [
        Entry("name", "m", place),
        Entry("type", "regex", place),
        Entry("rules", rules, place),
    ]
    problems = Problems()
    assert make_rules(Section("multiline_parser", place, entries), problems, find_parser) is None
    assert problems


def test_an_inner_parser_is_found_by_name():
    parser, _ = read(LIST + "\nparser js\nkey_content msg")
    assert parser.parser is not None
    assert parser.key_content == "msg"


def test_an_inner_parser_that_is_not_there_is_a_warning():
    parser, problems = read(LIST + "\nparser nosuch")
    assert not problems
    assert parser.parser is None
    assert "nosuch" in parser.warning


def test_eq_is_another_word_for_equal():
    assert read("name x\ntype EQ\nmatch_string --\nnegate on")[0].kind == "equal"
    assert read("name x\ntype eq\nmatch_string --\nnegate on")[0].negate


def test_of_several_flush_timeouts_the_longest_counts():
    short, long = read(LIST + "\nflush_timeout 100")[0], read(LIST + "\nflush_timeout 700")[0]
    assert flush_ms_of([short, long]) == 700
    assert flush_ms_of([read(LIST)[0]]) == 4000
    with pytest.raises(ConfigError, match="too short"):
        flush_ms_of([short])
