"""The HTTP API as a client sees it."""

import asyncio
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tailrace.api.server import is_own_name
from tests.api.running import HEAD, running

PIPELINE = """
[INPUT]
    name dummy
    samples 3
    rate 100
    dummy {"n":1}
    alias gen
[FILTER]
    name grep
    match *
    exclude none x
    alias keep
[OUTPUT]
    name null
    match *
    alias sink
"""


def in_agent(tmp_path, scenario, service="", pipeline=PIPELINE):
    async def run():
        async with running(tmp_path / "a.conf", HEAD + service + pipeline) as agent:
            await scenario(agent)

    asyncio.run(run())


async def delivered(agent):
    counts = await agent.json("/api/v1/metrics")
    return counts["output"]["sink"]["proc_records"] == 3


def test_metrics_count_by_instance(tmp_path):
    async def scenario(agent):
        await agent.until(lambda: delivered(agent))
        counts = await agent.json("/api/v1/metrics")
        assert counts["input"] == {"gen": {"records": 3, "bytes": 51}}
        assert counts["filter"]["keep"]["records"] == 3
        assert counts["output"]["sink"]["proc_bytes"] == 51

    in_agent(tmp_path, scenario)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_prometheus_can_read_the_metrics(tmp_path, version):
    async def scenario(agent):
        await agent.until(lambda: delivered(agent))
        _, headers, body = await agent.ask(f"/api/{version}/metrics/prometheus")
        assert headers["content-type"] == "text/plain; version=0.0.4"
        values = {
            (sample.name, sample.labels.get("name")): sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        }
        assert values["fluentbit_output_proc_records_total", "sink"] == 3
        assert values["fluentbit_input_bytes_total", "gen"] == 51

    in_agent(tmp_path, scenario)


def test_the_books_are_shown_with_their_remainder(tmp_path):
    async def scenario(agent):
        await agent.until(lambda: delivered(agent))
        books = await agent.json("/api/v2/accounting")
        assert (books["received"], books["passed"], books["remainder"]) == (3, 3, 0)
        assert books["outputs"]["sink"]["delivered"] == 3
        assert books["outputs"]["sink"]["remainder"] == 0

    in_agent(tmp_path, scenario)


def test_what_is_not_there_is_404_without_a_body(tmp_path):
    async def scenario(agent):
        for path in ("/no", "/api/v1", "/api/v1/uptime/", "/API/v1/uptime", "/api/v1/storage"):
            status, headers, body = await agent.ask(path)
            assert (status, body, headers.get("content-type")) == (404, b"", None)

    in_agent(tmp_path, scenario)


def test_any_method_reads(tmp_path):
    async def scenario(agent):
        for method in ("GET", "POST", "DELETE"):
            status, _, body = await agent.ask("/api/v1/uptime", method)
            assert status == 200
            assert "uptime_sec" in json.loads(body)

    in_agent(tmp_path, scenario)


def test_a_browser_gets_a_page_and_others_json(tmp_path):
    async def scenario(agent):
        _, headers, body = await agent.ask(
            "/", headers=["Host: localhost", "Accept: text/html,*/*"]
        )
        assert headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in headers["content-security-policy"]
        assert b'src="http' not in body
        _, headers, body = await agent.ask("/")
        assert list(json.loads(body)) == ["fluent-bit"]

    in_agent(tmp_path, scenario)


def test_health_is_judged_by_errors_of_the_period(tmp_path):
    pipeline = PIPELINE.replace("name null", "name test_refuser")

    async def scenario(agent):
        async def is_sick():
            return (await agent.ask("/api/v1/health"))[0] == 500

        await agent.until(is_sick)
        state = await agent.json("/api/v2/health")
        assert state["status"] == "error"
        assert state["errors"] > 0

    in_agent(tmp_path, scenario, " health_check on\n hc_errors_count 0\n", pipeline)


def test_health_without_a_check_is_told_by_version_2_alone(tmp_path):
    async def scenario(agent):
        assert (await agent.ask("/api/v1/health"))[0] == 404
        assert (await agent.json("/api/v2/health"))["status"] == "ok"

    in_agent(tmp_path, scenario)


def test_storage_shows_what_waits(tmp_path):
    pipeline = PIPELINE.replace("name null", "name test_staller")

    async def scenario(agent):
        async def waits():
            state = await agent.json("/api/v1/storage")
            return state["storage_layer"]["chunks"]["mem_chunks"] == 3

        await agent.until(waits)
        state = (await agent.json("/api/v1/storage"))["input_chunks"]["gen"]
        assert state["status"] == {"overlimit": False, "mem_size": "51b", "mem_limit": "4.8M"}
        assert state["chunks"]["total"] == 3

    in_agent(
        tmp_path,
        scenario,
        " storage.metrics on\n",
        pipeline.replace("rate", "mem_buf_limit 5M\n    rate"),
    )


# Who may ask


def test_a_token_is_asked_for_everywhere_but_at_the_health_checks(tmp_path):
    async def scenario(agent):
        assert (await agent.ask("/api/v2/health"))[0] == 200
        for path in ("/", "/api/v1/metrics", "/api/v2/reload", "/api/v2/pipeline", "/no"):
            status, headers, _ = await agent.ask(path)
            assert (status, headers["www-authenticate"]) == (401, "bearer")
        for wrong in ("Bearer", "Bearer s3cret2", "Bearer s3cre", "Basic s3cret", "bearer s3cret"):
            headers = ["Host: localhost", f"Authorization: {wrong}"]
            assert (await agent.ask("/api/v1/metrics", headers=headers))[0] == 401
        headers = ["Host: localhost", "Authorization: Bearer s3cret"]
        assert (await agent.ask("/api/v1/metrics", headers=headers))[0] == 200

    in_agent(tmp_path, scenario, " http_token s3cret\n")


def test_pages_of_other_sites_are_refused(tmp_path):
    async def scenario(agent):
        port = agent.api.ports[0]
        foreign = [f"Host: localhost:{port}", "Origin: http://evil.example"]
        assert (await agent.ask("/api/v2/reload", "POST", headers=foreign))[0] == 403
        rebound = [f"Host: evil.example:{port}"]
        assert (await agent.ask("/api/v1/metrics", headers=rebound))[0] == 403
        own = [f"Host: localhost:{port}", f"Origin: http://localhost:{port}"]
        assert (await agent.ask("/api/v1/metrics", headers=own))[0] == 200

    in_agent(tmp_path, scenario)


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("localhost", True),
        ("LOCALHOST:2020", True),
        ("127.0.0.1:2020", True),
        ("[::1]:2020", True),
        ("10.0.0.1", True),
        ("localhost.evil.example", False),
        ("evil.example:2020", False),
        ("", False),
    ],
)
def test_own_names(host, is_own):
    assert is_own_name(host) is is_own


# Reload


def test_reload_must_be_on(tmp_path):
    async def scenario(agent):
        assert await agent.json("/api/v2/reload", "POST", {}) == {
            "reload": "not enabled",
            "status": -1,
        }
        status, headers, body = await agent.ask("/api/v2/reload", "DELETE")
        assert (status, headers["allow"], body) == (405, "get, post, put", b"")
        assert await agent.json("/api/v2/reload") == {"hot_reload_count": 0}

    in_agent(tmp_path, scenario)


def test_reload_answers_when_it_is_done_and_is_counted(tmp_path):
    async def scenario(agent):
        assert await agent.json("/api/v2/reload", "PUT", {}) == {"reload": "done", "status": 0}
        assert await agent.json("/api/v2/reload") == {"hot_reload_count": 1}

    in_agent(tmp_path, scenario, " hot_reload on\n")


def test_a_reload_that_fails_says_why_and_is_not_counted(tmp_path):
    async def scenario(agent):
        (tmp_path / "a.conf").write_text("[INPUT]\n name no_such_plugin\n")
        status, _, body = await agent.ask("/api/v2/reload", "POST", b"{}")
        told = json.loads(body)
        assert (status, told["reload"], told["status"]) == (500, "failed", -3)
        assert "no_such_plugin" in told["error"]
        assert await agent.json("/api/v2/reload") == {"hot_reload_count": 0}
        assert "gen" in (await agent.json("/api/v1/metrics"))["input"]

    in_agent(tmp_path, scenario, " hot_reload on\n")


def test_what_plugins_count_stands_beside_the_counts_of_their_kind(tmp_path):
    """As Fluent Bit orders the metrics, with what filters count of their own in version 1 too."""
    joined = "[FILTER]\n    name multiline\n    match *\n    multiline.parser java\n    multiline.key_content n\n    flush_ms 500\n"
    own = "[INPUT]\n    name http\n    listen 127.0.0.1\n    port 0\n"

    async def scenario(agent):
        await agent.until(lambda: delivered(agent))
        counts = await agent.json("/api/v1/metrics")
        assert (
            counts["filter"]["multiline.1"].items()
            >= {"emit_records": 3, "emit_truncated": 0}.items()
        )
        _, _, body = await agent.ask("/api/v2/metrics/prometheus")
        text = body.decode()
        places = [
            text.index(f"# TYPE fluentbit_{name} ")
            for name in (
                "input_records_total",
                "input_http_server_ingress_queue_busy_total",
                "filter_records_total",
            )
        ]
        assert places == sorted(places)

    in_agent(tmp_path, scenario, pipeline=PIPELINE + joined + own)


def test_an_output_that_delivered_nothing_has_no_latency(tmp_path):
    async def scenario(agent):
        async def refused():
            return (await agent.json("/api/v1/metrics"))["output"]["sink"]["errors"] > 0

        await agent.until(refused)
        _, _, body = await agent.ask("/api/v2/metrics/prometheus")
        assert b"latency_seconds" not in body

    pipeline = PIPELINE.replace("name null", "name test_refuser")
    in_agent(tmp_path, scenario, pipeline=pipeline)


def test_inputs_stand_in_order_and_the_backlog_behind_them(tmp_path):
    async def scenario(agent):
        await agent.until(lambda: delivered(agent))
        counts = await agent.json("/api/v1/metrics")
        assert list(counts["input"]) == ["gen", "storage_backlog.1"]

    in_agent(tmp_path, scenario, f" storage.path {tmp_path}/chunks\n")
