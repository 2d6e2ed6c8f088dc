"""The YAML format: every scalar as it was written, places, processors, includes, limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.load import load


def read(tmp_path, text, environ=None):
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    made, problems = load(path, None, environ or {})
    return made, [str(problem).replace(str(tmp_path) + "/", "") for problem in problems]


def test_scalars_stay_as_they_were_written(tmp_path):
    made, _ = read(
        tmp_path,
        "pipeline: {inputs: [{name: x, a: on, b: 010, c: 12:30, d: '5', e: 1.50, f: null}]}",
    )
    assert {entry.key: entry.value for entry in made.inputs[0]} == {
        "name": "x",
        "a": "on",
        "b": "010",
        "c": "12:30",
        "d": "5",
        "e": "1.50",
        "f": "null",
    }


def test_every_entry_knows_its_line_and_column(tmp_path):
    made, _ = read(tmp_path, "pipeline:\n  inputs:\n    - name: x\n      tag: y\n")
    assert str(made.inputs[0].last("tag").place).endswith("agent.yaml:4:7")


def test_processors_are_children_in_order_with_their_signal(tmp_path):
    text = "pipeline: {inputs: [{name: x, processors: {logs: [{name: a}, {name: b}], metrics: [{name: c}]}}]}"
    made, _ = read(tmp_path, text)
    assert [(child.text("name"), child.group) for child in made.inputs[0].children] == [
        ("a", "logs"),
        ("b", "logs"),
        ("c", "metrics"),
    ]


def test_env_comes_before_the_environment(tmp_path):
    made, _ = read(
        tmp_path, "env: {A: mine}\npipeline: {inputs: [{name: '${A}-${B}'}]}", {"A": "x", "B": "y"}
    )
    assert made.inputs[0].text("name") == "mine-y"


def test_includes_come_first(tmp_path):
    (tmp_path / "more.yaml").write_text("pipeline: {filters: [{name: first}]}")
    made, _ = read(tmp_path, "includes: [more.yaml]\npipeline: {filters: [{name: second}]}")
    assert [section.text("name") for section in made.filters] == ["first", "second"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", "agent.yaml:2:1: this is no YAML"),
        ("- 1\n", "agent.yaml:1:1: the file holds no sections"),
        (
            "pipelin: {}",
            "section 'pipelin' is not known and is passed over. Did you mean 'pipeline'?",
        ),
        ("pipeline: {input: []}", "pipeline has no 'input'. Did you mean 'inputs'?"),
        (
            "pipeline: {inputs: [{name: a, c: {x: 1, x: 2}}]}",
            "'x' is given twice (first in line 1)",
        ),
        ("pipeline: {inputs: {name: a}}", "a list is expected"),
        (
            "pipeline: {inputs: [{name: a, processors: {log: []}}]}",
            "processors has no 'log'. Did you mean 'logs'?",
        ),
        ("pipeline: {inputs: [{name: !!python/object:os.x a}]}", "agent.yaml"),
        ("includes: [none.yaml]", "the included file 'none.yaml' is not there"),
        ("includes: [agent.yaml]", "includes itself"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, expected):
    _, problems = read(tmp_path, text)
    if "python" not in text:
        assert any(expected in problem for problem in problems), problems


def test_properties_and_sections_may_be_given_again(tmp_path):
    made, problems = read(
        tmp_path,
        "pipeline: {filters: [{name: a, record: b 1, record: c 2}]}\npipeline: {filters: [{name: d}]}",
    )
    assert problems == []
    assert [entry.value for entry in made.filters[0]] == ["a", "b 1", "c 2"]
    assert made.filters[1].text("name") == "d"


def test_properties_may_be_written_in_camel_case_and_sections_in_capitals(tmp_path):
    made, problems = read(
        tmp_path, "PIPELINE: {Inputs: [{name: a, memBufLimit: 1, Own: 2, tls.caFile: 3}]}"
    )
    assert problems == []
    assert [entry.key for entry in made.inputs[0]] == [
        "name",
        "mem_buf_limit",
        "Own",
        "tls.ca_file",
    ]


def test_aliases_are_allowed_but_not_without_bound(tmp_path):
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    text = "service: {" + ", ".join(layers).replace("\n", "") + "}"
    _, problems = read(tmp_path, text)
    assert any("more than" in problem for problem in problems)


@given(st.text(max_size=120))
def test_any_text_gives_a_configuration_or_problems(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "x.yaml"
    path.write_text(text, "utf-8", "surrogateescape")
    assert load(path, None, {}) is not None


def test_a_byte_that_is_not_utf8_is_named_with_its_place(tmp_path):
    path = tmp_path / "agent.yaml"
    path.write_bytes(b"pipeline:\n  caf\xe9: 1\n")
    _, problems = load(path, None, {})
    assert "agent.yaml:2:6: byte 0xe9 is not UTF-8" in str(problems.errors[0])


def test_an_item_of_env_may_be_a_name_and_its_value(tmp_path):
    made, problems = read(
        tmp_path, "env: [{A: mine}, {B: '2'}]\npipeline: {inputs: [{name: '${A}-${B}'}]}"
    )
    assert not list(problems)
    assert made.inputs[0].text("name") == "mine-2"
