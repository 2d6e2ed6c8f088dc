"""The command line."""

import pytest

from tailrace.config.arguments import ArgumentsError, parse
from tailrace.config.load import load


def plugins(argv):
    return [(s.kind, [(e.key, e.value) for e in s]) for s in parse(argv).sections]


def test_properties_belong_to_the_plugin_named_last():
    assert plugins(["-i", "a", "-t", "x", "-p", "k=v=w", "-o", "b", "-m", "*"]) == [
        ("input", [("name", "a"), ("tag", "x"), ("k", "v=w")]),
        ("output", [("name", "b"), ("match", "*")]),
    ]


@pytest.mark.parametrize("argv", [["-f", "2"], ["-f2"], ["--flush=2"], ["--flush", "2"]])
def test_a_value_may_be_attached_or_follow(argv):
    assert [(e.key, e.value) for e in parse(argv).service] == [("flush", "2")]


def test_switches_may_stand_together():
    made = parse(["-vv", "-DH"])
    assert made.dry_run
    assert [(e.key, e.value) for e in made.service] == [
        ("http_server", "on"),
        ("log_level", "trace"),
    ]


@pytest.mark.parametrize(
    "argv", [["-i", "tail", "-h"], ["-i", "dummy", "-o", "x", "-i", "tail", "-h"]]
)
def test_help_behind_a_plugin_is_that_plugins(argv):
    assert parse(argv).help_plugin == ("input", "tail")


def test_a_processor_is_named_for_its_help_alone():
    assert parse(["-r", "sql", "-h"]).help_plugin == ("processor", "sql")


def test_the_http_servers_address_has_a_short_flag():
    assert [(e.key, e.value) for e in parse(["-L", "::1"]).service] == [("http_listen", "::1")]


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--flsh", "1"], "Did you mean 'flush'?"),
        (["-x"], "there is no flag '-x'"),
        (["agent.conf"], "a configuration is given with -c FILE"),
        (["-f"], "-f needs a value"),
        (["-p", "a=b"], "give -i, -F or -o first"),
        (["--sosreport"], "there is no report"),
        (["-r", "sql"], "add -h"),
    ],
)
def test_a_mistake_is_said_with_its_mend(argv, expected):
    with pytest.raises(ArgumentsError, match=expected.replace("?", r"\?")):
        parse(argv)


def test_a_trace_is_given_in_one_text():
    trace = parse(["--trace", "input=dummy.0 output=stdout output.format='json_lines'"]).trace
    assert (trace.input, trace.output, trace.properties) == (
        "dummy.0",
        "stdout",
        {"format": "json_lines"},
    )


def test_a_trace_is_given_by_flags():
    argv = ["--trace-input", "a", "--trace-output=file", "--trace-output-property", "path=/x=y"]
    trace = parse(argv).trace
    assert (trace.input, trace.output, trace.properties) == ("a", "file", {"path": "/x=y"})


@pytest.mark.parametrize(
    "argv",
    [
        ["--trace", "inputt=a"],
        ["--trace", "a"],
        ["--trace", "input='a"],
        ["--trace-output-property", "x"],
    ],
)
def test_a_trace_that_makes_no_sense_is_refused(argv):
    with pytest.raises(ArgumentsError):
        parse(argv)


def test_a_property_without_a_value_is_passed_over_with_a_warning():
    made, problems = load(None, parse(["-i", "x", "-p", "ab", "-o", "y"]), {})
    assert [entry.name for entry in made.inputs[0]] == ["name"]
    [problem] = problems
    assert (problem.severity, problem.mend) == ("warning", "Write it as: -p key=value.")
