import hashlib
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Group
from tailrace.model.metrics import MetricSet, metrics_chunk
from tailrace.model.traces import ResourceSpans, ScopeSpans, Span, Traces, traces_chunk
from tailrace.testing import FakeContext, chunk_of, make_plugin, run_filter


def changed(settings, body):
    """The fields after the change, in their order."""
    [out] = run_filter("content_modifier", settings, body, kind="processor")
    return list(out.items())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"action": "insert", "key": "c", "value": "x"}, {"a": 1, "b": "B", "c": "x"}),
        ({"action": "insert", "key": "a", "value": "x"}, {"a": 1, "b": "B"}),
        ({"action": "upsert", "key": "a", "value": "x"}, {"b": "B", "a": "x"}),
        ({"action": "delete", "key": "a"}, {"b": "B"}),
        ({"action": "delete", "key": "x"}, {"a": 1, "b": "B"}),
        ({"action": "rename", "key": "a", "value": "x"}, {"x": 1, "b": "B"}),
        ({"action": "rename", "key": "x", "value": "y"}, {"a": 1, "b": "B"}),
        ({"action": "rename", "key": "b", "value": "a"}, {"a": "B"}),
        ({"action": "rename", "key": "b", "value": "b"}, {"a": 1, "b": "B"}),
        (
            {"action": "hash", "key": "b"},
            {"a": 1, "b": hashlib.sha256(b"B").hexdigest()},
        ),
        ({"action": "hash", "key": "x"}, {"a": 1, "b": "B"}),
        ({"action": "convert", "key": "a", "converted_type": "string"}, {"b": "B", "a": "1"}),
    ],
)
def test_each_action_changes_one_key(settings, expected):
    assert changed(settings, {"a": 1, "b": "B"}) == list(expected.items())


def test_a_renamed_key_keeps_its_place_and_one_of_its_new_name_goes():
    settings = {"action": "rename", "key": "c", "value": "a"}
    assert changed(settings, {"a": 1, "b": 2, "c": 3}) == [("b", 2), ("a", 3)]


def test_named_groups_are_extracted_from_the_text():
    settings = {"action": "extract", "key": "u", "pattern": r"^(?<host>[^/]+)/(?<path>\w*)"}
    bodies = ({"u": "h.org/x"}, {"u": "none"}, {"u": 5}, {"v": 1}, {"u": "a/b", "path": "old"})
    out = run_filter("content_modifier", settings, *bodies, kind="processor")
    assert out == [
        {"u": "h.org/x", "host": "h.org", "path": "x"},
        {"u": "none"},
        {"u": 5},
        {"v": 1},
        {"u": "a/b", "host": "a", "path": "b"},
    ]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("42", "int", 42),
        (" 7", "int", 7),
        ("4x", "int", "4x"),
        (2.5, "int", 3),
        (1e20, "int", 1e20),
        ("9" * 19, "int", "9" * 19),
        (-2.5, "int", -3),
        (True, "int", 1),
        ("1.5", "double", 1.5),
        ("x", "double", "x"),
        (2, "double", 2.0),
        ("TRUE", "boolean", True),
        ("no", "boolean", False),
        (0, "boolean", False),
        (1.5, "string", "1.5"),
        (True, "string", "true"),
        (None, "string", "null"),
        ({"x": 1}, "int", {"x": 1}),
        ([1], "boolean", [1]),
    ],
)
def test_values_are_converted_or_stay(value, kind, expected):
    settings = {"action": "convert", "key": "k", "converted_type": kind}
    [(_, found)] = changed(settings, {"k": value})
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "data"),
    [({"x": 1}, b'{"x":1}'), ([1], b"[1]"), (5, b"5"), (True, b"true"), (b"ab", b"ab")],
)
def test_values_of_any_type_are_hashed(value, data):
    assert changed({"action": "hash", "key": "k"}, {"k": value}) == [
        ("k", hashlib.sha256(data).hexdigest())
    ]


def test_an_empty_text_is_not_hashed():
    assert changed({"action": "hash", "key": "k"}, {"k": ""}) == [("k", "")]


def test_null_is_hashed_as_its_name():
    digest = hashlib.sha256(b"null").hexdigest()
    assert changed({"action": "hash", "key": "k"}, {"k": None}) == [("k", digest)]


@pytest.mark.parametrize("action", ["insert", "upsert"])
@pytest.mark.parametrize(("key", "value"), [("k", ""), ("", "v")])
def test_an_empty_key_or_value_is_one(action, key, value):
    assert changed({"action": action, "key": key, "value": value}, {}) == [(key, value)]


def test_the_metadata_may_be_changed_instead():
    settings = {"context": "attributes", "action": "upsert", "key": "m", "value": "x"}
    plugin = make_plugin("processor", "content_modifier", settings)
    chunk = plugin.process(chunk_of([{"a": 1}, {"a": 2}]))
    assert chunk.metadata == [{"m": "x"}, {"m": "x"}]
    assert chunk.bodies == [{"a": 1}, {"a": 2}]


# OpenTelemetry


SHOP = Group(
    {"schema": "otlp"},
    {
        "resource": {"attributes": {"service.name": "shop", "old": "x"}},
        "scope": {"name": "lib", "version": "1"},
    },
)
BARE = Group({"schema": "otlp"}, {"resource": {}})
ODD = Group({"schema": "other"}, {"resource": 5, "scope": {"attributes": 7}})


def groups_after(settings, *groups):
    plugin = make_plugin("processor", "content_modifier", settings)
    chunk = chunk_of([{"n": number} for number in range(len(groups))])
    chunk.groups = list(groups)
    return plugin.process(chunk).groups


@pytest.mark.parametrize(
    ("settings", "path", "expected"),
    [
        (
            {"context": "otel_resource_attributes", "action": "upsert", "key": "service.name"},
            ("resource", "attributes"),
            {"old": "x", "service.name": "v"},
        ),
        (
            {"context": "otel_resource_attributes", "action": "delete", "key": "old"},
            ("resource", "attributes"),
            {"service.name": "shop"},
        ),
        (
            {"context": "otel_resource_attributes", "action": "rename", "key": "old"},
            ("resource", "attributes"),
            {"service.name": "shop", "v": "x"},
        ),
        (
            {"context": "otel_scope_attributes", "action": "insert", "key": "team"},
            ("scope", "attributes"),
            {"team": "v"},
        ),
        (
            {"context": "otel_scope_name", "action": "upsert"},
            ("scope",),
            {"version": "1", "name": "v"},
        ),
        (
            {"context": "otel_scope_version", "action": "upsert", "key": "Version"},
            ("scope",),
            {"name": "lib", "version": "v"},
        ),
        ({"context": "otel_scope_name", "action": "delete"}, ("scope",), {"version": "1"}),
        (
            {"context": "otel_scope_name", "action": "hash"},
            ("scope",),
            {"name": hashlib.sha256(b"lib").hexdigest(), "version": "1"},
        ),
    ],
)
def test_resource_and_scope_are_changed_once_for_all_their_records(settings, path, expected):
    before = deepcopy(SHOP)
    first, none, second = groups_after({**settings, "value": "v"}, SHOP, None, SHOP)
    assert first is second
    assert none is None
    assert before == SHOP  # another chunk may share it
    found = first.body
    for name in path:
        found = found[name]
    assert list(found.items()) == list(expected.items())
    rest = {key: value for key, value in first.body.items() if key != path[0]}
    assert rest == {key: value for key, value in SHOP.body.items() if key != path[0]}


def test_what_is_missing_is_made_where_the_original_does():
    insert = {"action": "insert", "key": "k", "value": "v"}
    [group] = groups_after({**insert, "context": "otel_resource_attributes"}, BARE)
    assert group.body == {"resource": {"attributes": {"k": "v"}}}
    [group] = groups_after({**insert, "context": "otel_scope_attributes"}, BARE)
    assert group == BARE
    [group] = groups_after({"action": "insert", "value": "v", "context": "otel_scope_name"}, BARE)
    assert group.body == {"resource": {}, "scope": {"name": "v"}}


@pytest.mark.parametrize("context", ["otel_resource_attributes", "otel_scope_attributes"])
def test_odd_groups_stay_as_they_are(context):
    settings = {"action": "insert", "key": "k", "value": "v", "context": context}
    assert groups_after(settings, ODD) == [ODD]
    assert groups_after(settings, None) is None


def test_attributes_of_records_stand_in_their_metadata():
    settings = {"action": "insert", "key": "k", "value": "v", "context": "otel_log_attributes"}
    plugin = make_plugin("processor", "content_modifier", settings)
    given = [{"otlp": {"attributes": {"a": 1}}}, {"otlp": {"severity_number": 9}}, {"m": 1}]
    odd = [{"otlp": 5}, {"otlp": {"attributes": [1]}}]
    chunk = plugin.process(chunk_of([{}] * 5, metadata=deepcopy(given + odd)))
    assert chunk.metadata == [
        {"otlp": {"attributes": {"a": 1, "k": "v"}}},
        {"otlp": {"severity_number": 9, "attributes": {"k": "v"}}},
        {"m": 1, "otlp": {"attributes": {"k": "v"}}},
        *odd,
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"context": "otel_resource_attributes", "key": "k"},
            {"resource": {"attributes": {"a": 1, "k": "v"}}},
        ),
        (
            {"context": "otel_scope_name"},
            {"resource": {"attributes": {"a": 1}}, "scope": {"metadata": {"name": "v"}}},
        ),
        ({"context": "otel_scope_attributes", "key": "k"}, {"resource": {"attributes": {"a": 1}}}),
        ({"context": "labels", "key": "k"}, {"resource": {"attributes": {"a": 1}}}),
    ],
)
def test_metrics_have_a_resource_and_a_scope_too(settings, expected):
    plugin = make_plugin(
        "processor",
        "content_modifier",
        {"action": "insert", "value": "v", **settings},
        FakeContext(signal=METRICS),
    )
    given = MetricSet([], external={"resource": {"attributes": {"a": 1}}})
    assert plugin.process(metrics_chunk("t", given)).payload.external == expected
    assert given.external == {"resource": {"attributes": {"a": 1}}}


@pytest.mark.parametrize(
    "context", [None, "span_attributes", "span_name", "span_kind", "span_status"]
)
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"action": "insert", "key": "new", "value": "v"},
            [{"a": "x", "n": 5, "new": "v"}, {"new": "v"}],
        ),
        ({"action": "insert", "key": "a", "value": "v"}, [{"a": "x", "n": 5}, {"a": "v"}]),
        ({"action": "upsert", "key": "n", "value": "v"}, [{"a": "x", "n": "v"}, {"n": "v"}]),
        ({"action": "delete", "key": "a"}, [{"n": 5}, {}]),
        ({"action": "rename", "key": "a", "value": "b"}, [{"b": "x", "n": 5}, {}]),
        (
            {"action": "hash", "key": "a"},
            [{"a": hashlib.sha256(b"x").hexdigest(), "n": 5}, {}],
        ),
        (
            {"action": "extract", "key": "a", "pattern": "(?<y>.)"},
            [{"a": "x", "n": 5, "y": "x"}, {}],
        ),
        (
            {"action": "convert", "key": "n", "converted_type": "string"},
            [{"a": "x", "n": "5"}, {}],
        ),
    ],
)
def test_spans_have_their_attributes_changed_whatever_the_context(context, settings, expected):
    scope = ScopeSpans(spans=[Span("s", attributes={"a": "x", "n": 5}), Span("t")])
    if context is not None:
        settings = {"context": context, **settings}
    plugin = make_plugin("processor", "content_modifier", settings, FakeContext(signal=TRACES))
    chunk = plugin.process(traces_chunk("t", Traces([ResourceSpans(scope_spans=[scope])])))
    assert [span.attributes for span in chunk.payload.spans()] == expected
    assert [list(span.attributes) for span in chunk.payload.spans()] == list(map(list, expected))


@pytest.mark.parametrize(
    ("signal", "settings"),
    [
        (TRACES, {"context": "body", "action": "delete", "key": "a"}),
        (LOGS, {"context": "span_attributes", "action": "delete", "key": "a"}),
        (LOGS, {"context": "otel_scope_name", "action": "rename", "value": "x"}),
        (LOGS, {"context": "otel_scope_version", "action": "convert", "converted_type": "int"}),
        (LOGS, {"context": "otel_scope_name", "action": "insert", "key": "a", "value": "x"}),
        (LOGS, {"context": "labels", "action": "delete", "key": "a"}),
        (METRICS, {"context": "body", "action": "delete", "key": "a"}),
        (PROFILES, {"action": "delete", "key": "a"}),
    ],
)
def test_what_a_context_does_not_allow_is_refused(signal, settings):
    with pytest.raises(ConfigError):
        make_plugin("processor", "content_modifier", settings, FakeContext(signal=signal))


@pytest.mark.parametrize(
    "settings",
    [
        {"action": "insert", "value": "x"},
        {"action": "insert", "key": "a"},
        {"action": "extract", "key": "a"},
        {"action": "extract", "key": "a", "pattern": "("},
        {"action": "extract", "key": "a", "pattern": "x"},
        {"action": "convert", "key": "a"},
    ],
)
def test_what_an_action_lacks_is_told(settings):
    with pytest.raises(ConfigError):
        make_plugin("processor", "content_modifier", settings)


@pytest.mark.parametrize("settings", [{"action": "fold"}, {"action": "insert", "context": "moon"}])
def test_words_that_are_not_known_are_refused(settings):
    with pytest.raises(InvalidConfiguration):
        make_plugin("processor", "content_modifier", settings)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(" -1.5xtrue", max_size=6)


@given(
    value=VALUES | st.lists(st.integers(), max_size=1),
    kind=st.sampled_from(["string", "int", "double", "boolean"]),
)
def test_any_value_is_converted_or_stays(value, kind):
    settings = {"action": "convert", "key": "k", "converted_type": kind}
    [(_, found)] = changed(settings, {"k": value})
    wanted = {"string": str, "int": int, "double": float, "boolean": bool}[kind]
    assert found is value or type(found) is wanted or found == value
