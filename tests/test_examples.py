"""Every example in a filter's or processor's docstring is true.

An example is `key value` lines, a blank line, then lines `INPUT  ->  OUTPUT`: bodies as JSON, the output a body or `dropped`.
"""

import inspect
import re
import sys

import orjson
import pytest

from tailrace.plugin import registry
from tailrace.testing import FakeContext, run_filter

ARROW = re.compile(r"\s+->\s+")


def examples(kind):
    for name in registry.names(kind):
        text = inspect.cleandoc(sys.modules[registry.find(kind, name).__module__].__doc__ or "")
        for block in re.split(r"(?m)^Example:\n", text)[1:]:
            lines = []
            for line in block.split("\n"):
                if line and not line.startswith(" "):
                    break
                lines.append(line.strip())
            pairs = [ARROW.split(line, maxsplit=1) for line in lines if ARROW.search(line)]
            config = [line for line in lines if line and not ARROW.search(line)]
            config = [line for line in config if not re.match(r"(?i)(name|match)\s*:?\s", line)]
            if pairs:
                yield pytest.param(kind, name, config, pairs, id=f"{kind}-{name}")


CASES = [case for kind in ("filter", "processor") for case in examples(kind)]


@pytest.mark.parametrize(("kind", "name", "config", "pairs"), CASES)
def test_an_example_is_true(kind, name, config, pairs):
    section = "\n".join(
        line.replace(": ", " ", 1) if kind == "processor" else line for line in config
    )
    for given, expected in pairs:
        out = run_filter(name, section, orjson.loads(given), kind=kind, context=FakeContext())
        wanted = [] if expected == "dropped" else [orjson.loads(expected)]
        assert out == wanted
        assert [list(body) for body in out] == [list(body) for body in wanted]


def test_there_are_examples():
    assert CASES
