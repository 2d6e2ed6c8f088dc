"""A configuration written out again, as YAML or in the classic format. Includes come out joined, variables expanded."""

from __future__ import annotations

from typing import Any

from tailrace.config.errors import ConfigError
from tailrace.config.source import Configuration, Section, Value

TEXT_TAG = "tag:yaml.org,2002:str"
BARE_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float"))


def to_yaml(configuration: Configuration) -> str:
    """YAML text that reads back to the same sections. Numbers and switches stand bare: the reader takes every scalar as its text."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Texts that YAML would read as numbers or booleans are written as such."""

    def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        tag = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # of the stubs
        return dumper.represent_scalar(tag if tag in BARE_TAGS else TEXT_TAG, text)

    Dumper.add_representer(str, represent_text)
    text: str = yaml.dump(
        as_document(configuration), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120
    )
    return text


def as_document(configuration: Configuration) -> dict[str, Any]:
    made = configuration
    pipeline = {
        "inputs": [as_map(section) for section in made.inputs],
        "filters": [as_map(section) for section in made.filters],
        "outputs": [as_map(section) for section in made.outputs],
    }
    parsers = [section for section in made.parsers if "wellknown" not in section.place.file]
    multiline = [
        section for section in made.multiline_parsers if "wellknown" not in section.place.file
    ]
    document = {
        "service": as_map(made.service),
        "customs": [as_map(section) for section in made.customs],
        "plugins": [entry.value for entry in made.plugins],
        "parsers": [as_map(section) for section in parsers],
        "multiline_parsers": [as_multiline_map(section) for section in multiline],
        "stream_processor": [as_map(section) for section in made.stream_tasks],
        "upstream_servers": [as_upstream(section) for section in made.upstreams],
        "pipeline": {name: items for name, items in pipeline.items() if items},
    }
    return {name: value for name, value in document.items() if value}


def as_map(section: Section) -> dict[str, Any]:
    """A section's entries; a key given several times becomes a list."""
    found: dict[str, Any] = {}
    for entry in section:
        key = entry.name
        if key in found:
            known = found[key] if isinstance(found[key], list) else [found[key]]
            found[key] = [
                *known,
                *(entry.value if isinstance(entry.value, list) else [entry.value]),
            ]
        else:
            found[key] = entry.value
    processors: dict[str, list[dict[str, Any]]] = {}
    for child in section.children:
        processors.setdefault(child.group or "logs", []).append(as_map(child))
    if processors:
        found["processors"] = processors
    return found


def as_multiline_map(section: Section) -> dict[str, Any]:
    """Classic `rule "state" "/regex/" "next"` lines as YAML's list of maps."""
    from tailrace.config.types import split_words

    found = as_map(section)
    rules = found.pop("rule", None)
    if rules is not None:
        words = [split_words(str(rule)) for rule in (rules if isinstance(rules, list) else [rules])]
        found["rules"] = [
            {"state": rule[0], "regex": rule[1], "next_state": rule[2]}
            for rule in words
            if len(rule) >= 3
        ]
    return found


def as_upstream(section: Section) -> dict[str, Any]:
    return {
        **as_map(Section("upstream", section.place, section.entries)),
        "nodes": [as_map(node) for node in section.children],
    }


def to_classic(configuration: Configuration) -> str:
    """Classic text; `ConfigError` for what only YAML can say."""
    made = configuration
    parts = [classic_section("SERVICE", made.service)] if made.service.entries else []
    for head, sections in (
        ("CUSTOM", made.customs),
        ("INPUT", made.inputs),
        ("FILTER", made.filters),
        ("OUTPUT", made.outputs),
        ("STREAM_TASK", made.stream_tasks),
    ):
        parts += [classic_section(head, section) for section in sections]
    own = [section for section in made.parsers if "wellknown" not in section.place.file]
    own += [section for section in made.multiline_parsers if "wellknown" not in section.place.file]
    parts += [classic_section(section.kind.upper(), section) for section in own]
    return "\n".join(parts)


def classic_section(head: str, section: Section) -> str:
    if section.children:
        child = section.children[0]
        raise ConfigError(
            f"{child.place}: processors can't be written in the classic format.", "Keep YAML."
        )
    lines = [f"[{head}]"]
    for entry in section:
        lines += [
            f"    {entry.key} {text}"
            for text in classic_values(entry.key, entry.value, str(entry.place))
        ]
    return "\n".join(lines) + "\n"


def classic_values(key: str, value: Value, place: str) -> list[str]:
    if isinstance(value, list):
        if key.lower() == "rules":
            raise ConfigError(
                f"{place}: rules can't be written in the classic format.", "Keep YAML."
            )
        return [text for item in value for text in classic_values(key, item, place)]
    if isinstance(value, dict):
        raise ConfigError(f"{place}: {key} can't be written in the classic format.", "Keep YAML.")
    text = value or ""
    if "\n" in text.strip():
        raise ConfigError(
            f"{place}: {key} has several lines, which the classic format can't hold.", "Keep YAML."
        )
    return [text.strip()]
