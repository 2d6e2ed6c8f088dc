"""The input forward with clients that others have written, and with our own output."""

import asyncio

import pytest
from fluent import event, sender

from tailrace.model import METRICS, TRACES, Chunk, Group
from tailrace.model.metrics import Metric, MetricKind, MetricSet, Sample, metrics_chunk
from tailrace.model.traces import ResourceSpans, Scope, ScopeSpans, Span, Traces, traces_chunk
from tailrace.testing import EPOCH_NS, chunk_of, make_plugin
from tests.inputs.forward.server import LOCAL, serve

# fluent-logger for Python: Message mode, one event after another.


@pytest.mark.parametrize("nanosecond_precision", [True, False])
def test_events_of_fluent_logger_arrive(nanosecond_precision):
    async def scenario(server):
        def send():
            logger = sender.FluentSender(
                "app", LOCAL, server.port, nanosecond_precision=nanosecond_precision
            )
            for number in range(100):
                assert logger.emit_with_time("web", 1700000000 + number, {"n": number, "t": "ä"})
            logger.close()

        await asyncio.to_thread(send)
        await server.until(lambda: len(server.events) == 100)
        assert server.events[7] == ("app.web", {"n": 7, "t": "ä"})
        assert server.chunks[0].times[0] == 1700000000_000000000
        assert server.messages == []

    serve(scenario)


def test_events_of_fluent_loggers_global_sender_arrive_by_a_unix_socket(tmp_path):
    path = tmp_path / "fw.sock"

    async def scenario(server):
        def send():
            sender.setup("app", host=f"unix://{path}")
            event.Event("login", {"user": "ann"})
            sender.close()

        await asyncio.to_thread(send)
        await server.until(lambda: server.events)
        assert server.events == [("app.login", {"user": "ann"})]

    serve(scenario, f"unix_path {path}")


# Our own output

GROUP = Group({"schema": "otlp", "resource_id": 0, "scope_id": 0}, {"resource": {"a": 1}})
KEY = "shared_key s3cret\n"


def given():
    bodies = [
        {"n": 1, "b": b"\xff\x00"},
        {"n": 2.5, "deep": {"list": [None, True]}},
        {"ä": "\udcff"},
    ]
    times = [EPOCH_NS, EPOCH_NS + 1, EPOCH_NS + 2_000_000_000]
    return Chunk("app.log", times, bodies, [{"k": 1}, {}, {}], 0, [GROUP, GROUP, None])


@pytest.mark.parametrize(
    ("output", "section"),
    [
        ("", ""),
        ("require_ack_response on", ""),
        ("require_ack_response on\ncompress gzip", ""),
        ("send_options on", ""),
        (f"require_ack_response on\n{KEY}self_hostname c", f"{KEY}self_hostname s"),
        (f"{KEY}username ann\npassword p\n", f"{KEY}security.users ann p\n"),
        ("empty_shared_key on", "empty_shared_key on\nself_hostname s"),
    ],
)
def test_events_that_our_output_sends_arrive_as_they_were(output, section):
    async def scenario(server):
        plugin = make_plugin("output", "forward", f"host {LOCAL}\nport {server.port}\n{output}")
        await plugin.start()
        try:
            await plugin.flush(given())
            await server.until(lambda: server.chunks)
        finally:
            await plugin.stop()
        (chunk,) = server.chunks
        expected = given()
        assert (chunk.tag, chunk.times, chunk.bodies) == (
            expected.tag,
            expected.times,
            expected.bodies,
        )
        assert (chunk.metadata, chunk.groups) == (expected.metadata, expected.groups)

    serve(scenario, section)


def test_a_chunk_is_delivered_to_our_output_only_when_it_is_settled_here():
    async def scenario(server):
        section = f"host {LOCAL}\nport {server.port}\nrequire_ack_response on"
        plugin = make_plugin("output", "forward", section)
        await plugin.start()
        try:
            flush = asyncio.ensure_future(plugin.flush(chunk_of([{"n": 1}])))
            await server.until(lambda: server.receipts)
            await asyncio.sleep(0.05)
            assert not flush.done()
            server.receipts[0].release()
            await asyncio.wait_for(flush, 5)
        finally:
            await plugin.stop()

    serve(scenario, hold=True)


@pytest.mark.parametrize("compress", ["", "compress gzip"])
def test_metrics_and_traces_that_our_output_sends_arrive(compress):
    metrics = MetricSet([Metric(MetricKind.GAUGE, "g", samples=[Sample((), 5.0, EPOCH_NS)])])
    spans = ScopeSpans(Scope(), [Span("work", b"t" * 16, b"s" * 8)])
    traces = Traces([ResourceSpans(scope_spans=[spans])])

    async def scenario(server):
        section = f"host {LOCAL}\nport {server.port}\nrequire_ack_response on\n{compress}"
        plugin = make_plugin("output", "forward", section)
        await plugin.start()
        try:
            await plugin.flush(metrics_chunk("m", metrics))
            await plugin.flush(traces_chunk("t", traces))
        finally:
            await plugin.stop()
        assert [(chunk.tag, chunk.kind) for chunk in server.chunks] == [
            ("m", METRICS),
            ("t", TRACES),
        ]
        assert server.chunks[0].payload.metrics[0].samples == metrics.metrics[0].samples
        assert server.chunks[1].payload == traces

    serve(scenario)
