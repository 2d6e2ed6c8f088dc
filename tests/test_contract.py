"""What holds for every plugin, run over the registry."""

import asyncio
import importlib
import sys

import pytest

from tailrace.config.errors import InvalidConfiguration, Place, Problems
from tailrace.config.options import describe
from tailrace.config.source import Entry
from tailrace.plugin import registry
from tailrace.testing import FakeContext, chunk_of, make_plugin

KINDS = ("input", "parser", "filter", "processor", "output")
ALL = [(kind, name) for kind in KINDS for name in registry.names(kind)]
WITHOUT_OPTIONS = {
    ("filter", "nest"): "operation nest\nnest_under x\nwildcard a*",
    ("filter", "parser"): "key_name log\nparser p",
    ("filter", "multiline"): "multiline.parser java",
    ("filter", "rewrite_tag"): "rule $a ^x$ b false",
    ("filter", "checklist"): "file {tmp}/list.txt\nlookup_key a\nrecord b c",
    ("filter", "type_converter"): "int_key a b string",
    ("filter", "expect"): "key_exists a",
    ("filter", "throttle"): "rate 10",
    ("filter", "sysinfo"): "hostname_key h",
    ("processor", "sql"): {"query": "SELECT * FROM STREAM;"},
    ("processor", "content_modifier"): {"action": "insert", "key": "a", "value": "b"},
}


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


@pytest.fixture
def context(tmp_path):
    from tailrace.plugin.multiline import built_in

    from tailrace.testing import make_parser

    (tmp_path / "list.txt").write_text("x\n")
    return FakeContext(
        parsers={"p": make_parser("name p\nformat json")},
        multiline_parsers={"java": built_in("java")},
        config_dir=tmp_path,
    )


@pytest.mark.parametrize("name", registry.names("filter"))
def test_a_filter_gives_nothing_for_nothing(name, context, tmp_path):
    section = WITHOUT_OPTIONS.get(("filter", name), "")
    plugin = make_plugin("filter", name, section.format(tmp=tmp_path), context)
    assert plugin.process(chunk_of([])).count == 0


@pytest.mark.parametrize("name", registry.names("processor"))
def test_a_processor_gives_nothing_for_nothing(name, context):
    plugin = make_plugin("processor", name, WITHOUT_OPTIONS.get(("processor", name), ""), context)
    assert plugin.process(chunk_of([])).count == 0


@pytest.mark.parametrize(("kind", "name"), [pair for pair in ALL if pair[0] in ("input", "output")])
def test_stop_works_twice_and_without_start(kind, name, tmp_path):
    try:
        plugin = make_plugin(kind, name, "", FakeContext(config_dir=tmp_path))
    except InvalidConfiguration:
        pytest.skip("needs options")
    except Exception as error:
        assert type(error).__name__ == "ConfigError"  # noqa: PT017  # what it needs is said
        return

    async def scenario():
        await plugin.stop()
        await plugin.stop()

    asyncio.run(scenario())


def test_every_module_has_its_mirror():
    """`tailrace/filters/grep.py` is tested in `tests/filters/test_grep.py`, and so on for all plugins."""
    from pathlib import Path

    root = Path(importlib.import_module("tailrace").__file__).parents[1]
    missing = []
    for kind, name in ALL:
        folder = root / "tests" / f"{kind}s"
        if not (folder / f"test_{name}.py").exists() and not (folder / name).is_dir():
            missing.append(f"{kind} {name}")
    assert not missing
