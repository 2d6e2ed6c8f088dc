"""Read a whole configuration: the main file, what it includes, its files of parsers, plugins and streams, and the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tailrace.config import classic
from tailrace.config.arguments import Arguments
from tailrace.config.errors import Place, Problems, did_you_mean
from tailrace.config.source import Configuration, Entry, Section
from tailrace.config.variables import Variables
from tailrace.config.yaml import YAMLReader

WELL_KNOWN = Path(__file__).parent / "wellknown"
SHIPPED = {
    "parsers.conf": "parsers.conf",
    "parsers_extra.conf": "parsers.conf",
    "parsers_java.conf": "parsers.conf",
    "parsers_ambassador.conf": "parsers.conf",
    "parsers_openstack.conf": "parsers.conf",
    "parsers_cinder.conf": "parsers.conf",
    "parsers_mult.conf": "parsers.conf",
    "parsers_multiline.conf": "parsers.conf",
}
"""Files that the original brings; named and not found, the well-known parsers that Tailrace brings take their place."""

SECTIONS = (
    "service",
    "input",
    "filter",
    "output",
    "custom",
    "parser",
    "multiline_parser",
    "env",
    "plugins",
    "stream_task",
)


def load(
    path: str | Path | None, arguments: Arguments | None, environ: Mapping[str, str]
) -> tuple[Configuration, Problems]:
    """The configuration of a file (YAML by its ending, else classic) and of the command line; with all problems."""
    problems = Problems()
    made = Configuration(Section("service", Place(str(path or "command line"))))
    variables = Variables(environ)
    if path is not None:
        read_main(Path(path), made, variables, problems)
    made.env = variables.own
    if arguments is not None:
        add_arguments(made, arguments)
        for what, mend in arguments.warnings:
            problems.add(what, mend=mend, place=Place("command line"), severity="warning")
    folder = Path(path).parent if path is not None else Path()
    for entry in made.service.all("parsers_file"):
        for name in names_in(entry):
            read_parsers(name, folder, made, variables, problems, entry.place)
    for entry in made.service.all("plugins_file"):
        read_plugins_file(folder, entry, made, variables, problems)
    for entry in made.service.all("streams_file"):
        read_streams_file(folder, entry, made, variables, problems)
    return made, problems


def names_in(entry: Entry) -> list[str]:
    """The file names that one entry gives: one, or a YAML list."""
    value = entry.value
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return [value] if isinstance(value, str) and value else []


def is_yaml(path: Path) -> bool:
    return path.suffix.lower() in (".yaml", ".yml")


def read_main(path: Path, made: Configuration, variables: Variables, problems: Problems) -> None:
    if is_yaml(path):
        YAMLReader(made, variables, problems).file(path)
        return
    result = classic.read(path, variables, problems)
    made.files += result.files
    for section in result.sections:
        take_section(section, made, problems)


def take_section(section: Section, made: Configuration, problems: Problems) -> None:
    """Put a classic section where it belongs."""
    match section.kind:
        case "service":
            made.service.entries += section.entries
        case "input":
            made.inputs.append(section)
        case "filter":
            made.filters.append(section)
        case "output":
            made.outputs.append(section)
        case "custom":
            made.customs.append(section)
        case "parser":
            made.parsers.append(section)
        case "multiline_parser":
            made.multiline_parsers.append(section)
        case "stream_task":
            made.stream_tasks.append(section)
        case "plugins":
            made.plugins += [
                Entry("path", entry.value, entry.place) for entry in section if entry.name == "path"
            ]
        case _:
            problems.add(
                f"section [{section.kind.upper()}] is not known and is passed over.",
                mend=did_you_mean(section.kind, SECTIONS),
                place=section.place,
                severity="warning",
            )


def add_arguments(made: Configuration, arguments: Arguments) -> None:
    """The command line adds inputs, filters and outputs, and overrides the service."""
    made.service.entries += arguments.service
    for section in arguments.sections:
        {
            "input": made.inputs,
            "filter": made.filters,
            "output": made.outputs,
            "custom": made.customs,
        }[section.kind].append(section)
    made.plugins += arguments.plugins
    for number, task in enumerate(arguments.stream_tasks):
        place = task.place
        entries = [Entry("name", f"flb-console:{number}", place), Entry("exec", task.value, place)]
        made.stream_tasks.append(Section("stream_task", place, entries))


def located(name: str, folder: Path) -> Path | None:
    """A file by its name: beside the main configuration, else from the working directory."""
    for candidate in (folder / name, Path(name)):
        if candidate.is_file():
            return candidate
    return None


def read_parsers(
    name: str,
    folder: Path,
    made: Configuration,
    variables: Variables,
    problems: Problems,
    place: Place,
) -> None:
    path = located(name, folder)
    if path is None and Path(name).name in SHIPPED:
        path = WELL_KNOWN / SHIPPED[Path(name).name]
        if str(path) in made.files:
            return
    if path is None:
        problems.add(
            f"parsers_file '{name}' is not there.",
            mend=f"It was looked for in {folder.resolve()}.",
            place=place,
        )
        return
    if is_yaml(path):
        YAMLReader(made, variables, problems).file(path, place)
        return
    result = classic.read(path, variables, problems)
    made.files += result.files
    for section in result.sections:
        if section.kind in ("parser", "multiline_parser"):
            take_section(section, made, problems)


def read_plugins_file(
    folder: Path, entry: Entry, made: Configuration, variables: Variables, problems: Problems
) -> None:
    for name in names_in(entry):
        path = located(name, folder)
        if path is None:
            problems.add(f"plugins_file '{name}' is not there.", place=entry.place)
        elif is_yaml(path):
            YAMLReader(made, variables, problems).file(path, entry.place)
        else:
            for section in classic.read(path, variables, problems).sections:
                if section.kind == "plugins":
                    take_section(section, made, problems)


def read_streams_file(
    folder: Path, entry: Entry, made: Configuration, variables: Variables, problems: Problems
) -> None:
    for name in names_in(entry):
        path = located(name, folder)
        if path is None:
            problems.add(f"streams_file '{name}' is not there.", place=entry.place)
            continue
        for section in classic.read(path, variables, problems).sections:
            if section.kind == "stream_task":
                take_section(section, made, problems)


def read_upstream(
    path: Path, environ: Mapping[str, str] | None = None
) -> tuple[list[Section], Problems]:
    """The upstream of a file, with its nodes as its children: `[UPSTREAM]` and `[NODE]`s, or YAML `upstream_servers`.

    Compat: all `[NODE]`s of a classic file are the first `[UPSTREAM]`'s, wherever they stand; of several upstreams in a YAML file
    the last counts, as in Fluent Bit.
    """
    problems = Problems()
    variables = Variables(environ or {})
    if is_yaml(path):
        made = Configuration(Section("service", Place(str(path))))
        YAMLReader(made, variables, problems).file(path)
        found = made.upstreams[-1:]
        spare = made.upstreams[:-1]
    else:
        sections = classic.read(path, variables, problems).sections
        upstreams = [section for section in sections if section.kind == "upstream"]
        found = upstreams[:1]
        nodes = [section for section in sections if section.kind == "node"]
        spare = [section for section in sections if section not in found and section not in nodes]
        if found:
            found[0].children += nodes
    if not found and not problems.errors:
        problems.add(
            f"{path} has no upstream.",
            mend="Give [UPSTREAM] with a name, then a [NODE] with name, host and port for each server.",
        )
    for section in found:
        if not section.text("name"):
            problems.add("the upstream has no name.", mend="Add: name NAME.", place=section.place)
    for section in spare:
        problems.add(
            f"{section.kind} {section.text('name')} is passed over: an upstream file holds one upstream.",
            place=section.place,
            severity="warning",
        )
    return found, problems
