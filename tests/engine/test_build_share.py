"""Which instances an engine of several makes."""

from pathlib import Path

import pytest

from tailrace.config.errors import Place, Problems
from tailrace.config.source import Configuration, Entry, Section
from tailrace.engine.build import Builder, read_service
from tailrace.engine.metrics import MetricRegistry
from tailrace.plugin.log import Log
from tailrace.plugin.share import Share
from tailrace.testing import ListSink

PLACE = Place("test")


def section(kind, **entries):
    return Section(kind, PLACE, [Entry(key, value, PLACE) for key, value in entries.items()])


def built(share, output="null", processes="2"):
    service = section("service", processes=processes)
    configuration = Configuration(service)
    configuration.inputs = [
        section("input", name="dummy"),
        section("input", name="tcp"),
        section("input", name="tail", path="/nowhere/*.log"),
    ]
    configuration.outputs = [section("output", name=output, match="*")]
    problems = Problems()
    options = read_service(service, problems)
    plan = Builder(
        configuration,
        options,
        Log(ListSink()),
        problems,
        MetricRegistry(),
        lambda code: None,
        Path(),
        share,
    ).build()
    return plan, problems


@pytest.mark.parametrize(
    ("share", "names"),
    [
        (Share(0, 1), ["dummy", "tcp", "tail"]),
        (Share(0, 2), ["dummy", "tcp", "tail"]),
        (Share(1, 2), ["tcp", "tail"]),
    ],
)
def test_only_what_can_be_divided_runs_in_every_engine(share, names):
    plan, _ = built(share)
    assert [each.context.plugin for each in plan.inputs] == names


def test_listeners_share_their_port():
    plan, _ = built(Share(1, 2))
    [tcp] = [each for each in plan.inputs if each.context.plugin == "tcp"]
    assert tcp.plugin.options.listen.net_share_port


def test_an_output_that_holds_a_port_is_refused():
    _, problems = built(Share(0, 1), output="prometheus_exporter")
    assert [problem.what for problem in problems.errors] == [
        "it holds a port, which several processes can't share."
    ]
    assert built(Share(0, 1), output="prometheus_exporter", processes="1")[1].errors == []


def test_instances_are_called_the_same_in_every_engine():
    names = [{each.unique for each in built(Share(index, 2))[0].inputs} for index in (0, 1)]
    assert names == [{"dummy.0", "tcp.1", "tail.2"}, {"tcp.1", "tail.2"}]


def test_a_filter_without_a_match_is_an_error_as_in_fluent_bit():
    configuration = Configuration(section("service"))
    configuration.filters = [
        section("filter", name="grep"),
        section("filter", name="grep", match="*"),
    ]
    problems = Problems()
    options = read_service(configuration.service, problems)
    Builder(
        configuration,
        options,
        Log(ListSink()),
        problems,
        MetricRegistry(),
        lambda code: None,
        Path(),
    ).build()
    assert [str(problem) for problem in problems] == [
        "test, filter grep (grep.0): it has no match, so no events would come to it. Add: match *."
    ]
