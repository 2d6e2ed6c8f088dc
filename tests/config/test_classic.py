"""The classic format: sections, entries, variables, includes, and every mistake with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config import classic
from tailrace.config.errors import Problems
from tailrace.config.variables import Variables


def read(tmp_path, text, environ=None, name="agent.conf"):
    (tmp_path / name).write_text(text)
    problems = Problems()
    result = classic.read(tmp_path / name, Variables(environ or {}), problems)
    sections = [
        (section.kind, [(entry.key, entry.value) for entry in section])
        for section in result.sections
    ]
    return sections, [str(problem).replace(str(tmp_path) + "/", "") for problem in problems]


def test_sections_hold_entries_with_the_rest_of_the_line_as_value(tmp_path):
    text = "# first\n[INPUT]\n    Name  tail # not a comment\n\n    # one\n    path\t/a b\n[output]\n  name null\n"
    assert read(tmp_path, text) == (
        [
            ("input", [("Name", "tail # not a comment"), ("path", "/a b")]),
            ("output", [("name", "null")]),
        ],
        [],
    )


def test_a_variable_takes_its_value_from_set_then_the_environment_then_its_default(tmp_path):
    text = "@SET A=1\n[X]\n k ${A} ${B} ${C:-c} ${D} $E ${F\n"
    assert read(tmp_path, text, {"A": "0", "B": "2", "C": ""})[0] == [
        ("x", [("k", "1 2 c  $E ${F")])
    ]


def test_set_may_stand_behind_what_uses_it_and_the_last_counts(tmp_path):
    text = "@SET A=1\n[X]\n k ${A}${B}\n@SET A=2\n@SET B=3\n"
    assert read(tmp_path, text, {})[0] == [("x", [("k", "23")])]


def test_includes_take_wildcards_and_name_variables(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/b.conf").write_text("[B]\n k 1\n")
    (tmp_path / "parts/a.conf").write_text("[A]\n k 1\n")
    sections, problems = read(tmp_path, "@INCLUDE ${WHERE}/*.conf\n[C]\n k 1\n", {"WHERE": "parts"})
    assert ([kind for kind, _ in sections], problems) == (["a", "b", "c"], [])


def test_an_included_file_is_looked_for_beside_the_main_file_first(tmp_path):
    for folder, key in (("deep", "main"), ("parts/deep", "nested"), ("parts", "only")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / f"{key if key == 'only' else 'b'}.inc").write_text(f"[{key}]\n k 1\n")
    (tmp_path / "parts/a.conf").write_text("@INCLUDE deep/b.inc\n@INCLUDE only.inc\n")
    sections, problems = read(tmp_path, "@INCLUDE parts/a.conf\n", {})
    assert ([kind for kind, _ in sections], problems) == (["main", "only"], [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[INPUT]\nname x\n", "agent.conf:2:1: 'name x' is not indented."),
        ("[INPUT]\n  name x\n   tag y\n", "agent.conf:3:4: 'tag y' is indented otherwise"),
        ("[INPUT]\n  name\n", "agent.conf:2:3: 'name' has no value. Write: key value."),
        ("[INPUT\n  name x\n", "agent.conf:1:1: '[INPUT' is no section. Write it as: [INPUT]."),
        ("  [INPUT]\n", "agent.conf:1:3: '[INPUT]' is indented. The head of a section"),
        ("[INPUT]\n  name x\n  [OUTPUT]\n", "agent.conf:3:3: '[OUTPUT]' is indented."),
        ("  name x\n", "agent.conf:1:3: 'name x' stands in no section."),
        ("@INCLUDE nowhere.conf\n", "the included file 'nowhere.conf' is not there"),
        ("@INCLUDE agent.conf\n", "includes itself"),
        ("@SET x\n", "'@SET x' sets nothing"),
        ("@DO x\n", "'@DO' is not known"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, expected):
    _, problems = read(tmp_path, text)
    assert any(expected in problem for problem in problems), problems


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path):
    text = "[SERVICE\n  flush\n[INPUT]\n  name dummy\n    tag x\nalone y\n[OUTPUT]\n  name\n"
    _, problems = read(tmp_path, text)
    lines = [int(problem.split(":")[1]) for problem in problems]
    assert lines == [1, 2, 5, 6, 8]


def test_a_missing_file_is_a_problem(tmp_path):
    problems = Problems()
    classic.read(tmp_path / "none.conf", Variables({}), problems)
    assert "none.conf can't be read: No such file" in str(problems.found[0])


@given(st.text(max_size=200))
def test_any_text_gives_sections_or_problems(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "x.conf"
    path.write_text(text, "utf-8", "surrogateescape")
    problems = Problems()
    assert classic.read(path, Variables({}), problems) is not None
