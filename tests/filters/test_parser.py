import pytest

from tailrace.config.errors import ConfigError
from tailrace.testing import EPOCH_NS, FakeContext, chunk_of, make_parser, make_plugin, run_filter


@pytest.fixture
def context():
    return FakeContext(
        parsers={
            "kv": make_parser("name kv\nformat regex\nregex ^(?<k>\\w+)=(?<v>\\w+)$"),
            "js": make_parser("name js\nformat json\ntime_key t\ntime_format %s"),
        }
    )


def parsed(context, section, body):
    [out] = run_filter("parser", f"key_name log\n{section}", body, context=context)
    return list(out.items())


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", {"k": "a", "v": "1"}),
        ("preserve_key on", {"k": "a", "v": "1", "log": "a=1"}),
        ("reserve_data on", {"k": "a", "n": 2, "v": 0}),
        ("reserve_data on\npreserve_key on", {"k": "a", "n": 2, "log": "a=1", "v": 0}),
    ],
)
def test_the_fields_of_the_text_take_the_events_place(context, section, expected):
    body = {"n": 2, "log": "a=1", "v": 0}
    assert parsed(context, f"parser kv\n{section}", body) == list(expected.items())


def test_the_first_parser_that_takes_the_text_is_used(context):
    section = "key_name log\nparser kv, js"
    out = run_filter(
        "parser", section, {"log": '{"a":1}'}, {"log": "a=1"}, {"log": "?"}, context=context
    )
    assert out == [{"a": 1}, {"k": "a", "v": "1"}, {"log": "?"}]


def test_a_time_that_is_found_becomes_the_events(context):
    plugin = make_plugin("filter", "parser", "key_name log\nparser js", context)
    chunk = plugin.process(chunk_of([{"log": '{"t":"7","a":1}'}, {"log": '{"a":2}'}]))
    assert chunk.times == [7_000_000_000, EPOCH_NS + 1_000_000_000]
    assert chunk.bodies == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("body", [{}, {"log": 5}, {"log": None}, {"log": "no pair"}, {"x": "a=1"}])
def test_what_no_parser_takes_stays(context, body):
    assert parsed(context, "parser kv", dict(body)) == list(body.items())


def test_the_text_may_lie_deeper_and_its_map_stays(context):
    section = "key_name $a['b']\nparser kv\nreserve_data on"
    [out] = run_filter("parser", section, {"a": {"b": "x=1"}, "n": 1}, context=context)
    assert out == {"k": "x", "v": "1", "a": {"b": "x=1"}, "n": 1}


def test_a_field_named_by_an_accessor_stays_with_the_reserved_ones(context):
    section = "key_name $log\nparser kv\nreserve_data on"
    assert run_filter("parser", section, {"log": "x=1"}, context=context) == [
        {"k": "x", "v": "1", "log": "x=1"}
    ]


def test_a_parser_that_is_not_there_is_an_error_unless_there_are_others(context):
    with pytest.raises(ConfigError, match="nosuch"):
        make_plugin("filter", "parser", "key_name log\nparser nosuch", context)
    make_plugin("filter", "parser", "key_name log\nparser nosuch\nparser kv", context)
    assert context.sink.messages[-1][0] == "error"
    assert "nosuch" in context.sink.messages[-1][1]


@pytest.mark.parametrize("section", ["key_name log", "key_name $[\nparser kv"])
def test_what_will_not_do_is_refused(context, section):
    with pytest.raises(ConfigError):
        make_plugin("filter", "parser", section, context)
