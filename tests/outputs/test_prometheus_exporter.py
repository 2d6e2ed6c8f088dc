import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tailrace.model.metrics import MetricKind, MetricSet, metrics_chunk
from tailrace.testing import make_plugin

TIME = 1_700_000_000_000_000_000


def counter(value, tag="t", label="/a", name="hits"):
    metrics = MetricSet()
    metrics.metric(MetricKind.COUNTER, name, "d", ["path"]).set(value, TIME, [label])
    return metrics_chunk(tag, metrics)


def served(section, *chunks, path="/metrics"):
    """Status, content type and text of the answer."""

    async def run():
        section_text = f"host 127.0.0.1\nport 0\n{section}"
        exporter = make_plugin("output", "prometheus_exporter", section_text)
        await exporter.start()
        for chunk in chunks:
            await exporter.flush(chunk)
        reader, writer = await asyncio.open_connection("127.0.0.1", exporter.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        reply = await reader.read()
        writer.close()
        await exporter.stop()
        await exporter.stop()
        head, _, body = reply.decode().partition("\r\n\r\n")
        kind = [line for line in head.split("\r\n") if line.lower().startswith("content-type")]
        return int(head.split()[1]), kind[0].split(": ")[1] if kind else "", body

    return asyncio.run(run())


def test_the_last_metrics_are_shown():
    status, kind, text = served("", counter(1), counter(5))
    assert (status, kind) == (200, "text/plain; version=0.0.4")
    assert text.count("# TYPE hits counter") == 1
    assert 'hits{path="/a"} 5' in text


def test_metrics_of_several_tags_stand_together():
    _, _, text = served("", counter(1), counter(2, tag="u", label="/b"))
    assert text.count("# TYPE hits counter") == 1
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {tuple(s.labels.values()): s.value for s in families["hits"].samples} == {
        ("/a",): 1.0,
        ("/b",): 2.0,
    }


def test_metrics_of_one_tag_and_other_names_do_not_replace_each_other():
    _, _, text = served("", counter(1), counter(2, name="misses"))
    assert 'hits{path="/a"} 1' in text
    assert 'misses{path="/a"} 2' in text


def test_metrics_of_two_sources_do_not_replace_each_other():
    one, other = counter(1), counter(2, label="/b")
    one.stream, other.stream = ("first", None), ("second", None)
    _, _, text = served("", one, other)
    assert 'hits{path="/a"} 1' in text
    assert 'hits{path="/b"} 2' in text


def test_labels_and_times_are_added():
    _, _, text = served("add_label site lab\nadd_label env x y\nadd_timestamp on", counter(1))
    assert 'hits{site="lab",env="x y",path="/a"} 1 1700000000000' in text


def test_other_paths():
    assert served("", path="/") == (200, "", "Fluent Bit Prometheus Exporter\n")
    assert served("", path="/other")[0] == 404
    assert served("") == (200, "text/plain; version=0.0.4", "")
