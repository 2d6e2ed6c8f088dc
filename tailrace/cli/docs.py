"""`tailrace docs --write|--check DIR`: the reference pages, made from the code, so that they can't be out of date."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tailrace.cli.check import checked_file
from tailrace.cli.graph import svg
from tailrace.cli.help import default_text, plugin_doc, summary
from tailrace.cli.plugins import KINDS
from tailrace.cli.schema import configuration_schema
from tailrace.config.options import Described, describe
from tailrace.engine.service import ServiceOptions
from tailrace.plugin import registry
from tailrace.plugin.base import Kind

NOTE = "<!-- Made by `make docs`; change the docstrings instead. -->\n\n"


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("tailrace docs", description=(__doc__ or "").split("\n")[0])
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", metavar="DIR")
    action.add_argument("--check", metavar="DIR")
    arguments = parser.parse_args(argv)
    root = Path(arguments.write or arguments.check)
    wrong = [
        path
        for path, text in pages(root).items()
        if not is_written(path, text, bool(arguments.write))
    ]
    for path in wrong:
        print(f"{path} is out of date: run `make docs`", file=sys.stderr)
    return 1 if wrong else 0


def is_written(path: Path, text: str, write: bool) -> bool:
    """Whether the file holds the text (after writing it, if told to)."""
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return path.is_file() and path.read_text() == text


def pages(root: Path) -> dict[Path, str]:
    """Every generated page by its path."""
    reference = root / "reference"
    made = {reference / "service.md": service_page(), reference / "README.md": index_page()}
    for kind in KINDS:
        for name in registry.names(kind):
            made[reference / f"{kind}s" / f"{name}.md"] = plugin_page(kind, name)
    made[root / "schema.json"] = json.dumps(configuration_schema(), indent=1) + "\n"
    differences = root.parent / "tests" / "conformance_differences.toml"
    if differences.is_file():
        made[root / "compatibility.md"] = compatibility_page(differences)
    demo = root.parent / "examples" / "demo" / "demo.yaml"
    if demo.is_file() and (plan := checked_file(str(demo)).plan) is not None:
        made[root / "images" / "pipeline.svg"] = svg(plan)
    return made


def index_page() -> str:
    lines = [NOTE + "# Reference\n", "- [The service section](service.md)\n"]
    for kind in KINDS:
        lines.append(f"\n## {kind.capitalize()}s\n")
        lines += [
            f"- [{name}]({kind}s/{name}.md): {summary(kind, name)}" for name in registry.names(kind)
        ]
    return "\n".join(lines) + "\n"


def service_page() -> str:
    head = "# The service section\n\nWhat rules the agent as a whole.\n\n"
    return NOTE + head + option_table(describe(ServiceOptions))


def plugin_page(kind: Kind, name: str) -> str:
    cls = registry.find(kind, name)
    head = f"# {kind} {name}\n\n{plugin_doc(kind, name)}\n\n## Options\n\n"
    return NOTE + head + option_table(describe(registry.options_class(cls)))


def option_table(options: list[Described]) -> str:
    rows = ["| option | type | default | what it does |", "| --- | --- | --- | --- |"]
    rows += [option_row(option) for option in options]
    return "\n".join(rows) + "\n"


def option_row(option: Described) -> str:
    default = (
        "must be given"
        if option.required
        else default_text(option)
        if option.default not in (None, [], "")
        else ""
    )
    cells = (f"`{option.name}`", option.type, default, option.help.replace("\n", " "))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def compatibility_page(differences: Path) -> str:
    """What differs from the original on purpose, with the reasons: the list that the conformance runner reads."""
    import tomllib

    table = tomllib.loads(differences.read_text())
    lines = [
        NOTE + "# Compatibility\n",
        "Tailrace runs Fluent Bit 5.1.1 configurations unchanged and behaves as it does; the recorded cases of the "
        "conformance suite are the measure. It differs, on purpose, where the original loses or falsifies data or "
        "hides an error. Each difference is a recorded case that is not followed; "
        "[smaller ones](differences.md) have no case, and [odd values](configuration.md) start with a warning:\n",
        "| case | why it differs |",
        "| --- | --- |",
    ]
    lines += [
        f"| `{case}` | {reason.replace('|', chr(92) + '|')} |"
        for case, reason in sorted(table.items())
    ]
    return "\n".join(lines) + "\n"
