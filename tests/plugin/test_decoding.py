"""Decoders of parsed fields."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.plugin.decoding import DECODERS, make_decoding

escapes = st.text(st.sampled_from("\\uUxX08dDeEcCfFn'\"{}:,1"), max_size=16)


def decode(body, *, field=(), field_as=()):
    made = make_decoding(list(field), list(field_as), [])
    made.apply([body])
    return body


def decoded_as(name, text):
    return decode({"log": text}, field_as=[f"{name} log"])["log"]


@pytest.mark.parametrize("rule", ["json", "json a b c"])
def test_a_rule_of_other_than_two_or_three_words_is_passed_over_with_a_warning(rule):
    warnings = []
    assert make_decoding([rule], [], warnings) is None
    assert f"'{rule}' is passed over" in warnings[0]


@pytest.mark.parametrize("name", ["escaped", "escaped_utf8", "mysql_quoted"])
def test_decode_field_takes_maps_alone(name):
    assert decode({"log": r"'a\tb'"}, field=[f"{name} log"]) == {"log": r"'a\tb'"}


def test_no_rules_make_no_decoding():
    assert make_decoding([], [], []) is None


def test_decode_field_adds_the_keys_beside_the_text():
    body = decode({"log": '{"a":1,"n":2}', "n": 0}, field=["json log"])
    assert body == {"log": '{"a":1,"n":2}', "a": 1, "n": 2}


def test_decode_field_as_puts_the_map_in_the_place_of_the_text():
    assert decode({"log": '{"a":1}'}, field_as=["json log"]) == {"log": {"a": 1}}


def test_a_decoded_key_of_the_name_of_the_field_does_not_replace_it():
    assert decode({"log": '{"log":1}'}, field=["json log"]) == {"log": '{"log":1}'}


@pytest.mark.parametrize("text", ["no json", "[1]", "7", "", '{"a":1} x'])
def test_text_that_is_no_map_stays(text):
    assert decode({"log": text}, field_as=["json log"]) == {"log": text}


@pytest.mark.parametrize("value", [7, None, {"a": 1}, b"{}"])
def test_what_is_no_text_stays(value):
    assert decode({"log": value}, field_as=["json log"]) == {"log": value}


def test_bodies_without_the_field_and_lines_that_did_not_parse_are_passed_over():
    bodies = [None, {"n": 1}, {"log": '{"a":1}'}]
    make_decoding([], ["json log"], []).apply(bodies)
    assert bodies == [None, {"n": 1}, {"log": {"a": 1}}]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("escaped", r"a\nb\t\"\\", 'a\nb\t"\\'),
        ("escaped", r"\u00e9\q", "u00e9q"),
        ("escaped_utf8", r"\u00e9 \xe9 \351 \U0001f600 \n", "é é é 😀 \n"),
        ("escaped_utf8", r"\ud83d\ude00", "😀"),
        ("escaped_utf8", r"\ud83d.", "\ufffd."),
        ("escaped_utf8", r"\ud83d\ud83d\ude00", "\ufffd😀"),
        ("escaped_utf8", r"\u12 \u", "\ufffd \\u"),
        ("escaped_utf8", r"\Uffffffff", "\ufffd"),
        ("escaped_utf8", r"\U0000d800", "\ufffd"),
        ("mysql_quoted", r"'it\'s\0\Z'", "it's\0\x1a"),
        ("mysql_quoted", r'"a\nb"', "a\nb"),
        ("mysql_quoted", r"'\%\b\_'", r"\%\b\_"),
        ("mysql_quoted", "plain", "plain"),
        ("mysql_quoted", "'", "'"),
    ],
)
def test_each_decoder_reads_its_escapes(name, text, value):
    assert decoded_as(name, text) == value


def test_after_do_next_the_following_rule_is_used_in_any_case():
    body = decode({"log": r"{\"a\":1}"}, field_as=["escaped log do_next", "json log"])
    assert body == {"log": {"a": 1}}


def test_after_try_next_the_following_rule_is_used_only_if_this_one_failed():
    rules = ["json log try_next", "escaped log"]
    assert decode({"log": '{"a":"\\\\n"}'}, field_as=rules) == {"log": {"a": "\\n"}}
    assert decode({"log": r"a\nb"}, field_as=rules) == {"log": "a\nb"}


def test_without_an_action_no_other_rule_is_used():
    assert decode({"log": r"a\nb"}, field_as=["json log", "escaped log"]) == {"log": r"a\nb"}


def test_an_action_that_is_none_is_passed_over_with_a_warning():
    warnings = []
    assert make_decoding([], ["json log next"], warnings) is not None
    assert "'next' is no action" in warnings[0]


@given(st.sampled_from(sorted(DECODERS)), escapes | st.text(max_size=20))
@example("escaped_utf8", r"\ud83d\ud83d\ud83d" * 500)
def test_any_text_is_decoded_into_text_that_can_be_written_or_stays(name, text):
    for arguments in ({"field": [f"{name} log"]}, {"field_as": [f"{name} log"]}):
        body = decode({"log": text}, **arguments)
        assert type(body["log"]) in (str, dict)
        str(body).encode("utf-8", "surrogateescape")
        if type(body["log"]) is str:
            body["log"].encode("utf-8", "surrogateescape")


def test_a_decoder_that_is_none_is_warned_of_and_left_out():
    warnings = []
    made = make_decoding(["yaml log"], ["json log"], warnings)
    bodies = [{"log": '{"a":1}'}]
    made.apply(bodies)
    assert bodies == [{"log": {"a": 1}}]
    assert len(warnings) == 1
    assert "no decoder 'yaml'" in warnings[0]
