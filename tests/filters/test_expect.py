import pytest

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.testing import FakeContext, make_plugin, run_filter


def results(rule, *bodies):
    out = run_filter("expect", f"{rule}\naction result_key", *bodies)
    return [body["matched"] for body in out]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("key_exists v", [True, True, True, False]),
        ("key_not_exists v", [False, False, False, True]),
        ("key_val_is_null v", [False, True, False, False]),
        ("key_val_is_not_null v", [True, False, True, False]),
        ("key_val_eq v 5", [False, False, True, False]),
        ("key_val_eq v x", [True, False, False, False]),
    ],
)
def test_each_rule_looks_at_the_field(rule, expected):
    assert results(rule, {"v": "x"}, {"v": None}, {"v": 5}, {"w": 1}) == expected


def test_all_rules_must_hold():
    assert results("key_exists a\nkey_val_eq $b['c'] 1", {"a": 0, "b": {"c": "1"}}, {"a": 0}) == [
        True,
        False,
    ]


def test_the_result_stands_first():
    [body] = run_filter("expect", "key_exists a\naction result_key\nresult_key ok", {"a": 1})
    assert list(body.items()) == [("ok", True), ("a", 1)]


def test_a_failure_is_logged_once_a_batch_and_events_pass():
    context = FakeContext()
    out = run_filter("expect", "key_exists a", {"a": 1}, {"b": 1}, {"c": 1}, context=context)
    assert len(out) == 3
    [(level, text)] = context.sink.messages
    assert level == "warn"
    assert "key_exists a" in text
    assert "1 more" in text
    assert context.exit_code is None


def test_a_failure_may_end_the_agent():
    context = FakeContext()
    run_filter("expect", "key_not_exists a\naction exit", {"b": 1}, context=context)
    assert context.exit_code is None
    run_filter("expect", "key_not_exists a\naction exit", {"a": 1}, context=context)
    assert context.exit_code == 255
    assert context.sink.messages[-1][0] == "error"


def test_with_a_bad_rule_it_does_not_start():
    with pytest.raises(ConfigError):
        make_plugin("filter", "expect", "key_exists $[")


def test_without_a_rule_events_pass_with_a_warning():
    context = FakeContext()
    assert run_filter("expect", "", {"a": 1}, context=context) == [{"a": 1}]
    assert "there is no rule" in context.sink.messages[0][1]


def test_a_field_of_the_name_of_the_result_stays_where_it_is():
    section = "key_exists a\naction result_key\nresult_key b"
    [body] = run_filter("expect", section, {"a": 1, "b": 2})
    assert list(body.items()) == [("a", 1), ("b", 2)]


def test_fields_and_values_may_have_blanks():
    assert results("key_val_eq a x y", {"a": "x y"}, {"a": "x"}, {"a": "y"}) == [True, False, False]
    assert results("key_exists a b", {"a b": 1}, {"a": 1, "b": 1}) == [True, False]


@pytest.mark.parametrize("section", ["key_val_eq a", "key_exists a\naction cry"])
def test_a_rule_of_too_few_words_is_refused(section):
    with pytest.raises(InvalidConfiguration):
        make_plugin("filter", "expect", section)
