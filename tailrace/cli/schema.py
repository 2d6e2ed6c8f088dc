"""`tailrace schema`: a JSON Schema of YAML configurations for editors, made from the option classes.

`-J` prints the plugins with their options in the form of the original's own schema dump.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from tailrace import __version__
from tailrace.cli.help import default_text, summary
from tailrace.config.options import Described, describe
from tailrace.engine.service import ServiceOptions
from tailrace.plugin import registry
from tailrace.plugin.base import Kind

TYPES: dict[str, dict[str, Any]] = {
    "boolean": {"enum": ["on", "off", "true", "false", "yes", "no", True, False]},
    "integer": {"type": ["integer", "string"]},
    "number": {"type": ["number", "string"]},
    "size": {"type": ["integer", "string"]},
    "time": {"type": ["number", "string"]},
    "structure": {},
}
TEXT = {"type": ["string", "number", "boolean"]}


def run(argv: list[str]) -> int:
    argparse.ArgumentParser(
        "tailrace schema", description=(__doc__ or "").split("\n")[0]
    ).parse_args(argv)
    print(json.dumps(configuration_schema(), indent=1))
    return 0


def configuration_schema() -> dict[str, Any]:
    """The schema of a whole YAML configuration."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Tailrace {__version__} configuration",
        "type": "object",
        "properties": {
            "env": {"type": ["object", "array"]},
            "includes": {"type": "array", "items": {"type": "string"}},
            "service": {
                "type": "object",
                "properties": {
                    option.name: option_schema(option) for option in describe(ServiceOptions)
                },
            },
            "parsers": {
                "type": "array",
                "items": {"type": "object", "required": ["name", "format"]},
            },
            "multiline_parsers": {
                "type": "array",
                "items": multiline_schema(),
            },
            "plugins": {"type": "array"},
            "upstream_servers": {"type": "array"},
            "stream_processor": {"type": "array"},
            "customs": {"type": "array"},
            "pipeline": {
                "type": "object",
                "properties": {
                    "inputs": section_list("input"),
                    "filters": section_list("filter"),
                    "outputs": section_list("output"),
                },
                "additionalProperties": False,
            },
        },
    }


def section_list(kind: Kind) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"oneOf": [section_schema(kind, name) for name in loadable(kind)]},
    }


def loadable(kind: Kind) -> list[str]:
    """Names of the plugins whose libraries are there."""
    found = []
    for name in registry.names(kind):
        try:
            registry.find(kind, name)
        except ImportError:
            continue
        found.append(name)
    return found


def section_schema(kind: Kind, name: str) -> dict[str, Any]:
    options = describe(registry.options_class(registry.find(kind, name)))
    properties: dict[str, Any] = {option.name: option_schema(option) for option in options}
    properties["name"] = {"const": name}
    if kind in ("input", "output"):
        properties["processors"] = {"type": "object"}
    return {
        "title": summary(kind, name),
        "type": "object",
        "properties": properties,
        "required": ["name", *(option.name for option in options if option.required)],
    }


def multiline_schema() -> dict[str, Any]:
    """The schema of one multiline parser."""
    from tailrace.plugin.multiline import MultilineOptions

    options = describe(MultilineOptions)
    properties = {option.name: option_schema(option) for option in options}
    rule = dict.fromkeys(("state", "regex", "next_state"), TEXT)
    properties["rules"] = {
        "type": "array",
        "items": {"type": "object", "properties": rule, "required": list(rule)},
        "description": properties["rules"]["description"],
    }
    return {"type": "object", "required": ["name", "type"], "properties": properties}


def option_schema(option: Described) -> dict[str, Any]:
    """The schema of one value; units and the like are checked when it is read."""
    schema = dict(TYPES.get(option.type, TEXT))
    if " | " in option.type:
        schema = {"type": ["string", "number", "boolean"], "examples": option.type.split(" | ")}
    if option.many or option.type.startswith(("words", "list", "key and text")):
        schema = {"anyOf": [schema or {}, {"type": "array"}]}
    return {"description": option.help, **schema}


def show_plugin_schema() -> int:
    """Print what `-J` prints: every plugin with its options."""
    kinds: tuple[Kind, ...] = ("custom", "input", "processor", "filter", "output")
    document: dict[str, Any] = {
        "fluent-bit": {"version": "5.1.1", "schema_version": "1", "os": "linux"},
        "tailrace": {"version": __version__},
    }
    for kind in kinds:
        document[f"{kind}s"] = [plugin_entry(kind, name) for name in loadable(kind)]
    print(json.dumps(document, separators=(",", ":")))
    return 0


def plugin_entry(kind: Kind, name: str) -> dict[str, Any]:
    options = [
        {
            "name": option.name,
            "description": option.help,
            "default": default_text(option) if option.default is not None else None,
            "type": option.type,
        }
        for option in describe(registry.options_class(registry.find(kind, name)))
    ]
    return {
        "type": kind,
        "name": name,
        "description": summary(kind, name),
        "properties": {"options": options},
    }
