"""Sampling of traces, through the section a user writes."""

import pytest

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.model import Receipt
from tailrace.model.traces import ResourceSpans, Scope, ScopeSpans, Span, Traces, traces_chunk
from tailrace.plugin.share import Share
from tailrace.processors import sampling
from tailrace.testing import FakeContext, make_plugin


def a_trace(number):
    return number.to_bytes(16, "big")


def a_span(name, trace, **fields):
    return Span(name, a_trace(trace) if isinstance(trace, int) else trace, b"\1" * 8, **fields)


def a_chunk(*spans, receipt=None, tag="t", resource=None):
    scope = ScopeSpans(Scope("lib", "1", {}), list(spans), "http://scope")
    made = traces_chunk(tag, Traces([ResourceSpans(resource or {"r": 1}, 2, [scope], "http://r")]))
    made.receipt = receipt
    return made


def names(chunks):
    return [span.name for chunk in chunks for span in chunk.payload.spans()]


class Sampler:
    """A tail sampler that waits ten seconds."""

    def __init__(self, conditions=None, **settings):
        self.context = FakeContext()
        section = {"type": "tail", "sampling_settings": {"decision_wait": "10s", **settings}}
        if conditions is not None:
            section["conditions"] = conditions
        self.plugin = make_plugin("processor", "sampling", section, self.context)

    def take(self, *spans, **how):
        result = self.plugin.process(a_chunk(*spans, **how))
        assert result.count == 0

    @property
    def emitted(self):
        return names(self.context.emitted)


ERRORS = [{"type": "status_code", "status_codes": ["ERROR"]}]


# Head


def place(number):
    return number.to_bytes(8, "big") + bytes(8)


def test_a_percentage_of_traces_is_kept_by_their_identifiers():
    spans = [a_span(f"{at}", place(at)) for at in (0, 399_999, 400_000, 999_999, 1_000_000)]
    section = {"type": "Probabilistic", "sampling_settings": {"sampling_percentage": "40"}}
    kept = make_plugin("processor", "sampling", section).process(a_chunk(*spans))
    assert names([kept]) == ["0", "399999", "1000000"]
    assert kept.count == 3


def test_ten_percent_are_kept_where_nothing_is_said():
    spans = [a_span(f"{at}", place(at)) for at in (99_999, 100_000)]
    kept = make_plugin("processor", "sampling", {"type": "probabilistic"}).process(a_chunk(*spans))
    assert names([kept]) == ["99999"]


def test_short_identifiers_come_first():
    section = {"type": "probabilistic", "sampling_settings": {"sampling_percentage": "0.1"}}
    plugin = make_plugin("processor", "sampling", section)
    assert names([plugin.process(a_chunk(Span("none"), Span("short", b"\xff" * 8)))]) == [
        "none",
        "short",
    ]


def test_nothing_empty_stays_behind():
    section = {"type": "probabilistic", "sampling_settings": {"sampling_percentage": "0"}}
    kept = make_plugin("processor", "sampling", section).process(a_chunk(a_span("a", 1)))
    assert (kept.count, kept.payload) == (0, Traces())


# Tail


def test_a_trace_is_held_until_the_decision():
    sampler = Sampler()
    sampler.take(a_span("a", 1))
    sampler.context.advance(9.9)
    assert sampler.emitted == []
    sampler.context.advance(0.2)
    assert sampler.emitted == ["a"]


def test_one_span_that_meets_a_condition_keeps_its_whole_trace():
    sampler = Sampler(ERRORS)
    sampler.take(a_span("a", 1), a_span("b", 2))
    sampler.take(a_span("c", 1, status_code=2), a_span("d", 2, status_code=1))
    sampler.context.advance(11)
    assert sampler.emitted == ["a", "c"]


def test_the_wait_counts_from_the_first_span_of_each_trace():
    sampler = Sampler()
    sampler.take(a_span("a", 1))
    sampler.context.advance(6)
    sampler.take(a_span("b", 1), a_span("c", 2))
    sampler.context.advance(5)
    assert sampler.emitted == ["a", "b"]
    sampler.context.advance(5)
    assert sampler.emitted == ["a", "b", "c"]


def test_what_comes_after_the_decision_is_decided_anew():
    sampler = Sampler(ERRORS)
    sampler.take(a_span("a", 1, status_code=2))
    sampler.context.advance(11)
    sampler.take(a_span("late", 1))
    sampler.context.advance(11)
    assert sampler.emitted == ["a"]


def test_spans_stay_under_what_they_came_under():
    sampler = Sampler()
    sampler.take(a_span("a", 1), a_span("b", 1), resource={"from": "first"})
    sampler.take(a_span("c", 1), resource={"from": "second"})
    sampler.context.advance(11)
    [chunk] = sampler.context.emitted
    first, second = chunk.payload.resource_spans
    assert (first.attributes, first.dropped_attributes, first.schema_url) == (
        {"from": "first"},
        2,
        "http://r",
    )
    [scope] = first.scope_spans
    assert (scope.scope, scope.schema_url) == (Scope("lib", "1", None), "http://scope")
    assert [span.name for span in scope.spans] == ["a", "b"]
    assert second.attributes == {"from": "second"}
    assert (chunk.tag, chunk.count) == ("t", 3)


def test_legacy_reconcile_puts_each_span_under_a_resource_of_its_own():
    sampler = Sampler(legacy_reconcile="on")
    sampler.take(a_span("a", 1), a_span("b", 1))
    sampler.context.advance(11)
    [chunk] = sampler.context.emitted
    assert [len(r.scope_spans[0].spans) for r in chunk.payload.resource_spans] == [1, 1]


def test_each_tag_goes_on_by_itself():
    sampler = Sampler()
    sampler.take(a_span("a", 1), tag="x")
    sampler.take(a_span("b", 2), tag="y")
    sampler.context.advance(11)
    assert [chunk.tag for chunk in sampler.context.emitted] == ["x", "y"]


def test_spans_without_a_trace_are_decided_one_by_one():
    sampler = Sampler(ERRORS)
    sampler.take(Span("a"), Span("b", status_code=2))
    sampler.context.advance(11)
    assert sampler.emitted == ["b"]


def test_no_wait_decides_at_once():
    sampler = Sampler(ERRORS, decision_wait="0")
    sampler.take(a_span("a", 1, status_code=2), a_span("b", 2))
    assert sampler.emitted == ["a"]


def test_more_traces_than_the_limit_are_decided_early_and_not_lost():
    sampler = Sampler(ERRORS, max_traces="2")
    sampler.take(*(a_span(f"{n}", n, status_code=n % 2 + 1) for n in range(1, 6)))
    assert sampler.emitted == ["1", "3"]
    assert len(sampler.plugin.tail.held) == 2
    assert [level for level, _ in sampler.context.sink.messages] == ["warn"]


def test_the_memory_of_what_is_held_has_a_limit(monkeypatch):
    monkeypatch.setattr(sampling, "MOST_HELD_BYTES", 1000)
    sampler = Sampler()
    for number in range(100):
        sampler.take(a_span(f"{number}", 1))
    assert sampler.plugin.tail.held.nbytes <= 1000
    sampler.context.advance(11)
    assert sampler.emitted == [f"{number}" for number in range(100)]


def test_a_stop_decides_what_is_held():
    sampler = Sampler(ERRORS)
    sampler.take(a_span("a", 1, status_code=2), a_span("b", 2))
    assert names(sampler.plugin.drain()) == ["a"]
    assert sampler.plugin.drain() == []


def test_many_traces_are_decided_in_several_turns(monkeypatch):
    monkeypatch.setattr(sampling, "AT_ONCE", 2)
    sampler = Sampler()
    sampler.take(*(a_span(f"{number}", number) for number in range(1, 6)))
    sampler.context.advance(11)
    assert [chunk.count for chunk in sampler.context.emitted] == [2, 2, 1]
    assert sampler.emitted == ["1", "2", "3", "4", "5"]


def test_receipts_wait_for_the_decision_and_the_delivery():
    sampler = Sampler(ERRORS)
    receipts = [Receipt(), Receipt()]
    for receipt in receipts:
        receipt.hold()
    sampler.take(a_span("a", 1), a_span("b", 2), receipt=receipts[0])
    sampler.take(a_span("c", 1, status_code=2), receipt=receipts[1])
    for receipt in receipts:
        receipt.release()
    assert not any(receipt.settled for receipt in receipts)
    sampler.context.advance(11)
    assert not any(receipt.settled for receipt in receipts)
    sampler.context.emitted[0].receipt.release()
    assert all(receipt.settled for receipt in receipts)


def test_receipts_of_dropped_traces_end():
    sampler = Sampler(ERRORS)
    receipt = Receipt()
    receipt.hold()
    sampler.take(a_span("a", 1), receipt=receipt)
    receipt.release()
    assert not receipt.settled
    sampler.context.advance(11)
    assert receipt.settled


def test_a_client_that_waits_is_not_kept_waiting_for_a_late_decision():
    sampler = Sampler()
    receipt = Receipt(urgent=True)
    receipt.hold()
    sampler.take(a_span("a", 1), receipt=receipt)
    receipt.release()
    assert receipt.settled
    assert "a crash loses what is held" in sampler.context.sink.messages[0][1]


def test_a_client_that_waits_for_a_soon_decision_is_answered_after_it():
    sampler = Sampler(decision_wait="1s")
    receipt = Receipt(urgent=True)
    receipt.hold()
    sampler.take(a_span("a", 1), receipt=receipt)
    receipt.release()
    assert not receipt.settled


def test_a_regular_expression_without_end_keeps_its_traces():
    condition = {
        "type": "string_attribute",
        "key": "k",
        "match_type": "regex",
        "values": ["^(a|aa)+$"],
    }
    sampler = Sampler([condition])
    sampler.take(a_span("a", 1, attributes={"k": "a" * 60 + "b"}))
    assert names(sampler.plugin.drain()) == ["a"]


def test_debug_shows_what_comes_and_what_is_left(capfdbinary):
    section = {
        "type": "probabilistic",
        "debug": "on",
        "sampling_settings": {"sampling_percentage": "40"},
    }
    plugin = make_plugin("processor", "sampling", section)
    plugin.process(a_chunk(a_span("stays", place(1)), a_span("goes", place(500_000))))
    before, after = capfdbinary.readouterr().out.decode().split("after")
    assert "name=stays" in before
    assert "name=goes" in before
    assert "name=stays" in after
    assert "name=goes" not in after


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"type": "test"},
        {"type": "tail", "sampling_settings": ["a"]},
        {"type": "tail", "sampling_settings": {"sampling_percentage": "4"}},
        {"type": "tail", "sampling_settings": {"max_traces": "0"}},
        {"type": "tail", "sampling_settings": {"decision_wait": {"a": "b"}}},
        {"type": "tail", "sampling_settings": {"decision_wait": "soon"}},
        {"type": "tail", "conditions": [{"type": "nope"}]},
        {"type": "probabilistic", "sampling_settings": {"sampling_percentage": "half"}},
    ],
)
def test_mistakes_are_found_at_the_start(section):
    with pytest.raises((ConfigError, InvalidConfiguration)):
        make_plugin("processor", "sampling", section)


def test_conditions_of_a_head_sampler_are_told_to_be_without_effect():
    context = FakeContext()
    section = {"type": "probabilistic", "conditions": ERRORS}
    make_plugin("processor", "sampling", section, context)
    assert "no effect" in context.sink.messages[0][1]


def test_several_processes_that_can_not_see_whole_traces_are_warned_of():
    context = FakeContext()
    context.share = Share(0, 2)
    make_plugin("processor", "sampling", {"type": "tail"}, context)
    assert "processes 1" in context.sink.messages[0][1]
