"""The SQL of the stream processor: what is read, what conditions hold, what is refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tailrace.model.sql import MISSING, Item, SQLError, Window, lookup, number_in, parse

WORDS = """
    SELECT * FROM STREAM:a TAG:'x' WHERE NOT AND OR ( ) [ ] 'k' = <> < >= k n.m 1 -2.5 , ; IS NULL
    GROUP BY LIMIT WINDOW TUMBLING HOPPING 5 SECOND ADVANCE COUNT AVG AS @RECORD .CONTAINS .TIME
    CREATE SNAPSHOT STREAM WITH FLUSH NOW() TRUE
"""
queries = st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join)


def holds(condition, body=None, tag="t", time=0):
    return parse(f"SELECT * FROM STREAM:s WHERE {condition};").where(body or {}, tag, time)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("*", []),
        ("a, b", [Item("a"), Item("b")]),
        ("a AS x", [Item("a", alias="x")]),
        ("a['b']['it''s']", [Item("a", ("b", "it's"))]),
        ("COUNT(*)", [Item(function="COUNT")]),
        ("avg(a['b']) as m", [Item("a", ("b",), "AVG", "m")]),
        ("NOW()", [Item(function="NOW")]),
        ("TIMESERIES_FORECAST(v, 9)", [Item("v", function="TIMESERIES_FORECAST", seconds=9)]),
    ],
)
def test_what_is_selected_is_read(text, items):
    assert parse(f"select {text} from stream:s;").items == items


@pytest.mark.parametrize(
    ("item", "label"),
    [
        (Item("a", ("b", "c")), "a['b']['c']"),
        (Item("a", function="SUM"), "SUM(a)"),
        (Item(function="COUNT"), "COUNT(*)"),
        (Item(function="NOW"), "NOW()"),
        (Item("a", function="SUM", alias="x"), "x"),
    ],
)
def test_a_result_is_named_after_what_was_asked_for(item, label):
    assert item.label == label


def test_a_statement_is_read_whole():
    query = parse(
        "CREATE STREAM out WITH (tag='x.y', a = 'b') AS SELECT k, COUNT(*) FROM TAG:'app.*' "
        "WINDOW HOPPING (2 MINUTE, ADVANCE BY 30 SECOND) WHERE k > 1 GROUP BY k, m['n'] LIMIT 7;"
    )
    assert (query.action, query.name, query.limit) == ("stream", "out", 7)
    assert query.properties == {"tag": "x.y", "a": "b"}
    assert (query.source_kind, query.source) == ("tag", "app.*")
    assert query.window == Window("HOPPING", 120, 30)
    assert query.group_by == [Item("k"), Item("m", ("n",))]
    assert query.is_aggregating


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("SELECT * FROM STREAM:s;", "select"),
        ("CREATE SNAPSHOT p AS SELECT * FROM STREAM:s LIMIT 5;", "snapshot"),
        ("FLUSH SNAPSHOT p AS SELECT * FROM STREAM:s;", "flush"),
    ],
)
def test_each_action_has_its_statement(text, action):
    assert parse(text).action == action


@pytest.mark.parametrize(
    ("condition", "body", "expected"),
    [
        ("a = 1", {"a": 1}, True),
        ("a = 1", {"a": 1.0}, True),
        ("a = 1", {"a": "1"}, True),
        ("a = 1", {"a": True}, False),
        ("a = '1'", {"a": 1}, False),
        ("a = 'it''s'", {"a": "it's"}, True),
        ("a = true", {"a": True}, True),
        ("a <> 1", {"a": 2}, True),
        ("a != 1", {}, True),
        ("a > 1.5", {"a": 2}, True),
        ("a >= 2", {"a": 2}, True),
        ("a < -1", {"a": -2}, True),
        ("a <= 'b'", {"a": "a"}, True),
        ("a > 1", {}, False),
        ("a >= true", {"a": True}, False),
        ("m['k'] = 1", {"m": {"k": 1}}, True),
        ("m['k'] = 1", {"m": 1}, False),
        ("a IS NULL", {"a": None}, True),
        ("a IS NULL", {}, False),
        ("a IS NOT NULL", {}, True),
        ("@RECORD.CONTAINS(m['k'])", {"m": {"k": None}}, True),
        ("@RECORD.CONTAINS(x)", {}, False),
        ("a", {"a": "text"}, True),
        ("a", {"a": 0}, False),
        ("NOT a = 1 AND b = 1", {"a": 2, "b": 1}, True),
        ("a = 1 AND b = 1 OR c = 1", {"a": 1, "c": 1}, True),
        ("a = 1 AND b = 1 OR c = 1", {"c": 1}, False),
        ("(a = 1 AND b = 1) OR c = 1", {"c": 1}, True),
        ("a = 'GROUP BY x'", {"a": "GROUP BY x"}, True),
    ],
)
def test_a_condition_holds_as_the_grammar_says(condition, body, expected):
    assert holds(condition, body) is expected


def test_the_time_of_the_record_can_be_compared():
    assert holds("@RECORD.TIME() > 1.4", time=1_500_000_000)
    assert not holds("@RECORD.TIME() > 1.4", time=1_300_000_000)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "character 1: 'SELECT' is expected, not the end"),
        ("SELECT * FROM STREAM:s", "';' is expected"),
        ("SELECT * FROM STREAM:s; x", "the end of the query is expected"),
        ("SELECT FROM STREAM:s;", "character 8: a name is expected, not 'FROM'"),
        ("SELECT * FROM s;", "STREAM:name or TAG:'pattern' is expected"),
        ("SELECT * FROM STREAM:s WHERE a = ;", "a number, a text in quotes"),
        ("SELECT * FROM STREAM:s WHERE a = 'x;", 'character 34: "\'"'),
        ("SELECT ? FROM STREAM:s;", "character 8: "),
        ("SELECT a FROM STREAM:s WINDOW TUMBLING (0 SECOND);", "at least 1 SECOND"),
        ("SELECT a FROM STREAM:s WINDOW HOPPING (1 SECOND, ADVANCE BY 2 SECOND);", "can't advance"),
        ("SELECT a FROM STREAM:s WINDOW TUMBLING (5 DAY);", "SECOND, MINUTE or HOUR"),
    ],
)
def test_an_error_says_where_and_what_was_expected(text, place):
    with pytest.raises(SQLError) as caught:
        parse(text)
    assert place in str(caught.value)


def test_nesting_is_bounded():
    with pytest.raises(SQLError, match="nested"):
        holds("(" * 10_000 + "a" + ")" * 10_000)
    with pytest.raises(SQLError, match="nested"):
        holds("NOT " * 10_000 + "a")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT COUNT(*) FROM STREAM;",
        "SELECT * FROM STREAM:s;",
        "CREATE STREAM x AS SELECT * FROM STREAM;",
        "SELECT a FROM STREAM WINDOW TUMBLING (5 SECOND);",
    ],
)
def test_the_processor_takes_only_plain_selects(text):
    assert parse("SELECT a FROM STREAM s WHERE a = 1;", plain=True).items == [Item("a")]
    with pytest.raises(SQLError):
        parse(text, plain=True)


@pytest.mark.parametrize(
    ("text", "number"),
    [("5", 5), ("-2", -2), ("1.5", 1.5), ("x", None), ("", None), ("9" * 5000, float("inf"))],
)
def test_a_number_in_a_text_is_found(text, number):
    assert number_in(text) == number


def test_what_is_not_there_is_missing_and_not_null():
    assert lookup({"a": None}, "a", ()) is None
    assert lookup({"a": None}, "a", ("b",)) is MISSING
    assert lookup({}, "a", ()) is MISSING


@given(queries | st.text(max_size=30), st.booleans())
@example("SELECT * FROM STREAM:s LIMIT " + "9" * 5000 + ";", False)
def test_any_text_is_a_query_or_the_declared_error(text, plain):
    try:
        query = parse(text, plain)
    except SQLError:
        return
    assert query.where is None or type(query.where({"k": 1, "n.m": {}}, "t", 0)) is bool


@given(queries)
def test_any_condition_holds_or_not_or_is_refused(condition):
    try:
        found = holds(condition, {"k": "v"})
    except SQLError:
        return
    assert type(found) is bool
