"""The configurations that the README and the pages show can be run."""

import re
from pathlib import Path

import pytest

from tailrace.cli.check import checked_file

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```(yaml|conf|ini)?\n(.*?)```", re.DOTALL)


def configurations():
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for number, (_, text) in enumerate(BLOCK.findall(page.read_text())):
            if re.search(r"(?m)^pipeline:", text):
                yield pytest.param(text, "yaml", id=f"{page.stem}-{number}")
            elif re.search(r"(?mi)^\[(input|output)\]", text):
                yield pytest.param(text, "conf", id=f"{page.stem}-{number}")


CASES = list(configurations())


@pytest.mark.parametrize(("text", "suffix"), CASES)
def test_a_configuration_has_no_errors(tmp_path, monkeypatch, text, suffix):
    monkeypatch.setenv("HOSTNAME", "h")
    path = tmp_path / f"a.{suffix}"
    path.write_text(text)
    problems = checked_file(str(path)).problems
    assert [str(problem) for problem in problems.errors] == []


def test_the_readme_shows_a_configuration():
    assert any(case.id.startswith("README") for case in CASES)
