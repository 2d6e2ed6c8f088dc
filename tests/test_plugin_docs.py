"""The plugins that docs/plugins.md shows work as they stand there, and pass the test it shows."""

import re
import sys
import types
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
FILTERS = [block for block in BLOCKS if "@filter" in block]


@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_a_filter_of_the_page_passes_the_test_of_the_page(number, monkeypatch):
    source = FILTERS[number]
    if "import" not in source:
        source = "from tailrace.plugin import filter\n" + source
    module = types.ModuleType(f"page_{number}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(source, module.__dict__)
    (test,) = [block for block in BLOCKS if "def test_" in block]
    exec(test, module.__dict__)
    for name, value in list(vars(module).items()):
        if name.startswith("test_"):
            value()


def test_the_page_shows_all_three_forms():
    assert len(FILTERS) == 3
