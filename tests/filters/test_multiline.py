import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.errors import ConfigError, Place, Problems
from tailrace.config.source import Section
from tailrace.model import Group, Receipt
from tailrace.plugin.multiline import built_in, make_rules
from tailrace.testing import EPOCH_NS, FakeContext, chunk_of, entries_of, make_plugin

SECOND = 1_000_000_000
LIST = 'name list\ntype regex\nrule "start_state" "/^- /" "cont"\nrule "cont" "/^  /" "cont"'
SECTION = "multiline.parser list\nmultiline.key_content msg\n"
PARTIAL = "mode partial_message\nmultiline.key_content log\n"


def rules(text):
    made = make_rules(
        Section("multiline_parser", Place("test.conf"), entries_of(text)),
        Problems(),
        lambda n: None,
    )
    assert made is not None
    return made


@pytest.fixture
def context():
    return FakeContext(
        "multiline.0",
        multiline_parsers={
            "list": rules(LIST),
            "java": built_in("java"),
            "docker": built_in("docker"),
        },
    )


def feed(plugin, *bodies, tag="t", stream=None, receipt=None, metadata=None):
    """What goes on at once of a chunk; its receipt is that of an input."""
    chunk = chunk_of([dict(body) for body in bodies], tag, metadata=metadata)
    chunk.stream, chunk.receipt = stream, receipt or Receipt()
    chunk.receipt.hold()
    result = plugin.process(chunk)
    chunk.receipt.release()
    return result.bodies


def given_out(context):
    return [body for chunk in context.emitted for body in chunk.bodies]


# Rules


def test_without_buffer_events_that_came_together_are_joined(context):
    plugin = make_plugin("filter", "multiline", SECTION + "buffer off", context)
    result = plugin.process(
        chunk_of([{"msg": "x"}, {"msg": "- a", "n": 1}, {"msg": "  b"}, {"n": 2}, {"msg": "- c"}])
    )
    assert result.bodies == [
        {"msg": "x"},
        {"msg": "- a\n  b", "n": 1},
        {"n": 2},
        {"msg": "- c"},
    ]
    assert result.times == [EPOCH_NS + n * SECOND for n in (0, 1, 3, 4)]
    assert context.emitted == []


def test_with_buffer_events_are_joined_over_batches_and_sent_anew(context):
    plugin = make_plugin("filter", "multiline", SECTION, context)
    assert feed(plugin, {"msg": "- a", "n": 1}) == []
    assert feed(plugin, {"msg": "  b"}) == []
    assert context.emitted == []
    assert feed(plugin, {"msg": "end"}) == []
    assert given_out(context) == [{"msg": "- a\n  b", "n": 1}, {"msg": "end"}]


def test_what_the_filter_sent_anew_passes_it(context):
    plugin = make_plugin("filter", "multiline", SECTION, context)
    feed(plugin, {"msg": "- a"}, {"msg": "x"})
    [chunk] = context.emitted
    assert plugin.process(chunk) is chunk
    other = make_plugin("filter", "multiline", SECTION, context)
    assert other.process(chunk).count == 0


def test_each_tag_and_each_file_is_joined_by_itself(context):
    plugin = make_plugin("filter", "multiline", SECTION, context)
    feed(plugin, {"msg": "- a"}, tag="one")
    feed(plugin, {"msg": "- b"}, tag="two", stream=1)
    feed(plugin, {"msg": "- c"}, tag="two", stream=2)
    feed(plugin, {"msg": "  of b"}, {"msg": "end"}, tag="two", stream=1)
    feed(plugin, {"msg": "  of a"}, {"msg": "end"}, tag="one")
    assert [(chunk.tag, chunk.bodies[0]["msg"]) for chunk in context.emitted] == [
        ("two", "- b\n  of b"),
        ("one", "- a\n  of a"),
    ]


def test_what_waits_too_long_is_given_out(context):
    plugin = make_plugin("filter", "multiline", SECTION + "flush_ms 700", context)
    feed(plugin, {"msg": "- a"})
    context.advance(0.6)
    feed(plugin, {"msg": "  b"})
    context.advance(0.6)
    assert context.emitted == []
    context.advance(0.4)
    assert given_out(context) == [{"msg": "- a\n  b"}]


def test_at_the_end_everything_is_given_out(context):
    plugin = make_plugin("filter", "multiline", SECTION, context)
    feed(plugin, {"msg": "- a"}, tag="one")
    feed(plugin, {"msg": "- b"}, tag="two")
    assert [(chunk.tag, chunk.bodies) for chunk in plugin.drain()] == [
        ("one", [{"msg": "- a"}]),
        ("two", [{"msg": "- b"}]),
    ]
    assert plugin.drain() == []


def test_no_more_is_held_back_than_the_limit(context):
    plugin = make_plugin("filter", "multiline", SECTION + "emitter_mem_buf_limit 1k", context)
    for number in range(40):
        feed(plugin, {"msg": f"- {number} " + "x" * 50}, tag=str(number))
    assert len(context.emitted) > 20
    assert plugin.joiner.held_bytes <= 1000
    assert any("emitter_mem_buf_limit" in text for _, text in context.sink.messages)


def test_more_streams_than_are_kept_give_out_the_oldest(context, monkeypatch):
    monkeypatch.setattr("tailrace.filters.multiline.streams.MOST_STREAMS", 3)
    plugin = make_plugin("filter", "multiline", SECTION, context)
    for tag in "abcad":
        feed(plugin, {"msg": f"- {tag}"}, tag=tag)
    assert [chunk.tag for chunk in context.emitted] == ["a", "b"]


def test_an_event_beyond_the_limit_is_cut_marked_and_counted(context):
    context.settings["multiline_buffer_limit"] = 6
    plugin = make_plugin("filter", "multiline", SECTION, context)
    feed(plugin, {"msg": "- a"}, {"msg": "  bcd"}, {"msg": "end"})
    [chunk] = context.emitted
    assert chunk.bodies == [{"msg": "- a\n  "}, {"msg": "end"}]
    assert chunk.metadata == [{"multiline_truncated": True}, {}]
    truncated = context.metrics.by_name["fluentbit_filter_emit_truncated_total"]
    assert truncated.values == {(): 1}


# Receipts


def test_an_event_is_settled_when_the_joined_one_is(context):
    plugin = make_plugin("filter", "multiline", SECTION, context)
    settled = []
    receipts = [Receipt(lambda r, n=n: settled.append((n, r.refused))) for n in range(3)]
    feed(plugin, {"msg": "x"}, {"msg": "- a"}, receipt=receipts[0])
    feed(plugin, {"msg": "  b"}, receipt=receipts[1])
    feed(plugin, {"msg": "- c"}, receipt=receipts[2])
    first, second = context.emitted
    assert (first.bodies, second.bodies) == ([{"msg": "x"}], [{"msg": "- a\n  b"}])
    first.receipt.release()
    assert settled == []
    second.receipt.release(1, "no")
    assert settled == [(0, 1), (1, 1)]
    [last] = plugin.drain()
    context.emit(last)
    last.receipt.release()
    assert settled[2:] == [(2, 0)]


def test_somebody_who_waits_is_waited_for_by_the_joined_event(context):
    plugin = make_plugin("filter", "multiline", SECTION, context)
    feed(plugin, {"msg": "- a"}, receipt=Receipt(urgent=True))
    feed(plugin, {"msg": "end"})
    assert context.emitted[0].receipt.urgent


BATCHES = st.lists(
    st.lists(st.sampled_from(["- a", "  b", "c", None]), min_size=1, max_size=4), max_size=8
)


@given(batches=BATCHES, flush=st.sets(st.integers(0, 8)))
def test_every_receipt_is_settled_once_and_not_before_its_events(batches, flush):
    context = FakeContext(multiline_parsers={"list": rules(LIST)})
    plugin = make_plugin("filter", "multiline", SECTION, context)
    settled = []
    for number, batch in enumerate(batches):
        receipt = Receipt(lambda r, number=number: settled.append(number))
        bodies = [{"msg": text} if text else {"n": 1} for text in batch]
        feed(plugin, *bodies, receipt=receipt)
        if number in flush:
            context.advance(3)
    for chunk in plugin.drain():
        context.emit(chunk)
    assert settled == []
    for chunk in context.emitted:
        chunk.receipt.release()
    assert sorted(settled) == list(range(len(batches)))


# Parts of messages


def part(identity, text, last="false", **more):
    return {
        "c": 1,
        "partial_message": "true",
        "partial_id": identity,
        "partial_last": last,
        "log": text,
        **more,
    }


def test_parts_are_joined_where_the_last_one_comes(context):
    plugin = make_plugin("filter", "multiline", PARTIAL, context)
    out = feed(
        plugin,
        {"log": "whole"},
        part("A", "a1 "),
        part("B", "b1 ", source="x"),
        {"log": "between"},
        part("B", "b2", last="TRUE"),
        part("A", "a2", last="true"),
        {"log": "no part", "partial_message": "false"},
    )
    assert out == [
        {"log": "whole"},
        {"log": "between"},
        {"c": 1, "source": "x", "log": "b1 b2"},
        {"c": 1, "log": "a1 a2"},
        {"log": "no part", "partial_message": "false"},
    ]
    assert plugin.joiner.held_bytes == 0


def test_parts_of_several_batches_settle_with_the_last_one(context):
    plugin = make_plugin("filter", "multiline", PARTIAL, context)
    settled = []
    first = Receipt(lambda r: settled.append("first"))
    second = Receipt(lambda r: settled.append("second"))
    assert feed(plugin, part("A", "a"), receipt=first) == []
    second.hold()
    assert feed(plugin, part("A", "b", last="true"), receipt=second) == [{"c": 1, "log": "ab"}]
    assert settled == []
    second.release()
    assert sorted(settled) == ["first", "second"]


def test_parts_whose_last_one_does_not_come_are_given_out(context):
    plugin = make_plugin("filter", "multiline", PARTIAL + "flush_ms 500", context)
    settled = []
    feed(plugin, part("A", "a1 "), part("A", "a2"), receipt=Receipt(lambda r: settled.append(1)))
    context.advance(0.4)
    assert context.emitted == []
    context.advance(0.3)
    assert given_out(context) == [{"c": 1, "log": "a1 a2"}]
    assert settled == []
    context.emitted[0].receipt.release()
    assert settled == [1]
    assert plugin.joiner.held_bytes == 0


def test_parts_of_each_tag_are_apart(context):
    plugin = make_plugin("filter", "multiline", PARTIAL, context)
    feed(plugin, part("A", "one "), tag="one")
    feed(plugin, part("A", "two "), tag="two")
    assert feed(plugin, part("A", "end", last="true"), tag="one") == [{"c": 1, "log": "one end"}]


def test_a_message_of_parts_beyond_the_limit_comes_in_several_events(context):
    context.settings["multiline_buffer_limit"] = 10
    plugin = make_plugin("filter", "multiline", PARTIAL, context)
    out = feed(plugin, part("A", "12345678"), part("A", "abcdef"), part("A", "end", last="true"))
    assert [body["log"] for body in out] == ["12345678abcdef", "end"]


@pytest.mark.parametrize(
    "body",
    [
        {"partial_message": "true", "log": "x"},
        {"partial_message": "true", "partial_id": "A"},
        {"partial_message": "true", "partial_id": "A", "log": 5},
    ],
)
def test_a_part_that_is_none_goes_on_with_a_warning(context, body):
    plugin = make_plugin("filter", "multiline", PARTIAL, context)
    assert feed(plugin, body) == [body]
    assert [level for level, _ in context.sink.messages] == ["warn"]


def test_parts_may_be_marked_by_booleans_and_keep_their_metadata(context):
    plugin = make_plugin("filter", "multiline", PARTIAL, context)
    chunk = chunk_of(
        [
            {"partial_message": True, "partial_id": 1, "log": "a"},
            {"partial_message": True, "partial_id": 1, "partial_last": True, "log": "b"},
        ],
        metadata=[{"x": 1}, {"y": 2}],
    )
    chunk.receipt = Receipt()
    chunk.receipt.hold()
    result = plugin.process(chunk)
    assert (result.bodies, result.metadata) == ([{"log": "ab"}], [{"x": 1, "y": 2}])


# Options


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("", "multiline.parser is missing"),
        ("multiline.parser nosuch", "nosuch"),
        (SECTION + "flush_ms 100", "too short"),
        ("mode partial_message", "multiline.key_content"),
    ],
)
def test_what_will_not_do_is_named(context, section, expected):
    with pytest.raises(ConfigError, match=expected):
        make_plugin("filter", "multiline", section, context)


def test_parts_are_held_back_even_with_buffer_off(context):
    plugin = make_plugin("filter", "multiline", PARTIAL + "buffer off\nflush_ms 500", context)
    assert [level for level, _ in context.sink.messages] == ["warn"]
    feed(plugin, part("A", "a"))
    context.advance(1)
    assert given_out(context) == [{"c": 1, "log": "a"}]


def test_a_short_flush_time_is_of_no_account_without_buffer(context):
    make_plugin("filter", "multiline", SECTION + "flush_ms 100\nbuffer off", context)
    assert context.timers == []


def test_without_a_key_there_is_a_warning(context):
    make_plugin("filter", "multiline", "multiline.parser java, docker", context)
    [(level, text)] = context.sink.messages
    assert level == "warn"
    assert "'java' joins nothing" in text


def test_debug_flush_prints_joined_events(context, capfdbinary):
    plugin = make_plugin("filter", "multiline", SECTION + "debug_flush on", context)
    feed(plugin, {"msg": "- a"}, {"msg": "  b"}, {"msg": "end"})
    shown = capfdbinary.readouterr().out
    assert b"[multiline] t: " in shown
    assert b"- a\n  b" in shown


def test_names_of_options_are_those_that_users_write(context):
    plugin = make_plugin(
        "filter",
        "multiline",
        SECTION + "emitter_name e\nemitter_storage.type filesystem\nemitter_mem_buf_limit 5M",
        context,
    )
    assert plugin.options.emitter_name == "e"
    asyncio.run(plugin.stop())


# Groups


@pytest.mark.parametrize("buffer", ["on", "off"])
def test_a_joined_event_is_in_the_group_of_its_first(context, buffer):
    plugin = make_plugin("filter", "multiline", f"{SECTION}buffer {buffer}", context)
    chunk = chunk_of([{"msg": text} for text in ("- a", "  b", "- c", "  d", "other")])
    one, two = Group({}, {"resource": 1}), Group({}, {"resource": 2})
    chunk.groups, chunk.receipt = [one, two, two, two, None], Receipt()
    out = [plugin.process(chunk), *context.emitted, *plugin.drain()]
    texts = [body["msg"] for each in out for body in each.bodies]
    groups = [group for each in out for group in each.groups or [None] * each.count]
    assert dict(zip(texts, groups, strict=True)) == {
        "- a\n  b": one,
        "- c\n  d": two,
        "other": None,
    }


def test_a_message_of_parts_is_in_the_group_of_its_first(context):
    plugin = make_plugin("filter", "multiline", PARTIAL, context)
    chunks = [
        chunk_of([{"log": text, "partial_message": "true", "partial_id": "1"}]) for text in "ab"
    ]
    for number, chunk in enumerate(chunks):
        chunk.groups, chunk.receipt = [Group({}, {"resource": number})], Receipt()
        assert plugin.process(chunk).bodies == []
    [whole] = plugin.drain()
    assert (whole.bodies, whole.groups) == ([{"log": "ab"}], [Group({}, {"resource": 0})])
