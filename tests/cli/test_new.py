"""`tailrace new`: what it writes works as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest

from tailrace.cli.main import run

KINDS = ["filter", "processor", "input", "parser", "output"]
ROOT = Path(__file__).parents[2]


def new(folder, *arguments):
    return run(["new", *arguments, "--directory", str(folder)])


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_of_a_new_plugin_passes(kind, tmp_path):
    assert new(tmp_path, kind, f"my_{kind}") == 0
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_clean(kind, tmp_path):
    new(tmp_path, kind, f"my_{kind}")
    for check in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *check, "--no-cache"]
        config = ["--config", str(ROOT / "pyproject.toml")]
        done = subprocess.run(
            [*command, *config, f"{tmp_path}/my_{kind}.py"],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stdout


def test_files_are_named_after_the_plugin_and_told(tmp_path, capsys):
    assert new(tmp_path, "filter", "blue_dye") == 0
    assert files_in(tmp_path) == ["blue_dye.py", "test_blue_dye.py"]
    assert "class BlueDye(Filter[BlueDyeOptions])" in (tmp_path / "blue_dye.py").read_text()
    assert capsys.readouterr().out == "".join(
        f"wrote {tmp_path / name}\n" for name in ("blue_dye.py", "test_blue_dye.py")
    )


def test_a_builtin_plugin_gets_its_place_its_test_and_its_fragment(tmp_path):
    assert new(tmp_path, "output", "blue_dye", "--builtin") == 0
    assert files_in(tmp_path) == [
        "changelog.d/output-blue_dye.feature.md",
        "tailrace/outputs/blue_dye.py",
        "tests/outputs/test_blue_dye.py",
    ]
    assert "import blue_dye" not in (tmp_path / "tests/outputs/test_blue_dye.py").read_text()


@pytest.mark.parametrize("name", ["Blue", "blue-dye", "../up", "1st", "", "a b", "a/b", "class"])
def test_what_is_no_name_is_refused(name, tmp_path, capsys):
    assert new(tmp_path, "filter", name) == 1
    assert "is no plugin name" in capsys.readouterr().err
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("there", ["blue.py", "test_blue.py"])
def test_nothing_is_overwritten(there, tmp_path, capsys):
    (tmp_path / there).write_text("mine")
    assert new(tmp_path, "filter", "blue") == 1
    assert "is there already; nothing was written" in capsys.readouterr().err
    assert files_in(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_folder_that_can_not_be_written_is_told(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert new(tmp_path / "file", "filter", "blue") == 1
    assert "can't be written" in capsys.readouterr().err


def test_an_unknown_kind_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        new(tmp_path, "gadget", "blue")
    assert caught.value.code == 2
    assert "gadget" in capsys.readouterr().err
