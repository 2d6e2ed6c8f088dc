"""`tailrace convert`."""

import pytest

from tailrace.cli.main import run
from tailrace.config.load import load

CLASSIC = "[SERVICE]\n    flush 2\n[INPUT]\n    name dummy\n    tag app\n[OUTPUT]\n    name null\n    match *\n"


@pytest.fixture
def classic(tmp_path):
    path = tmp_path / "a.conf"
    path.write_text(CLASSIC)
    return path


def sections(path):
    configuration, problems = load(path, None, {})
    assert not problems.errors
    return [
        {entry.name: entry.value for entry in section}
        for section in (configuration.service, *configuration.inputs, *configuration.outputs)
    ]


def test_a_classic_file_becomes_yaml_on_standard_output(classic, tmp_path, capsys):
    assert run(["convert", str(classic)]) == 0
    converted = tmp_path / "b.yaml"
    converted.write_text(capsys.readouterr().out)
    assert sections(converted) == sections(classic)


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_a_yaml_file_becomes_classic(classic, tmp_path, suffix):
    middle, end = tmp_path / f"b.{suffix}", tmp_path / "c.conf"
    assert run(["convert", str(classic), "-o", str(middle)]) == 0
    assert run(["convert", str(middle), "-o", str(end)]) == 0
    assert "[INPUT]" in end.read_text()
    assert sections(end) == sections(classic)


def test_the_target_may_be_the_same_format(classic, capsys):
    assert run(["convert", str(classic), "--to", "classic"]) == 0
    assert "[INPUT]" in capsys.readouterr().out


def test_an_output_file_leaves_standard_output_empty(classic, tmp_path, capsys):
    assert run(["convert", str(classic), "-o", str(tmp_path / "b.yaml")]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_file_that_is_not_there_is_an_error(tmp_path, capsys):
    assert run(["convert", str(tmp_path / "none.conf")]) == 1
    out, error = capsys.readouterr()
    assert (out, "none.conf" in error) == ("", True)


def test_what_can_not_be_read_is_told_and_nothing_is_written(tmp_path, capsys):
    bad, target = tmp_path / "a.yaml", tmp_path / "b.conf"
    bad.write_text("pipeline: [")
    assert run(["convert", str(bad), "-o", str(target)]) == 1
    assert "error: " in capsys.readouterr().err
    assert not target.exists()


def test_what_classic_can_not_say_is_told(tmp_path, capsys):
    path = tmp_path / "a.yaml"
    path.write_text(
        "pipeline:\n  inputs:\n    - name: dummy\n      processors:\n        logs:\n"
        "          - {name: sql, query: 'SELECT a FROM STREAM;'}\n"
    )
    assert run(["convert", str(path)]) == 1
    out, error = capsys.readouterr()
    assert (out, error.startswith("tailrace: ")) == ("", True)


def test_a_target_that_can_not_be_written_is_told(classic, tmp_path, capsys):
    target = tmp_path / "none" / "b.yaml"
    assert run(["convert", str(classic), "-o", str(target)]) == 1
    assert (
        capsys.readouterr().err
        == f"tailrace: '{target}' can't be written: No such file or directory.\n"
    )
