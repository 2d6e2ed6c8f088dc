"""Plugins of a user's own: from -e, plugins_file, YAML `plugins` and installed packages, of every kind."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tailrace.config.errors import Place
from tailrace.config.load import load
from tailrace.config.source import Entry
from tailrace.engine.agent import Agent
from tailrace.engine.external import plugin_files
from tailrace.plugin import Output, OutputOptions, output_plugin, registry
from tailrace.testing import ListSink

ROOT = Path(__file__).parents[2]

PLUGINS = """
from tailrace.model import Chunk
from tailrace.plugin import *
from tailrace.plugin.parsing import FieldParser, ParsingOptions


class CountOptions(PollingOptions):
    until: int = 3


@input_plugin("count_up")
class CountUp(Input[CountOptions]):
    async def run(self, emit):
        bodies = [{"log": f"{number};line"} for number in range(self.options.until)]
        await emit(Chunk(self.tag, [0] * len(bodies), bodies))
        self.context.stop_agent()


@parser_plugin("semicolon")
class Semicolon(FieldParser[ParsingOptions]):
    def parse(self, lines):
        return self.finish([dict(zip(("number", "text"), line.split(";"))) for line in lines], False)


class UpperOptions(ProcessorOptions):
    key: str = "text"


@processor_plugin("upper")
class Upper(Processor[UpperOptions]):
    def process(self, chunk):
        for body in chunk.bodies:
            body[self.options.key] = body[self.options.key].upper()
        return chunk


@filter("no_ones")
def no_ones(body, *, digit: str = "1"):
    return body["number"] != digit


class LinesOptions(OutputOptions):
    path: str


@output_plugin("just_lines")
class JustLines(Output[LinesOptions]):
    async def flush(self, chunk):
        with open(self.options.path, "a") as file:
            file.writelines(f"{body['number']} {body['text']}\\n" for body in chunk.bodies)
"""

PIPELINE = """
pipeline:
  inputs:
    - name: count_up
      tag: t
      until: 4
  filters:
    - {name: parser, match: '*', key_name: log, parser: own}
    - {name: no_ones, match: '*', digit: '2'}
  outputs:
    - name: just_lines
      match: '*'
      path: out.txt
      processors:
        logs:
          - name: upper
          - name: no_ones
            digit: '3'
parsers:
  - {name: own, format: semicolon}
"""


def run(folder, *arguments, path=(), given=""):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *map(str, path)])}
    return subprocess.run(
        [sys.executable, "-c", "from tailrace.cli.main import main; main()", *arguments],
        cwd=folder,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGINS)
    (tmp_path / "c.yaml").write_text(PIPELINE)
    return tmp_path


def result(folder):
    return (folder / "out.txt").read_text().splitlines()


def test_every_kind_of_plugin_from_a_file_named_on_the_command_line(folder):
    done = run(folder, "-e", "mine.py", "-c", "c.yaml")
    assert done.returncode == 0, done.stderr
    assert result(folder) == ["0 LINE", "1 LINE"]


def test_plugins_named_in_yaml(folder):
    (folder / "c.yaml").write_text(PIPELINE + "plugins:\n  - mine.py\n")
    done = run(folder, "-c", "c.yaml")
    assert done.returncode == 0, done.stderr
    assert result(folder) == ["0 LINE", "1 LINE"]


def test_plugins_named_in_a_plugins_file(folder):
    (folder / "plugins.conf").write_text("[PLUGINS]\n    Path mine.py\n")
    (folder / "c.yaml").write_text("service:\n  plugins_file: plugins.conf\n" + PIPELINE)
    done = run(folder, "-c", "c.yaml")
    assert done.returncode == 0, done.stderr
    assert result(folder) == ["0 LINE", "1 LINE"]


def test_plugins_of_an_installed_package(folder):
    site = folder / "site"
    information = site / "mine-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "mine.py").rename(site / "mine_package.py")
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "".join(
            f"[tailrace.{kind}s]\n{name} = mine_package\n"
            for kind, name in (
                ("input", "count_up"),
                ("parser", "semicolon"),
                ("filter", "no_ones"),
                ("processor", "upper"),
                ("output", "just_lines"),
            )
        )
    )
    done = run(folder, "-c", "c.yaml", path=[site])
    assert done.returncode == 0, done.stderr
    assert result(folder) == ["0 LINE", "1 LINE"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_module", "no_such_module"),
        ("this is no Python", "SyntaxError"),
        (
            "from tailrace.plugin import filter\n@filter('x')\ndef x(a, b): pass",
            "must take one body",
        ),
    ],
)
def test_a_file_that_will_not_do_is_an_error_of_the_configuration(folder, text, said):
    (folder / "mine.py").write_text(text)
    done = run(folder, "-e", "mine.py", "-c", "c.yaml")
    assert done.returncode != 0
    assert said in done.stderr


def test_a_missing_file_is_named(folder):
    done = run(folder, "-e", "nowhere.py", "-i", "dummy", "-o", "null", "--dry-run")
    assert done.returncode != 0
    assert "nowhere.py" in done.stderr


# Examples


def test_the_python_example_runs():
    done = run(
        ROOT / "examples" / "python",
        *("-q", "-e", "slow.py", "-i", "stdin"),
        *("-F", "slow", "-m", "*", "-p", "seconds=1.5"),
        *("-o", "count_slow", "-m", "*", "-p", "every=2"),
        given='{"took": 2}\n{"took": 1}\n{"took": 3}\n',
    )
    assert done.stdout == "2 slow requests\n", done.stderr


def test_the_lua_example_runs():
    pytest.importorskip("lupa.luajit21")
    folder = ROOT / "examples" / "lua"
    lines = (folder / "access.jsonl").read_text()
    done = run(folder, "-q", "-c", "agent.conf", given=lines)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    for record in records:
        del record["date"]
    assert records == [
        {"path": "/", "took": 0.2, "bytes": 9007199254740993, "slow": False},
        {"path": "/report", "took": 3.5, "user": None, "slow": True},
        {"path": "/upload", "slow": True, "error": "disk full"},
        {"path": "/upload", "slow": True, "error": "retry failed"},
    ]


# Reload


def version(number, *, broken=False):
    return f"""
from tailrace.plugin import filter, Processor, ProcessorOptions, processor_plugin

@filter("stamp_version")
def stamp_version(body):
    body["filter"] = {number}

@processor_plugin("stamp_too")
class StampToo(Processor[ProcessorOptions]):
    def process(self, chunk):
        for body in chunk.bodies:
            body["processor"] = {number}
        return chunk
{"1 / 0" if broken else ""}
"""


RELOADED = """
service: {flush: 0.05, grace: 2, hot_reload: on}
plugins: [versions.py]
pipeline:
  inputs:
    - {name: dummy, tag: t, interval_sec: 0, interval_nsec: 20000000, processors: {logs: [{name: stamp_too}]}}
  filters:
    - {name: stamp_version, match: '*'}
  outputs:
    - {name: keep_versions, match: '*'}
"""


@output_plugin("keep_versions")
class KeepVersions(Output[OutputOptions]):
    got: set = set()  # noqa: RUF012

    async def flush(self, chunk):
        self.got.update((body["filter"], body["processor"]) for body in chunk.bodies)


def test_a_reload_imports_a_changed_file_anew_and_keeps_the_old_one_when_it_fails(tmp_path):
    (tmp_path / "c.yaml").write_text(RELOADED)
    file = tmp_path / "versions.py"

    async def until(holds):
        async with asyncio.timeout(20):
            while not holds():
                await asyncio.sleep(0.01)

    async def scenario():
        file.write_text(version(1))
        agent = Agent(lambda: load(str(tmp_path / "c.yaml"), None, {}), ListSink())
        agent._install_signals = lambda: None
        life = asyncio.ensure_future(agent.run())
        await until(lambda: (1, 1) in KeepVersions.got)
        output = agent.pipeline.plan.outputs[0].plugin
        file.write_text(version(2))
        assert (await agent.reload_and_wait()).status == 0
        await until(lambda: (2, 2) in KeepVersions.got)
        assert agent.pipeline.plan.outputs[0].plugin is output
        file.write_text(version(33333, broken=True))
        assert (await agent.reload_and_wait()).status != 0
        KeepVersions.got.clear()
        await until(lambda: (2, 2) in KeepVersions.got)
        assert registry.find("filter", "stamp_version").__module__ == "tailrace_plugin_versions"
        file.write_text(version(4))
        assert (await agent.reload_and_wait()).status == 0
        await until(lambda: (4, 4) in KeepVersions.got)
        agent.stop()
        await life

    asyncio.run(scenario())
    assert not any(33333 in pair for pair in KeepVersions.got)


def test_changed_plugin_files_are_watched(tmp_path):
    (tmp_path / "a.py").write_text("")
    entries = [Entry("path", name, Place("c.conf")) for name in ("a.py", "b.so", "nowhere.py")]
    assert plugin_files(entries, tmp_path) == [str(tmp_path / "a.py")]
