import asyncio
import socket

import pytest

from tailrace.config.load import load
from tailrace.engine.agent import Agent
from tailrace.engine.link import EngineLink, LinkError, SupervisorLink, engine_of_environment
from tailrace.model.metrics import MetricKind, MetricSet
from tailrace.plugin.share import WHOLE, Share
from tailrace.testing import ListSink
from tailrace.wire import cmetrics

TEXT = """
[SERVICE]
 flush 0.05
 hot_reload on
[INPUT]
 name dummy
 samples 2
 rate 100
 alias gen
[OUTPUT]
 name null
 match *
"""


def test_an_engine_knows_its_share(monkeypatch):
    monkeypatch.delenv("TAILRACE_ENGINE", raising=False)
    assert engine_of_environment() == (WHOLE, None)
    monkeypatch.setenv("TAILRACE_ENGINE", "1/4/7")
    share, descriptor = engine_of_environment()
    assert (share.index, share.count, descriptor) == (1, 4, 7)


def linked(tmp_path, scenario, metrics=None):
    async def run():
        path = tmp_path / "a.conf"
        path.write_text(TEXT)
        ours, theirs = socket.socketpair()
        agent = Agent(lambda: load(str(path), None, {}), ListSink(), Share(0, 2))
        agent._install_signals = lambda: None
        agent.companions.append(EngineLink(agent, theirs.detach()))
        life = asyncio.ensure_future(agent.run())
        link = SupervisorLink(ours, metrics)
        await link.open()
        async with asyncio.timeout(10):
            await scenario(link, agent, path)
        await link.close()
        async with asyncio.timeout(10):
            await life
        return agent

    return asyncio.run(run())


def test_an_engine_is_told_the_metrics_of_all(tmp_path):
    async def of_all():
        metrics = MetricSet()
        metrics.metric(MetricKind.COUNTER, "hits", "d").add(41, 1)
        return metrics

    async def scenario(link, agent, path):
        await link.ask("look", 5)
        [source] = agent.pipeline.plan.inputs
        [metric] = (await source.context.agent_metrics()).metrics
        assert (metric.full_name, metric.samples[0].value) == ("hits", 41)

    linked(tmp_path, scenario, of_all)


def test_an_engine_that_gets_no_answer_tells_its_own_metrics(tmp_path, monkeypatch):
    monkeypatch.setattr("tailrace.engine.link.ANSWER_SECONDS", 0.05)

    async def never():
        await asyncio.sleep(60)

    async def scenario(link, agent, path):
        await link.ask("look", 5)
        [source] = agent.pipeline.plan.inputs
        names = {metric.full_name for metric in (await source.context.agent_metrics()).metrics}
        assert "fluentbit_input_records_total" in names
        assert any("no answer within" in text for _, text in agent.sink.messages)

    linked(tmp_path, scenario, never)


def test_the_supervisor_sees_the_metrics_and_instances(tmp_path):
    async def scenario(link, agent, path):
        packed, topology, reloads = await link.ask("look", 5)
        [metrics] = cmetrics.decode(packed)
        assert "fluentbit_input_records_total" in {each.full_name for each in metrics.metrics}
        assert [each["name"] for each in topology["inputs"]] == ["gen"]
        assert reloads == 0

    linked(tmp_path, scenario)


def test_a_reload_is_answered_when_it_is_done(tmp_path):
    async def scenario(link, agent, path):
        assert await link.ask("reload") == [0, ""]
        path.write_text("[INPUT]\n name nothing_like_it\n")
        status, error = await link.ask("reload")
        assert status == -3
        assert "nothing_like_it" in error

    linked(tmp_path, scenario)


def test_what_cannot_be_answered_is_an_error(tmp_path):
    async def scenario(link, agent, path):
        with pytest.raises(LinkError, match="no question"):
            await link.ask("weather")
        with pytest.raises(LinkError, match="LookupError"):
            await link.ask("read_tap", name="nobody")

    linked(tmp_path, scenario)


def test_an_engine_ends_when_its_supervisor_has_gone(tmp_path):
    async def scenario(link, agent, path):
        await link.ask("look", 5)

    agent = linked(tmp_path, scenario)
    assert agent.exit_code == 0
    assert any("supervisor has gone" in message for _, message in agent.sink.messages)


def test_asking_one_that_has_gone_is_an_error():
    async def run():
        ours, theirs = socket.socketpair()
        link = SupervisorLink(ours)
        await link.open()
        theirs.close()
        with pytest.raises(LinkError):
            await link.ask("look", 1)
        await link.close()

    asyncio.run(run())
