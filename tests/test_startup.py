"""What a start imports: each library costs milliseconds and memory, so those that nothing asked for stay away."""

import subprocess
import sys

import pytest

from tailrace.cli import main

ALWAYS_LATE = {
    "yaml",
    "msgspec",
    "httptools",
    "h2",
    "regex",
    "isal",
    "cramjam",
    "sqlite3",
    "random",
}
ENGINE_PARTS = {
    "tailrace.engine.storage", "tailrace.engine.persistence", "tailrace.engine.telemetry", "tailrace.engine.control",
    "tailrace.model.regex", "tailrace.model.metrics", "tailrace.api", "tailrace.wire.msgpack",
}  # fmt: skip


def modules_after(code, *arguments):
    """The modules that a fresh interpreter has imported after `code`."""
    code += "\nimport sys\nprint(*sorted(sys.modules), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


RUN = "import sys\nfrom tailrace.cli.main import run\nassert run(sys.argv[1:]) == 0"


def imported(names, found):
    return {name for name in names if name in found}


def test_the_version_needs_next_to_nothing():
    found = modules_after(RUN, "--version")
    assert not imported(
        {"asyncio", "tailrace.config", "tailrace.engine", "orjson", "re"}, found - {"re"}
    )
    assert main.__name__ in found


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "in.log"
    path.write_text('{"a":1}\n')
    return str(path)


def tail_to(lines, *outputs):
    tail = ["-i", "tail", "-p", f"path={lines}", "-p", "read_from_head=on", "-p", "exit_on_eof=on"]
    return modules_after(RUN, *tail, *outputs, "-m", "*", "-q", "-f", "0.1")


def test_raw_lines_to_null_need_no_format(lines):
    found = tail_to(lines, "-o", "null")
    assert not imported(ALWAYS_LATE | ENGINE_PARTS | {"orjson", "msgpack", "json"}, found)


def test_only_plugins_that_are_named_are_imported(lines):
    found = tail_to(lines, "-o", "file", "-p", f"path={lines}.d", "-p", "mkdir=on")
    kinds = ("inputs", "filters", "outputs", "processors", "parsers")
    plugins = {
        name for name in found if name.startswith("tailrace.") and name.split(".")[1] in kinds
    }
    assert {".".join(name.split(".")[1:3]) for name in plugins} == {
        "inputs", "inputs.tail", "outputs", "outputs.file",
    }  # fmt: skip
    assert not imported(ALWAYS_LATE - {"msgspec"} | ENGINE_PARTS - {"tailrace.wire.msgpack"}, found)


def test_dummy_to_stdout_needs_no_more_than_json():
    code = RUN.replace(
        "assert",
        "import signal, threading, os\nthreading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()\nassert",
    )
    found = modules_after(code, "-i", "dummy", "-o", "null", "-m", "*", "-q")
    assert not imported(ALWAYS_LATE | ENGINE_PARTS, found)
