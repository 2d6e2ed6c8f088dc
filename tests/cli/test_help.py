"""`tailrace -h` and the help of a plugin."""

import re

import pytest

from tailrace.cli.help import option_lines, plugin_doc, summary
from tailrace.cli.main import SUBCOMMANDS, run
from tailrace.config.arguments import parse
from tailrace.config.options import Described, describe
from tailrace.plugin import registry

VALUES = {"--trace": "input=dummy.0 output=stdout"}
"""What an option is given; `tag=1` otherwise."""


@pytest.fixture
def help_of(capsys):
    """The exit code, the text and the errors of a command."""

    def helped(*arguments):
        code = run(list(arguments))
        return code, *capsys.readouterr()

    return helped


def described(**given):
    defaults = {"default": None, "help": "", "many": False, "required": False, "secret": False}
    return Described(**{"name": "x", "type": "text", **defaults, **given})


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_goes_to_standard_output(help_of, flag):
    code, out, error = help_of(flag)
    assert (code, error) == (0, "")
    assert out.startswith("Usage: tailrace ")


def test_every_option_that_the_help_names_is_taken(help_of):
    _, out, _ = help_of("-h")
    flags = re.findall(r"^ {2,6}(?:(-\w), +)?(--[\w-]+)(=?)", out, re.MULTILINE)
    assert len(flags) > 20
    for short, long, takes_value in flags:
        for flag in filter(None, (short, long)):
            parse(["-i", "dummy", flag, *([VALUES.get(flag, "tag=1")] if takes_value else [])])


def test_every_subcommand_stands_in_the_help_or_is_for_developers(help_of):
    _, out, _ = help_of("-h")
    assert set(SUBCOMMANDS) - {"docs"} <= set(re.findall(r"\b[a-z]+\b", out))


@pytest.mark.parametrize(("flag", "name"), [("-i", "dummy"), ("-F", "grep"), ("-o", "file")])
def test_the_help_of_a_plugin_has_its_text_and_all_its_options(help_of, flag, name):
    code, out, _ = help_of(flag, name, "-h")
    kind = {"-i": "input", "-F": "filter", "-o": "output"}[flag]
    options = describe(registry.options_class(registry.find(kind, name)))
    assert code == 0
    assert out.startswith(f"{kind} {name}\n\n{plugin_doc(kind, name)}\n")
    assert [each.name for each in options] == re.findall(r"^  (\S+)  \(", out, re.MULTILINE)


def test_a_plugin_of_ones_own_has_its_help_too(help_of, tmp_path):
    file = tmp_path / "loud.py"
    file.write_text(
        "from tailrace.plugin import filter\n\n"
        '@filter("loud_help")\ndef loud(body, *, factor: float = 1.0):\n    """Make it loud."""\n'
    )
    registered = registry.snapshot()
    try:
        code, out, error = help_of("-e", str(file), "-F", "loud_help", "-h")
    finally:
        registry.restore(registered)
    assert (code, error) == (0, "")
    assert "factor  (" in out
    assert "no such file" in help_of("-e", f"{tmp_path}/none.py", "-F", "grep", "-h")[2]


def test_an_unknown_plugin_is_told_with_a_hint(help_of):
    code, out, error = help_of("-i", "dumy", "-h")
    assert (code, out) == (1, "")
    assert error.startswith("tailrace: there is no input plugin 'dumy'")
    assert "dummy" in error


@pytest.mark.parametrize(
    ("option", "head"),
    [
        (described(), "  x  (text)"),
        (described(default=""), "  x  (text)"),
        (described(default=5), "  x  (text, default: 5)"),
        (described(default=0), "  x  (text, default: 0)"),
        (described(default=True), "  x  (text, default: on)"),
        (described(default=False), "  x  (text, default: off)"),
        (described(required=True), "  x  (text, must be given)"),
        (described(many=True, default=[]), "  x  (text, may be given many times)"),
    ],
)
def test_an_option_says_what_it_takes(option, head):
    assert option_lines(option)[0] == head


def test_a_long_help_is_wrapped_and_indented():
    [_, text, end] = option_lines(described(help="word " * 60))
    lines = text.split("\n")
    assert len(lines) > 3
    assert all(line.startswith("      word") and len(line) <= 76 for line in lines)
    assert end == ""


def test_a_summary_is_the_first_line_of_the_text():
    assert summary("input", "dummy") == "Make events of a given text, to try a pipeline out."


def test_the_summary_of_a_plugin_that_can_not_be_loaded_names_what_it_needs(monkeypatch):
    def missing(kind, name):
        raise ModuleNotFoundError("No module named 'ghost'", name="ghost")

    monkeypatch.setattr(registry, "find", missing)
    assert summary("input", "haunted") == "(needs the Python module 'ghost')"


def test_the_version_names_both_programs(help_of):
    code, out, _ = help_of("-V")
    assert code == 0
    assert re.fullmatch(r"Tailrace v\d+\.\d+\.\d+\ncompatible with Fluent Bit v5\.1\.1\n", out)
