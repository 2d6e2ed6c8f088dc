"""Traces: what the requests must look like, and what a trace shows."""

import asyncio
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.api.traces import TraceProblem, read_inputs, read_trace
from tests.api.running import HEAD, running

PIPELINE = """
[INPUT]
    name dummy
    rate 50
    dummy {"n":1}
    alias front
[FILTER]
    name modify
    match *
    add k v
[FILTER]
    name grep
    match *
    exclude none x
[OUTPUT]
    name null
    match *
"""
TRACING = HEAD + " enable_chunk_trace on\n" + PIPELINE
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "output", "prefix", "params", "limit", "count", "x"]),
            inner,
            max_size=4,
        )
    ),
)


@given(anything.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50))
def test_any_body_is_read_or_refused(body):
    for read in (read_trace, read_inputs):
        with suppress(TraceProblem):
            found = read(body)
            texts = found if isinstance(found, list) else [found.output, found.prefix]
            assert all(isinstance(each, str) for each in texts)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"inputs": [1]}, "invalid input"),
        ({"inputs": ["a", {"b": 1}]}, "invalid input"),
        ({"inputs": "a"}, "inputs not found"),
        ({}, "inputs not found"),
        ([], "input is not an object"),
    ],
)
def test_inputs_must_be_a_list_of_texts(body, what):
    with pytest.raises(TraceProblem, match=what):
        read_inputs(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"output": 1}, "output is not a string"),
        ({"prefix": ["x"]}, "prefix is not a string"),
        ({"params": {"format": 1}}, "params is not a map of strings"),
        ({"limit": {"count": "3"}}, "must be an integer"),
        ({"limit": {"count": True}}, "must be an integer"),
        ({"limit": {"hours": 3}}, "unknown limit type"),
        ({"limit": {}}, "single limit type"),
        ({"outptu": "stdout"}, "no parameter 'outptu'"),
    ],
)
def test_parameters_have_their_types(body, what):
    with pytest.raises(TraceProblem, match=what):
        read_trace(json.dumps(body).encode())


def in_agent(tmp_path, scenario, text=TRACING):
    async def run():
        async with running(tmp_path / "a.conf", text) as agent:
            await scenario(agent)

    asyncio.run(run())


def test_without_tracing_there_is_nothing(tmp_path):
    async def scenario(agent):
        for path in ("/api/v1/trace/front", "/api/v1/traces/", "/api/v2/tap/front"):
            assert (await agent.ask(path, "POST", b"{}"))[::2] == (404, b"")

    in_agent(tmp_path, scenario, HEAD + PIPELINE)


def test_a_trace_shows_every_stage(tmp_path, capfd):
    async def scenario(agent):
        body = {
            "output": "stdout",
            "prefix": "x.",
            "params": {"format": "json_lines"},
            "limit": {"count": 1},
        }
        assert await agent.json("/api/v1/trace/front", "POST", body) == {"status": "ok"}
        await asyncio.sleep(1.3)
        assert await agent.json("/api/v1/trace/dummy.0", "DELETE") == {"status": "ok"}

    in_agent(tmp_path, scenario)
    records = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [record["type"] for record in records] == [1, 2, 3, 4]
    given_, changed, leaving, result = records
    assert given_["trace_id"] == "x.0"
    assert (given_["plugin_instance"], given_["plugin_alias"]) == ("dummy.0", "front")
    assert given_["records"][0]["record"] == {"n": 1}
    assert changed["plugin_instance"] == "modify.0"
    assert leaving["records"][0]["record"] == {"n": 1, "k": "v"}
    assert (result["plugin_instance"], result["return"]) == ("null.0", 1)


def test_unknown_inputs_and_outputs_are_told(tmp_path):
    async def scenario(agent):
        assert (await agent.ask("/api/v1/trace/nobody", "POST", b"{}"))[0] == 404
        status, _, body = await agent.ask("/api/v1/trace/front", "POST", b'{"output":"no"}')
        assert status == 503
        assert "no" in json.loads(body)["message"]
        assert (await agent.ask("/api/v1/trace/front", "POST"))[0] == 400

    in_agent(tmp_path, scenario)


def test_several_inputs_at_once(tmp_path):
    async def scenario(agent):
        body = {"inputs": ["front", "nobody"], "output": "null"}
        told = await agent.json("/api/v1/traces/", "POST", body)
        assert told["inputs"]["front"] == {"status": "ok"}
        assert told["inputs"]["nobody"] == {"status": "error", "returncode": -1}
        told = await agent.json("/api/v1/traces/", "DELETE", {"inputs": ["front"]})
        assert told == {"inputs": {"front": {"status": "ok"}}, "result": {"status": "ok"}}

    in_agent(tmp_path, scenario)


def test_a_trace_of_an_input_that_a_reload_took_out_ends(tmp_path):
    async def scenario(agent):
        assert (await agent.json("/api/v1/trace/front", "POST", {"output": "null"})) == {
            "status": "ok"
        }
        control = agent.api._control
        [sink] = control._sinks.values()
        [path] = tmp_path.glob("*.conf")
        path.write_text(TRACING.replace("alias front", "alias other"))
        assert (await agent.agent.reload_and_wait()).status == 0
        await control.close()
        assert not control._sinks
        assert not sink._started

    in_agent(tmp_path, scenario)


def test_a_tap_gives_what_passed_since_the_last_look(tmp_path):
    async def scenario(agent):
        assert await agent.json("/api/v2/tap/front") == {"records": []}

        async def caught():
            return bool((await agent.json("/api/v2/tap/front"))["records"])

        await agent.until(caught)
        assert (await agent.ask("/api/v2/tap/nobody"))[0] == 404

    in_agent(tmp_path, scenario)
