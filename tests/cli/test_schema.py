"""`tailrace schema` and `-J`."""

import json

import jsonschema
import pytest
import yaml

from tailrace.cli.main import run
from tailrace.cli.schema import option_schema, section_schema
from tailrace.config.options import Described
from tailrace.plugin import Filter, FilterOptions, filter_plugin, registry


class NeedyOptions(FilterOptions):
    path: str
    """Must be given."""


@filter_plugin("test_needy")
class Needy(Filter[NeedyOptions]):
    """Needs a path."""

    def process(self, chunk):
        return chunk


@pytest.fixture(scope="module")
def schema():
    from tailrace.cli.schema import configuration_schema

    return configuration_schema()


def is_valid(schema, text):
    return jsonschema.Draft202012Validator(schema).is_valid(yaml.safe_load(text))


def pipeline(kind, section):
    return f"pipeline: {{{kind}: [{section}]}}"


def described(type_name, **more):
    defaults = {"default": None, "help": "", "many": False, "required": False, "secret": False}
    return Described(name="x", type=type_name, **{**defaults, **more})


def test_the_command_prints_the_schema_as_json(schema, capsys):
    assert run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(schema))


def test_the_schema_is_one(schema):
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "service: {flush: 0.5, log_level: debug, http_server: on}",
        "service: {flush: '1'}",
        "env: {A: b}",
        pipeline("inputs", "{name: dummy, rate: 5, tag: app}"),
        pipeline("inputs", "{name: dummy, processors: {logs: []}}"),
        pipeline("filters", "{name: grep, match: '*', regex: [a b, c d]}"),
        pipeline("outputs", "{name: 'null', match: '*'}"),
    ],
)
def test_a_good_configuration_is_valid(schema, text):
    assert is_valid(schema, text)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "service: 5",
        "service: {http_server: perhaps}",
        "includes: a.yaml",
        "parsers: [{name: p}]",
        "pipeline: {sources: []}",
        pipeline("inputs", "{name: no_such_plugin}"),
        pipeline("inputs", "{tag: app}"),
        pipeline("inputs", "{name: dummy, rate: [1]}"),
        pipeline("outputs", "{name: dummy}"),
        pipeline("inputs", "{name: dummy, processors: []}"),
    ],
)
def test_a_wrong_configuration_is_not(schema, text):
    assert not is_valid(schema, text)


@pytest.mark.parametrize("kind", ["input", "filter", "output"])
def test_every_plugin_stands_in_the_schema(schema, kind):
    sections = schema["properties"]["pipeline"]["properties"][f"{kind}s"]["items"]["oneOf"]
    found = {section["properties"]["name"]["const"] for section in sections}
    built_in = {name for name in registry.names(kind) if not name.startswith("test_")}
    assert built_in <= found


@pytest.mark.parametrize(
    ("option", "value", "valid"),
    [
        (described("boolean"), True, True),
        (described("boolean"), "maybe", False),
        (described("integer"), 5, True),
        (described("integer"), 1.5, False),
        (described("number | no_limits"), "no_limits", True),
        (described("text", many=True), ["a", "b"], True),
        (described("text"), ["a", "b"], False),
        (described("structure"), {"a": [1]}, True),
    ],
)
def test_the_type_of_an_option_bounds_its_values(option, value, valid):
    assert jsonschema.Draft202012Validator(option_schema(option)).is_valid(value) is valid


def test_an_option_that_must_be_given_is_required():
    assert section_schema("filter", "test_needy")["required"] == ["name", "path"]


def test_the_help_of_an_option_is_its_description():
    assert option_schema(described("text", help="What it is."))["description"] == "What it is."


@pytest.mark.parametrize("flag", ["-J", "--help-json"])
def test_a_flag_prints_every_plugin_with_its_options(flag, capsys):
    assert run([flag]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fluent-bit"]["version"] == "5.1.1"
    [dummy] = [each for each in document["inputs"] if each["name"] == "dummy"]
    assert (dummy["type"], dummy["description"]) == (
        "input",
        "Make events of a given text, to try a pipeline out.",
    )
    rate = {"description": "Collections a second.", "default": "1", "type": "integer"}
    assert {"name": "rate", **rate} in dummy["properties"]["options"]


@pytest.mark.parametrize(
    ("parser", "fits"),
    [
        ("{name: a, type: regex, rules: [{state: start_state, regex: x, next_state: y}]}", True),
        ("{name: a, type: equal, match_string: x, negate: true, flush_timeout: 700}", True),
        ("{name: a}", False),
        ("{name: a, type: regex, rules: [{state: start_state, regex: x}]}", False),
        ("{name: a, type: regex, rules: text}", False),
    ],
)
def test_multiline_parsers_are_described(schema, parser, fits):
    assert is_valid(schema, f"multiline_parsers: [{parser}]") is fits
