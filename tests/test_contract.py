"""What holds for every plugin, run over the registry."""

import asyncio
import importlib
import sys
import tomllib
from pathlib import Path

import pytest

from tailrace.config.errors import Place, Problems
from tailrace.config.options import describe
from tailrace.config.source import Entry
from tailrace.model import LOGS, METRICS, Group, Receipt
from tailrace.model.metrics import MetricSet, metrics_chunk
from tailrace.model.traces import Traces, traces_chunk
from tailrace.plugin import registry
from tailrace.plugin.multiline import built_in
from tailrace.testing import FakeContext, chunk_of, make_parser, make_plugin

KINDS = ("input", "parser", "filter", "processor", "output")
ALL = [(kind, name) for kind in KINDS for name in registry.built_in(kind)]
STAGES = ("filter", "processor")
LEAST = tomllib.loads(Path(__file__).with_name("least_options.toml").read_text())


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_plugin_is_named_as_its_module(kind, name):
    cls = registry.find(kind, name)
    assert cls.__module__.split(".")[2] == name
    assert cls.kind == kind


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_a_plugin_says_what_it_does(kind, name):
    text = sys.modules[registry.find(kind, name).__module__].__doc__
    assert text
    assert text.split("\n")[0].rstrip().endswith((".", ":"))


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_option_is_typed_and_documented(kind, name):
    for option in describe(registry.options_class(registry.find(kind, name))):
        assert option.type, option.name
        assert option.help, f"{option.name} has no help"


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_an_unknown_option_is_refused_by_name(kind, name):
    problems = Problems()
    entry = Entry("no_such_option", "1", Place("test"))
    assert registry.options_class(registry.find(kind, name)).read([entry], problems) is None
    assert any("no_such_option" in str(problem) for problem in problems)


def least_options(kind, name, context):
    """What a plugin can't do without: tests/least_options.toml, for those with required options."""
    section = LEAST.get(f"{kind}/{name}", "")
    if isinstance(section, dict):
        return section
    return section.replace("{DIR}", str(context.config_dir))


LEAST_MODULE = bytes.fromhex(  # a memory and a function f that returns a null pointer
    "0061736d010000000105016000017f03020100050301000107"
    "0e02066d656d6f72790200016600000a06010400410"
    "00b"
)


@pytest.fixture
def context(tmp_path):
    (tmp_path / "list.txt").write_text("x\n")
    (tmp_path / "a.wasm").write_bytes(LEAST_MODULE)
    (tmp_path / "a.tflite").write_bytes(Path(__file__).with_name("least_model.tflite").read_bytes())
    return FakeContext(
        parsers={"p": make_parser("name p\nformat json")},
        multiline_parsers={"m": built_in("java")},
        config_dir=tmp_path,
    )


@pytest.mark.parametrize("kind_and_name", [pair for pair in ALL if pair[0] in STAGES])
def test_nothing_in_gives_nothing_out(kind_and_name, context):
    kind, name = kind_and_name
    plugin = make_plugin(kind, name, least_options(kind, name, context), context)
    assert plugin.process(nothing_for(plugin)).count == 0


def nothing_for(plugin):
    """A chunk of a signal that the plugin takes, without content."""
    if LOGS in plugin.handles:
        return chunk_of([])
    if METRICS in plugin.handles:
        return metrics_chunk("t", MetricSet())
    return traces_chunk("t", Traces())


def held(plugin):
    """What a filter gives out at the end."""
    return plugin.drain() if plugin.kind == "filter" else []


CHANGING = [  # what drops some events or puts others in their place
    ("filter", "alter_size", "add 2"),
    ("filter", "alter_size", "remove 2"),
    ("filter", "grep", "exclude log [05]$"),
    ("filter", "lua", "call f\ncode function f(g, t, r) return r.n % 3 - 1, t, r end"),
    ("filter", "lua", "call f\ncode function f(g, t, r) return 1, t, {r, {n = r.n, x = 1}} end"),
    ("filter", "multiline", "mode partial_message\nmultiline.key_content log"),
    ("filter", "multiline", "multiline.parser java\nmultiline.key_content log\nbuffer off"),
    ("filter", "multiline", "multiline.parser java\nmultiline.key_content log"),
    ("filter", "rewrite_tag", "rule $log [1-4]$ b.$0 true"),
    ("filter", "rewrite_tag", "rule $log ^.*1$ b false"),
    ("filter", "throttle", "rate 1\nwindow 3"),
    ("processor", "sql", {"query": "SELECT n FROM STREAM WHERE n > 2;"}),
]


@pytest.mark.parametrize(
    ("kind", "name", "section"),
    [(kind, name, None) for kind, name in ALL if kind in STAGES] + CHANGING,
)
def test_events_keep_their_groups(kind, name, section, context):
    """What a stage passes on or emits anew is in the group in which it came."""
    context.multiline_parsers["java"] = built_in("java")
    section = least_options(kind, name, context) if section is None else section
    plugin = make_plugin(kind, name, section, context)
    if LOGS not in plugin.handles:
        return
    groups = [Group({}, {"resource": number}) for number in range(2)]
    chunk = chunk_of([{"n": number, "log": f"line {number}", "a": "x"} for number in range(6)])
    for body in chunk.bodies[3:5]:
        body.update(partial_message="true", partial_id="i", partial_last=body["n"] == 4)
    chunk.groups = [*groups[:1] * 3, *groups[1:] * 2, None]
    chunk.receipt = Receipt()
    for each in [plugin.process(chunk), *held(plugin), *context.emitted]:
        if each.kind is not LOGS:
            continue
        assert len(each.groups or each.bodies) == len(each.bodies) == each.count
        for body, group in zip(each.bodies, each.groups or [None] * each.count, strict=True):
            number = body.get("n", 5)
            if number < 5:
                assert group is groups[number // 3]
            else:  # the one of no group
                assert (group is None) != (name == "opentelemetry_envelope")


@pytest.mark.parametrize(("kind", "name"), [pair for pair in ALL if pair[0] in ("input", "output")])
def test_stop_works_twice_and_without_start(kind, name, context):
    plugin = make_plugin(kind, name, least_options(kind, name, context), context)

    async def scenario():
        await plugin.stop()
        await plugin.stop()

    asyncio.run(scenario())


def test_every_module_has_its_mirror():
    """`tailrace/filters/grep.py` is tested in `tests/filters/test_grep.py`, and so on for all plugins."""
    root = Path(importlib.import_module("tailrace").__file__).parents[1]
    missing = []
    for kind, name in ALL:
        folder = root / "tests" / f"{kind}s"
        if not (folder / f"test_{name}.py").exists() and not (folder / name).is_dir():
            missing.append(f"{kind} {name}")
    assert not missing
