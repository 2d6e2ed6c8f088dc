"""The conditions of tail sampling, one by one; the expected values are Fluent Bit's."""

import pytest

from tailrace.config.errors import ConfigError
from tailrace.model.traces import Span
from tailrace.processors.sampling.conditions import any_meets, read_conditions

MS = 1_000_000


def meets(condition, span, resource=None, count=1):
    tests = read_conditions([condition], lambda warning: pytest.fail(warning))
    return any_meets(tests, [(resource or {}, span)], count)


def took(ns):
    return Span("s", start_ns=5_000 * MS, end_ns=5_000 * MS + ns)


@pytest.mark.parametrize(
    ("ns", "kept"),
    [
        (0, True),
        (200 * MS, True),
        (200 * MS + MS - 1, True),
        (201 * MS, False),
        (2999 * MS, False),
        (3000 * MS, True),
        (-1, False),
    ],
)
def test_latency_is_counted_in_whole_milliseconds(ns, kept):
    condition = {"type": "latency", "threshold_ms_low": "200", "threshold_ms_high": "3000"}
    assert meets(condition, took(ns)) is kept


def test_a_threshold_of_zero_is_none():
    condition = {"type": "latency", "threshold_ms_low": "0", "threshold_ms_high": "10"}
    assert not meets(condition, took(0))


@pytest.mark.parametrize(("count", "kept"), [(1, False), (2, True), (3, True), (4, False)])
def test_span_count(count, kept):
    assert (
        meets({"type": "span_count", "min_spans": "2", "max_spans": "3"}, Span("s"), {}, count)
        is kept
    )


@pytest.mark.parametrize(("code", "kept"), [(0, False), (1, True), (2, True), (7, False)])
def test_status_codes_in_any_letter_case(code, kept):
    condition = {"type": "status_code", "status_codes": ["ok", "ERROR"]}
    assert meets(condition, Span("s", status_code=code)) is kept


@pytest.mark.parametrize(
    ("how", "values", "value", "kept"),
    [
        ("strict", ["GET", "PUT"], "PUT", True),
        ("strict", ["GET"], "get", False),
        ("strict", ["5"], 5, False),
        ("exists", None, "", True),
        ("exists", None, 5, False),
        ("regex", ["^http", "x$"], "https://", True),
        ("Regex", ["^http", "x$"], "ab", False),
    ],
)
def test_string_attributes(how, values, value, kept):
    condition = {"type": "string_attribute", "key": "k", "match_type": how, "values": values}
    assert meets(condition, Span("s", attributes={"k": value})) is kept


@pytest.mark.parametrize(
    ("how", "value", "kept"),
    [
        ("strict", 400, True),
        ("strict", 504.0, True),
        ("strict", 399.9, False),
        ("strict", "400", False),
        ("strict", True, False),
        ("exists", -1, True),
        ("exists", "1", False),
    ],
)
def test_numeric_attributes(how, value, kept):
    condition = {
        "type": "numeric_attribute",
        "key": "k",
        "match_type": how,
        "min_value": "400",
        "max_value": "504",
    }
    assert meets(condition, Span("s", attributes={"k": value})) is kept


def test_numbers_of_a_range_may_have_a_fraction():
    condition = {"type": "numeric_attribute", "key": "k", "min_value": "0.5", "max_value": "1"}
    assert not meets(condition, Span("s", attributes={"k": 0.4}))
    assert meets(condition, Span("s", attributes={"k": 0.6}))


@pytest.mark.parametrize(
    ("how", "value", "kept"),
    [
        ("strict", False, True),
        ("strict", True, False),
        ("strict", 0, False),
        ("exists", True, True),
        ("exists", "false", False),
    ],
)
def test_boolean_attributes(how, value, kept):
    condition = {"type": "boolean_attribute", "key": "k", "match_type": how, "value": "false"}
    assert meets(condition, Span("s", attributes={"k": value})) is kept


def test_attributes_of_the_resource_count_too():
    condition = {"type": "string_attribute", "key": "service.name", "values": ["shop"]}
    assert meets(condition, Span("s"), {"service.name": "shop"})
    assert meets(condition, Span("s", attributes={"service.name": "shop"}), {"service.name": "x"})


@pytest.mark.parametrize(
    ("state", "kept"),
    [(None, False), ("", False), ("a=1", True), ("b=2, a=1 ", True), ("a=11,b=2", False)],
)
def test_trace_states(state, kept):
    condition = {"type": "trace_state", "values": ["a=1", "z=9"]}
    assert meets(condition, Span("s", trace_state=state)) is kept


def test_one_condition_of_several_is_enough():
    conditions = [
        {"type": "status_code", "status_codes": ["ERROR"]},
        {"type": "latency", "threshold_ms_high": "1"},
    ]
    tests = read_conditions(conditions, print)
    assert any_meets(tests, [({}, took(MS))], 1)
    assert not any_meets(tests, [({}, took(MS - 1))], 1)


def test_without_conditions_all_is_kept_and_with_none_of_them_nothing():
    assert any_meets(read_conditions(None, print), [({}, Span("s"))], 1)
    assert not any_meets(read_conditions([], print), [({}, Span("s"))], 1)


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        ({"a": "b"}, "a list is expected"),
        (["latency"], r"conditions\[0\]: 'latency' is no map"),
        ([{}], "type None is not known"),
        ([{"type": "latencies"}], "type 'latencies' is not known"),
        ([{"type": "latency"}], r"conditions\[0\]: latency has no threshold"),
        ([{"type": "latency", "threshold_ms_low": "-5"}], "is no time"),
        (
            [{"type": "latency", "threshold_ms_low": "fast"}],
            "threshold_ms_low: 'fast' is no number",
        ),
        ([{"type": "latency", "threshold_ms_low": ["1"]}], "is no number"),
        ([{"type": "span_count", "min_spans": "1"}], "max_spans is missing"),
        ([{"type": "span_count", "min_spans": "3", "max_spans": "2"}], "min_spans 3 is more"),
        ([{"type": "status_code"}], "status_codes is missing"),
        ([{"type": "status_code", "status_codes": "OK"}], "a list of texts"),
        ([{"type": "status_code", "status_codes": ["BAD"]}], "'BAD' is no status code"),
        ([{"type": "string_attribute", "values": ["a"]}], "key is missing"),
        ([{"type": "string_attribute", "key": "k"}], "values is missing"),
        ([{"type": "string_attribute", "key": "k", "match_type": "x"}], "match_type 'x'"),
        (
            [{"type": "string_attribute", "key": "k", "match_type": "regex", "values": ["("]}],
            "values: ",
        ),
        ([{"type": "numeric_attribute", "key": "k", "max_value": "1"}], "min_value is missing"),
        ([{"type": "numeric_attribute", "key": "k", "match_type": "regex"}], "match_type 'regex'"),
        ([{"type": "boolean_attribute", "key": "k"}], "value is missing"),
        ([{"type": "boolean_attribute", "key": "k", "value": "maybe"}], "'maybe' is no boolean"),
        ([{"type": "trace_state"}], "values is missing"),
    ],
)
def test_mistakes_are_told_with_their_place(conditions, told):
    with pytest.raises(ConfigError, match=told):
        read_conditions(conditions, print)


def test_a_key_that_a_condition_does_not_take_is_warned_of():
    told = []
    read_conditions(
        [{"type": "latency", "threshold_ms_low": "1", "treshold_ms_high": "2"}], told.append
    )
    assert "threshold_ms_high" in told[0]
