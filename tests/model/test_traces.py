from tailrace.model import TRACES
from tailrace.model.traces import (
    ResourceSpans,
    ScopeSpans,
    Span,
    Traces,
    joined_traces,
    traces_chunk,
)


def traces_of(*names: str) -> Traces:
    return Traces([ResourceSpans(scope_spans=[ScopeSpans(spans=[Span(name) for name in names])])])


def test_spans_come_in_order_over_all_resources_and_scopes():
    traces = Traces(
        [
            ResourceSpans(
                scope_spans=[
                    ScopeSpans(spans=[Span("a"), Span("b")]),
                    ScopeSpans(spans=[Span("c")]),
                ]
            ),
            ResourceSpans(scope_spans=[ScopeSpans(spans=[Span("d")])]),
        ]
    )
    assert [span.name for span in traces.spans()] == ["a", "b", "c", "d"]
    assert traces.span_count == 4


def test_a_chunk_of_traces_counts_its_spans():
    chunk = traces_chunk("t", traces_of("a", "b"))
    assert (chunk.kind, chunk.tag, len(chunk)) == (TRACES, "t", 2)


def test_a_chunk_of_traces_without_spans_is_still_one_event():
    assert len(traces_chunk("t", Traces())) == 1


def test_the_raw_size_counts_where_it_is_known():
    assert traces_chunk("t", traces_of("a"), nbytes=77).nbytes == 77
    assert (
        traces_chunk("t", traces_of("a", "b")).nbytes
        == 2 * traces_chunk("t", traces_of("a")).nbytes
    )


def test_joined_traces_keep_the_order_of_their_parts():
    joined = joined_traces([traces_of("a"), traces_of("b", "c")])
    assert [span.name for span in joined.spans()] == ["a", "b", "c"]
