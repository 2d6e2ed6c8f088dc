import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError
from tailrace.testing import FakeContext, make_plugin, run_filter

LIST = "# bad ones\r\n10.0.0.1\r\n\nEvil\nné\n"


@pytest.fixture
def context(tmp_path):
    (tmp_path / "list.txt").write_text(LIST, newline="")
    return FakeContext(config_dir=tmp_path)


def looked_up(context, section, *values):
    section = f"file list.txt\nlookup_key ip\nrecord hit yes\n{section}"
    out = run_filter("checklist", section, *({"ip": value} for value in values), context=context)
    return [body["ip"] for body in out if "hit" in body]


def test_fields_are_added_to_events_whose_value_is_in_the_list(context):
    values = ("10.0.0.1", "10.0.0.2", "Evil", "né", "# bad ones", "", 7, None)
    assert looked_up(context, "", *values) == ["10.0.0.1", "Evil", "né"]


def test_letter_case_may_be_ignored_for_ascii(context):
    values = ("EVIL", "evil", "NÉ", "Né")
    assert looked_up(context, "ignore_case on", *values) == ["EVIL", "evil", "Né"]


def test_a_value_may_begin_with_an_entry(context):
    found = looked_up(context, "mode partial", "10.0.0.15", "Evilness", "an Evil")
    assert found == ["10.0.0.15", "Evilness"]


def test_added_values_may_be_booleans_and_null_and_replace_what_is_there(context):
    section = "file list.txt\nlookup_key ip\nrecord a true\nrecord b FALSE\nrecord c null\nrecord d two words"
    [body] = run_filter("checklist", section, {"a": 0, "ip": "Evil"}, context=context)
    assert list(body.items()) == [
        ("ip", "Evil"),
        ("a", True),
        ("b", False),
        ("c", None),
        ("d", "two words"),
    ]


def test_the_field_may_be_nested(context):
    section = "file list.txt\nlookup_key $r['ip']\nrecord hit yes"
    out = run_filter("checklist", section, {"r": {"ip": "Evil"}}, {"r": "Evil"}, context=context)
    assert ["hit" in body for body in out] == [True, False]


def test_how_long_look_ups_take_may_be_logged(context):
    looked_up(context, "print_query_time on", "Evil")
    assert any("1 hits" in text for level, text in context.sink.messages if level == "info")


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("lookup_key a", "file is missing"),
        ("file nowhere.txt", "'nowhere.txt' is not there"),
        ("file list.txt\nlookup_key $['", "lookup_key"),
    ],
)
def test_what_will_not_do_is_named(context, section, expected):
    with pytest.raises(ConfigError, match=expected):
        make_plugin("filter", "checklist", section, context)


@given(
    entries=st.lists(st.text("abAB", min_size=1, max_size=3), min_size=1, max_size=5),
    value=st.text("abAB", max_size=5),
    fold=st.booleans(),
)
def test_partial_is_a_beginning_and_exact_the_whole(tmp_path_factory, entries, value, fold):
    folder = tmp_path_factory.mktemp("lists")
    (folder / "list.txt").write_text("\n".join(entries))
    context = FakeContext(config_dir=folder)
    case = "ignore_case on" if fold else ""
    known = [entry.lower() if fold else entry for entry in entries]
    text = value.lower() if fold else value
    assert bool(looked_up(context, case, value)) is (text in known)
    assert bool(looked_up(context, f"{case}\nmode partial", value)) is any(
        text.startswith(entry) for entry in known
    )
