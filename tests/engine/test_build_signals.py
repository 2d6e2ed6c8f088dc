"""Processors stand under one signal in YAML."""

import pytest

from tailrace.config.load import load
from tailrace.engine.build import Builder, read_service
from tailrace.engine.metrics import MetricRegistry
from tailrace.model import TRACES
from tailrace.plugin.log import Log
from tailrace.testing import ListSink


def built(tmp_path, group, processor):
    path = tmp_path / "agent.yaml"
    path.write_text(
        "pipeline:\n"
        "  inputs:\n"
        f"    - {{name: dummy, processors: {{{group}: [{processor}]}}}}\n"
        "  outputs:\n"
        "    - {name: 'null', match: '*'}\n"
    )
    made, problems = load(path, None, {})
    options = read_service(made.service, problems)
    sink = Log(ListSink())
    plan = Builder(
        made, options, sink, problems, MetricRegistry(), lambda code: None, tmp_path
    ).build()
    return plan, [str(problem) for problem in problems]


def test_a_processor_knows_the_signal_it_stands_under(tmp_path):
    plan, told = built(tmp_path, "traces", "{name: sampling, type: tail}")
    assert plan.inputs[0].processors[0].context.signal is TRACES
    assert told == []


@pytest.mark.parametrize(
    ("group", "processor"),
    [
        ("logs", "{name: sampling, type: tail}"),
        ("traces", "{name: metrics_selector, metric_name: a}"),
        ("traces", "{name: grep, regex: a b}"),
    ],
)
def test_a_processor_that_takes_nothing_of_its_signal_is_warned_of(tmp_path, group, processor):
    _, told = built(tmp_path, group, processor)
    assert f"takes no {group}: it does nothing there" in told[0]
