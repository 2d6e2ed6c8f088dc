"""`tailrace new filter|processor|input|parser|output NAME`: write a plugin with its test; both work as they stand."""

from __future__ import annotations

import argparse
import keyword
import sys
from pathlib import Path

FILTER = '''"""Say in one sentence what this filter does.

Example:
    Name  {name}
    Match *
    Key   seen_by

    {{"message": "hi"}}  ->  {{"message": "hi", "seen_by": "{name}"}}
"""

from tailrace.config import option
from tailrace.model import Chunk
from tailrace.plugin import Filter, FilterOptions, filter_plugin


class {title}Options(FilterOptions):
    key: str = option("seen_by")
    """Name of the field to add."""


@filter_plugin("{name}")
class {title}(Filter[{title}Options]):
    def process(self, chunk: Chunk) -> Chunk:
        key = self.options.key
        for body in chunk.bodies:
            body[key] = "{name}"
        return chunk
'''

INPUT = '''"""Say in one sentence what this input reads.

Example:
    Name         {name}
    Interval_Sec 1
"""

from tailrace.config import option
from tailrace.model import Body
from tailrace.plugin import PollingInput, PollingOptions, input_plugin


class {title}Options(PollingOptions):
    message: str = option("hello")
    """Text of each event."""


@input_plugin("{name}")
class {title}(PollingInput[{title}Options]):
    def collect(self) -> list[Body]:
        return [{{"message": self.options.message}}]
'''

OUTPUT = '''"""Say in one sentence where this output delivers.

Example:
    Name  {name}
    Match *
    Path  events.jsonl
"""

from pathlib import Path

from tailrace.model import Chunk
from tailrace.plugin import Output, OutputOptions, Retry, output_plugin
from tailrace.wire import json


class {title}Options(OutputOptions):
    path: Path
    """The file to append to."""


@output_plugin("{name}")
class {title}(Output[{title}Options]):
    async def flush(self, chunk: Chunk) -> None:
        lines = json.encode_lines(chunk.bodies)
        try:
            with self.options.path.open("ab") as file:
                file.write(b"\\n".join(lines) + b"\\n")
        except OSError as error:
            raise Retry(f"{{self.options.path}}: {{error.strerror}}") from error
'''

PROCESSOR = '''"""Say in one sentence what this processor does.

Example:
    name: {name}
    key: seen_by

    {{"message": "hi"}}  ->  {{"message": "hi", "seen_by": "{name}"}}
"""

from tailrace.config import option
from tailrace.model import Chunk
from tailrace.plugin import Processor, ProcessorOptions, processor_plugin


class {title}Options(ProcessorOptions):
    key: str = option("seen_by")
    """Name of the field to add."""


@processor_plugin("{name}")
class {title}(Processor[{title}Options]):
    def process(self, chunk: Chunk) -> Chunk:
        key = self.options.key
        for body in chunk.bodies:
            body[key] = "{name}"
        return chunk
'''

PARSER = '''"""Say in one sentence what this parser reads.

Example:
    [PARSER]
        Name   my_lines
        Format {name}
"""

from collections.abc import Sequence

from tailrace.config import option
from tailrace.model import Body
from tailrace.plugin import Parsed, parser_plugin
from tailrace.plugin.parsing import FieldParser, ParsingOptions


class {title}Options(ParsingOptions):
    separator: str = option("|")
    """What stands between a line's level and its message."""


@parser_plugin("{name}")
class {title}(FieldParser[{title}Options]):
    def parse(self, lines: Sequence[str]) -> Parsed:
        return self.finish([self.body(line) for line in lines], drop_bad=False)

    def body(self, line: str) -> Body | None:
        """None: the line does not parse."""
        level, found, message = line.partition(self.options.separator)
        return {{"level": level, "message": message}} if found else None
'''

TESTS = {
    "filter": '''"""The filter {name}."""

{imports}from tailrace.testing import run_filter


def test_adds_the_field():
    assert run_filter("{name}", "key who", {{"n": 1}}) == [{{"n": 1, "who": "{name}"}}]
''',
    "input": '''"""The input {name}."""

{imports}from tailrace.testing import run_input


def test_emits_the_message():
    chunks = run_input("{name}", "message hi", until=2)
    assert chunks[0].bodies == [{{"message": "hi"}}]
''',
    "processor": '''"""The processor {name}."""

{imports}from tailrace.testing import run_filter


def test_adds_the_field():
    out = run_filter("{name}", "key who", {{"n": 1}}, kind="processor")
    assert out == [{{"n": 1, "who": "{name}"}}]
''',
    "parser": '''"""The parser {name}."""

{imports}from tailrace.testing import make_parser


def test_splits_a_line_at_the_separator():
    parser = make_parser("name p\\nformat {name}\\nseparator ;")
    assert parser.parse(["warn;slow", "?"]).bodies == [{{"level": "warn", "message": "slow"}}, None]
''',
    "output": '''"""The output {name}."""

{imports}from tailrace.testing import run_output


def test_appends_a_line_per_event(tmp_path):
    path = tmp_path / "out.jsonl"
    run_output("{name}", f"path {{path}}", {{"n": 1}}, {{"n": 2}})
    assert path.read_text() == '{{"n":1}}\\n{{"n":2}}\\n'
''',
}
SOURCES = {
    "filter": FILTER,
    "processor": PROCESSOR,
    "input": INPUT,
    "parser": PARSER,
    "output": OUTPUT,
}


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("tailrace new", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", choices=tuple(SOURCES))
    parser.add_argument("name", help="the plugin's name: lower case letters, digits, underscores")
    parser.add_argument("--directory", default=".", help="where to write (default: here)")
    parser.add_argument(
        "--builtin",
        action="store_true",
        help="write into a checkout of Tailrace itself, with a changelog fragment",
    )
    arguments = parser.parse_args(argv)
    name = arguments.name
    if not name.isidentifier() or name != name.lower() or keyword.iskeyword(name):
        print(
            f"tailrace: '{name}' is no plugin name. Use lower case letters, digits and _.",
            file=sys.stderr,
        )
        return 1
    files = files_for(arguments.kind, name, Path(arguments.directory), arguments.builtin)
    taken = [path for path in files if path.exists()]
    if taken:
        print(f"tailrace: {taken[0]} is there already; nothing was written.", file=sys.stderr)
        return 1
    try:
        write(files)
    except OSError as error:
        print(f"tailrace: '{error.filename}' can't be written: {error.strerror}.", file=sys.stderr)
        return 1
    return 0


def write(files: dict[Path, str]) -> None:
    """Write the texts, making missing folders."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"wrote {path}")


def files_for(kind: str, name: str, root: Path, builtin: bool) -> dict[Path, str]:
    """The texts of a new plugin's files by path."""
    title = "".join(part.capitalize() for part in name.split("_"))
    source = SOURCES[kind].format(name=name, title=title)
    if builtin:
        test = TESTS[kind].format(name=name, imports="")
        return {
            root / "tailrace" / f"{kind}s" / f"{name}.py": source,
            root / "tests" / f"{kind}s" / f"test_{name}.py": test,
            root / "changelog.d" / f"{kind}-{name}.feature.md": f"New {kind} `{name}`.\n",
        }
    test = TESTS[kind].format(
        name=name, imports=f"import {name}  # noqa: F401  # registers the plugin\n\n"
    )
    return {root / f"{name}.py": source, root / f"test_{name}.py": test}
