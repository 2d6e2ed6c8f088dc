"""The text is that of Fluent Bit 5.1.1 for the same traces."""

from tailrace.model.traces import (
    Link,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    SpanEvent,
    Traces,
)
from tailrace.wire.traces_text import encode

FULL = """\
|-------------------- RESOURCE SPAN --------------------|
  resource:
     - attributes:
            - service.name: 'shop'
     - dropped_attributes_count: 3
     - schema_url: http://res
  [scope_span]
    instrumentation scope:
        - name                    : lib
        - version                 : (null)
        - dropped_attributes_count: 2
        - attributes:
            - sa: 5
    schema_url: ""
    [spans]
         [span #0 'GET /cart']
             - trace_id                : 0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a
             - span_id                 : 0b0b0b0b0b0b0b0b
             - parent_span_id          : undefined
             - kind                    : 2 (server)
             - start_time              : 17
             - end_time                : 18
             - dropped_attributes_count: 1
             - dropped_events_count    : 2
             - dropped_links_count     : 3
             - trace_state             : a=b
             - status:
                 - code    : 2
                 - message : 'bad'
             - attributes: \n\
                 - d: 0.10000000000000001
                 - t: true
                 - arr: [
                     'x',
                     1,
                     [
                         2.5
                     ]
                 ]
                 - kv: \n\
                     - k1: 'v1'

             - events: \n\
                 - name: cache miss
                     - timestamp               : 55
                     - dropped_attributes_count: 3
                     - attributes:
                         - k: 'v'

                 - name: none
                     - timestamp               : 0
                     - dropped_attributes_count: 0
                     - attributes: none
             - [links]
                 - link:
                     - trace_id             : 01010101010101010101010101010101
                     - span_id              : 0202020202020202
                     - trace_state          : (null)
                     - dropped_events_count : 4
                     - attributes           : \n\
                         - la: 'lb'
"""

BARE = """\
|-------------------- RESOURCE SPAN --------------------|
  resource:
     - attributes:
     - dropped_attributes_count: 0
     - schema_url: ""
  [scope_span]
    schema_url: ""
    [spans]
         [span #0 'x']
             - trace_id                : 000000F1BI700000000000F1BI700000
             - span_id                 : 000000F1BI700000
             - parent_span_id          : undefined
             - kind                    : 9 (unspecified)
             - start_time              : 0
             - end_time                : 0
             - dropped_attributes_count: 0
             - dropped_events_count    : 0
             - dropped_links_count     : 0
             - trace_state             : (null)
             - status:
                 - code    : 0
             - attributes: none
             - events: none
             - [links]
"""


def test_all_that_a_span_can_have():
    span = Span(
        "GET /cart",
        b"\x0a" * 16,
        b"\x0b" * 8,
        None,
        2,
        17,
        18,
        {"d": 0.1, "t": True, "arr": ["x", 1, [2.5]], "kv": {"k1": "v1"}},
        [SpanEvent("cache miss", 55, {"k": "v"}, 3), SpanEvent("none")],
        [Link(b"\x01" * 16, b"\x02" * 8, None, {"la": "lb"}, 4)],
        2,
        "bad",
        "a=b",
        dropped_attributes=1,
        dropped_events=2,
        dropped_links=3,
    )
    scope = ScopeSpans(Scope("lib", None, {"sa": 5}, 2), [span])
    traces = Traces([ResourceSpans({"service.name": "shop"}, 3, [scope], "http://res")])
    assert encode(traces) == FULL


def test_a_span_with_nothing_but_its_name():
    traces = Traces([ResourceSpans(scope_spans=[ScopeSpans(spans=[Span("x", kind=9)])])])
    assert encode(traces) == BARE


def test_long_texts_are_not_cut():
    traces = Traces([ResourceSpans({"statement": "x" * 5000})])
    assert f"- statement: '{'x' * 5000}'\n" in encode(traces)
