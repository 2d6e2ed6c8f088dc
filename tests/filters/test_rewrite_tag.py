import pytest

from tailrace.config.errors import ConfigError, InvalidConfiguration
from tailrace.model import Receipt
from tailrace.testing import FakeContext, chunk_of, make_plugin, run_filter


def rewritten(rules, *bodies, tag="app.web.x", metadata=None):
    """What stays, and what is emitted under which tag."""
    context = FakeContext()
    plugin = make_plugin("filter", "rewrite_tag", rules, context)
    out = plugin.process(chunk_of([dict(body) for body in bodies], tag, metadata=metadata))
    return out.bodies, [(chunk.tag, chunk.bodies) for chunk in context.emitted]


def test_an_event_goes_on_under_its_new_tag_and_the_original_only_if_kept():
    bodies = ({"l": "error", "n": 1}, {"l": "info", "n": 2})
    assert rewritten("rule $l ^error$ alert false", *bodies) == (
        [bodies[1]],
        [("alert", [bodies[0]])],
    )
    assert rewritten("rule $l ^error$ alert true", *bodies) == (
        list(bodies),
        [("alert", [bodies[0]])],
    )


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("new", "new"),
        ("$TAG.new", "app.web.x.new"),
        ("$TAG[1].$TAG[9]", "web."),
        ("got.$0.$1", "got.ab.b"),
        ("of.$k['s']", "of.deep"),
    ],
)
def test_the_new_tag_is_made_of_the_old_one_captures_and_fields(template, tag):
    body = {"l": "ab", "k": {"s": "deep"}}
    assert rewritten(f"rule $l a(b) {template} false", body)[1] == [(tag, [body])]


def test_the_dollar_of_a_field_may_be_left_out():
    assert rewritten("rule l a new false", {"l": "a"})[1] == [("new", [{"l": "a"}])]


def test_the_first_rule_that_matches_is_done():
    rules = "rule $l ^a one false\nrule $l b two false"
    _, emitted = rewritten(rules, {"l": "ab"}, {"l": "b"}, {"l": "aa"})
    assert emitted == [("one", [{"l": "ab"}, {"l": "aa"}]), ("two", [{"l": "b"}])]


@pytest.mark.parametrize("body", [{}, {"l": 5}, {"l": None}, {"l": "zzz"}])
def test_what_no_rule_matches_stays(body):
    assert rewritten("rule $l ^a new false", body) == ([body], [])


def test_an_event_whose_tag_would_stay_the_same_is_not_sent_round():
    assert rewritten("rule $l ^a $TAG false", {"l": "a"}) == ([{"l": "a"}], [])


def test_what_is_emitted_shares_the_receipt_and_no_body():
    context = FakeContext()
    plugin = make_plugin("filter", "rewrite_tag", "rule $l ^a new true", context)
    settled = []
    chunk = chunk_of([{"l": "a"}], metadata=[{"m": 1}])
    chunk.receipt = Receipt(lambda receipt: settled.append(1))
    chunk.receipt.hold()
    out = plugin.process(chunk)
    [emitted] = context.emitted
    out.bodies[0]["l"] = "changed"
    assert (emitted.bodies, emitted.metadata) == ([{"l": "a"}], [{"m": 1}])
    chunk.receipt.release()
    assert settled == []
    emitted.receipt.release()
    assert settled == [1]


@pytest.mark.parametrize("rule", ["rule $l ( new false", "rule $l a $k[' false"])
def test_a_rule_that_is_none_is_refused(rule):
    with pytest.raises(ConfigError):
        make_plugin("filter", "rewrite_tag", rule)


def test_without_a_rule_events_pass_with_a_warning():
    context = FakeContext()
    assert run_filter("rewrite_tag", "", {"a": 1}, context=context) == [{"a": 1}]
    assert "there is no rule" in context.sink.messages[0][1]


def test_a_rule_needs_four_words():
    with pytest.raises(InvalidConfiguration, match="Give a field, a regex"):
        make_plugin("filter", "rewrite_tag", "rule $l ^a new")
