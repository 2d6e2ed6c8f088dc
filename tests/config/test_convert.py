"""Classic to YAML and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.config.convert import to_classic, to_yaml
from tailrace.config.errors import ConfigError
from tailrace.config.load import load

ODD = (
    "on",
    "Yes",
    "null",
    "~",
    "true",
    "1e3",
    "0x1F",
    "1_0",
    "12:30:45",
    "2001-01-01",
    ".inf",
    "=",
)
WORDS = (
    st.text("abcxyz.*_-/", min_size=1, max_size=8).filter(
        lambda text: not text.startswith(("#", "@", "["))
    )
    | st.text("0123456789.e+-:", min_size=1, max_size=6)
    | st.sampled_from(ODD)
)
SECTIONS = st.lists(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=4), WORDS, max_size=4), max_size=3
)


def entries(sections):
    return [{e.name: e.value for e in section} for section in sections]


@given(inputs=SECTIONS, outputs=SECTIONS)
def test_a_configuration_survives_the_way_to_yaml_and_back(tmp_path_factory, inputs, outputs):
    folder = tmp_path_factory.mktemp("convert")
    text = ""
    for head, sections in (("INPUT", inputs), ("OUTPUT", outputs)):
        for section in sections:
            text += f"[{head}]\n    name x\n" + "".join(
                f"    {key} {value}\n" for key, value in section.items()
            )
    (folder / "a.conf").write_text(text)
    first, _ = load(folder / "a.conf", None, {})
    (folder / "b.yaml").write_text(
        to_yaml(first) if first.inputs or first.outputs else "pipeline: {}"
    )
    second, problems = load(folder / "b.yaml", None, {})
    assert not problems.errors
    assert (entries(second.inputs), entries(second.outputs)) == (
        entries(first.inputs),
        entries(first.outputs),
    )
    (folder / "c.conf").write_text(to_classic(second))
    third, _ = load(folder / "c.conf", None, {})
    assert entries(third.inputs) == entries(first.inputs)


def test_a_key_given_twice_becomes_a_list_and_two_lines_again(tmp_path):
    (tmp_path / "a.conf").write_text("[FILTER]\n name grep\n regex a b\n regex c d\n")
    made, _ = load(tmp_path / "a.conf", None, {})
    assert "- a b" in to_yaml(made)
    (tmp_path / "b.yaml").write_text(to_yaml(made))
    again, _ = load(tmp_path / "b.yaml", None, {})
    assert to_classic(again).count("regex") == 2


def test_processors_can_not_be_said_in_classic(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "pipeline: {inputs: [{name: x, processors: {logs: [{name: y}]}}]}"
    )
    made, _ = load(tmp_path / "a.yaml", None, {})
    with pytest.raises(ConfigError, match="processors can't be written in the classic format"):
        to_classic(made)


def test_numbers_and_switches_stand_bare_in_yaml(tmp_path):
    path = tmp_path / "agent.conf"
    path.write_text(
        "[SERVICE]\n    flush 1\n    http_server on\n[INPUT]\n    name dummy\n    tag 010\n    alias null\n    rate 1_0\n"
        "[OUTPUT]\n    name null\n    match *\n"
    )
    text = to_yaml(load(str(path), None, {})[0])
    for line in (
        "flush: 1",
        "http_server: on",
        "tag: 010",
        "alias: 'null'",
        "rate: 1_0",
        "match: '*'",
    ):
        assert line in text
