"""A whole configuration: files of parsers, plugins, streams, upstreams, and the command line."""

import pytest

from tailrace.config.arguments import parse
from tailrace.config.load import load, read_upstream


def test_parsers_files_add_up_and_are_found_beside_the_configuration(tmp_path):
    (tmp_path / "p.conf").write_text("[PARSER]\n name one\n format json\n")
    (tmp_path / "q.yaml").write_text("parsers: [{name: two, format: json}]")
    (tmp_path / "a.conf").write_text("[SERVICE]\n parsers_file p.conf\n parsers_file q.yaml\n")
    made, problems = load(tmp_path / "a.conf", None, {})
    assert ([section.text("name") for section in made.parsers], problems.found) == (
        ["one", "two"],
        [],
    )


def test_well_known_parsers_take_the_place_of_a_parsers_conf_that_is_not_there(tmp_path):
    (tmp_path / "a.conf").write_text("[SERVICE]\n parsers_file parsers.conf\n")
    made, problems = load(tmp_path / "a.conf", None, {})
    assert not problems
    assert {"apache2", "nginx", "json", "syslog-rfc5424", "cri"} <= {
        section.text("name") for section in made.parsers
    }


def test_another_missing_parsers_file_is_an_error(tmp_path):
    (tmp_path / "a.conf").write_text("[SERVICE]\n parsers_file my.conf\n")
    _, problems = load(tmp_path / "a.conf", None, {})
    assert "parsers_file 'my.conf' is not there" in str(problems.errors[0])


def test_an_unknown_section_is_a_warning_with_a_suggestion(tmp_path):
    (tmp_path / "a.conf").write_text("[OUPUT]\n name x\n")
    _, problems = load(tmp_path / "a.conf", None, {})
    assert "Did you mean 'output'?" in str(problems.found[0])
    assert not problems.errors


def test_the_command_line_adds_plugins_and_overrides_the_service(tmp_path):
    (tmp_path / "a.conf").write_text("[SERVICE]\n flush 5\n[INPUT]\n name one\n")
    made, _ = load(
        tmp_path / "a.conf",
        parse(["-f", "0.2", "-i", "two", "-t", "x", "-T", "SELECT * FROM STREAM:a;"]),
        {},
    )
    assert made.service.text("flush") == "0.2"
    assert [section.text("name") for section in made.inputs] == ["one", "two"]
    assert made.stream_tasks[0].text("exec").startswith("SELECT")


def test_an_upstream_file_gives_nodes(tmp_path):
    path = tmp_path / "up.conf"
    path.write_text("[UPSTREAM]\n name pair\n[NODE]\n name a\n host h\n[NODE]\n name b\n")
    (upstream,), problems = read_upstream(path)
    assert (
        upstream.text("name"),
        [node.text("name") for node in upstream.children],
        problems.found,
    ) == ("pair", ["a", "b"], [])


def test_variables_stand_for_their_values_in_an_upstream_file(tmp_path):
    path = tmp_path / "up.conf"
    path.write_text("[UPSTREAM]\n name pair\n[NODE]\n name a\n host ${WHERE}\n")
    (upstream,), _ = read_upstream(path, {"WHERE": "h"})
    assert upstream.children[0].text("host") == "h"


@pytest.mark.parametrize(
    ("name", "text", "upstream", "nodes"),
    [
        (
            "up.conf",
            "[NODE]\n name a\n[UPSTREAM]\n name one\n[UPSTREAM]\n name two\n[NODE]\n name b\n",
            "one",
            ["a", "b"],
        ),
        (
            "up.yaml",
            "upstream_servers:\n"
            "  - {name: one, nodes: [{name: a}]}\n"
            "  - {name: two, nodes: [{name: b}]}\n",
            "two",
            ["b"],
        ),
    ],
)
def test_of_several_upstreams_in_a_file_one_counts(tmp_path, name, text, upstream, nodes):
    path = tmp_path / name
    path.write_text(text)
    (found,), problems = read_upstream(path)
    assert (found.text("name"), [node.text("name") for node in found.children]) == (upstream, nodes)
    assert [problem.severity for problem in problems] == ["warning"]


@pytest.mark.parametrize(
    ("text", "why"),
    [("[NODE]\n name a\n", "no upstream"), ("[UPSTREAM]\n x y\n[NODE]\n name a\n", "no name")],
)
def test_a_file_without_a_named_upstream_is_an_error(tmp_path, text, why):
    path = tmp_path / "up.conf"
    path.write_text(text)
    assert why in str(read_upstream(path)[1].errors[0])
