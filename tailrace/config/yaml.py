"""The YAML configuration format, read as nodes so that every key keeps its place and every scalar its text.

Format: Fluent Bit's documentation, "YAML configuration". Tags are refused; aliases are allowed within limits.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tailrace.config.classic import find_files, is_pattern, read_text
from tailrace.config.errors import Place, Problems, did_you_mean
from tailrace.config.source import Configuration, Entry, Section, Value
from tailrace.config.variables import Variables

MOST_DEPTH = 32
MOST_NODES = 200_000
SECTIONS = (
    "env",
    "includes",
    "service",
    "parsers",
    "multiline_parsers",
    "plugins",
    "pipeline",
    "upstream_servers",
    "stream_processor",
    "customs",
)
PIPELINE = ("inputs", "filters", "outputs")
CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
SIGNALS = ("logs", "metrics", "traces", "profiles")


class YAMLReader:
    """Reads one file and what it includes into a `Configuration`."""

    def __init__(
        self, configuration: Configuration, variables: Variables, problems: Problems
    ) -> None:
        self._configuration = configuration
        self._variables = variables
        self._problems = problems
        self._open: list[Path] = []
        self._nodes = 0
        self._path = ""

    def file(self, path: Path, place: Place | None = None) -> None:
        """Read a file; includes come before its own sections, as in Fluent Bit."""
        resolved = path.resolve()
        if resolved in self._open or len(self._open) > MOST_DEPTH:
            self._problems.add(
                f"{path} includes itself.", mend="Take the include out.", place=place
            )
            return
        text = read_text(path, self._problems, place)
        root = None if text is None else self._compose(path, text)
        if root is None:
            return
        self._configuration.files.append(str(path))
        self._open.append(resolved)
        self._document(root, path)
        self._open.pop()

    def _compose(self, path: Path, text: str) -> Any:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            root = yaml.compose(text, loader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = Place(str(path), mark.line + 1, mark.column + 1) if mark else Place(str(path))
            what = getattr(error, "problem", None) or str(error)
            self._problems.add(f"this is no YAML: {what}.", place=place)
            return None
        except UnicodeEncodeError as error:  # bytes that `read_text` let survive
            before = text[: error.start]
            place = Place(str(path), before.count("\n") + 1, error.start - before.rfind("\n"))
            self._problems.add(
                f"byte 0x{ord(text[error.start]) & 0xFF:02x} is not UTF-8, as YAML has to be.",
                mend="Save the file as UTF-8.",
                place=place,
            )
            return None
        except ValueError as error:  # characters that YAML has no place for
            self._problems.add(f"this is no YAML: {error}.", place=Place(str(path)))
            return None
        if root is None:
            self._problems.add("the file is empty.", place=Place(str(path)))
            return None
        if getattr(root, "id", "") != "mapping":
            self._problems.add(
                "the file holds no sections.",
                mend="Begin with: pipeline:.",
                place=self._place(root, path),
            )
            return None
        return root

    def _place(self, node: Any, path: Path | str) -> Place:
        return Place(str(path), node.start_mark.line + 1, node.start_mark.column + 1)

    # Sections

    def _document(self, root: Any, path: Path) -> None:
        self._path = str(path)
        pairs = [
            (name.lower() if name.lower() in SECTIONS else name, key, node)
            for name, key, node in self._pairs(root, repeats=True)
        ]
        for name, key, node in pairs:
            if name == "env":
                self._env(node)
            elif name not in SECTIONS:
                self._problems.add(
                    f"section '{name}' is not known and is passed over.",
                    mend=did_you_mean(name, SECTIONS),
                    place=self._place(key, path),
                    severity="warning",
                )
        for name, key, node in pairs:
            if name == "includes":
                self._includes(node, path, self._place(key, path))
                self._path = str(path)
        for name, key, node in pairs:
            self._section(name, key, node)

    def _section(self, name: str, key: Any, node: Any) -> None:
        made = self._configuration
        if name == "service":
            made.service.entries += self._section_of("service", node).entries
        elif name == "parsers":
            made.parsers += self._list("parser", node)
        elif name == "multiline_parsers":
            made.multiline_parsers += self._list("multiline_parser", node)
        elif name == "customs":
            made.customs += self._list("custom", node)
        elif name == "stream_processor":
            made.stream_tasks += self._list("stream_task", node)
        elif name == "upstream_servers":
            made.upstreams += [self._upstream(item) for item in self._items(node)]
        elif name == "plugins":
            for item in self._items(node):
                path = self._value(item)
                if isinstance(path, dict):
                    path = path.get("path")
                made.plugins.append(Entry("path", path, self._place(item, self._path)))
        elif name == "pipeline":
            self._pipeline(node)

    def _pipeline(self, node: Any) -> None:
        made = self._configuration
        for name, key, child in self._pairs(node, repeats=True):
            kind = name.lower()
            if kind == "inputs":
                made.inputs += self._list("input", child)
            elif kind == "filters":
                made.filters += self._list("filter", child)
            elif kind == "outputs":
                made.outputs += self._list("output", child)
            else:
                self._problems.add(
                    f"pipeline has no '{name}'.",
                    mend=did_you_mean(name, PIPELINE) or "It has inputs, filters and outputs.",
                    place=self._place(key, self._path),
                )

    def _env(self, node: Any) -> None:
        """`NAME: value`, or a list of `{name, value}` or `{name, uri: file://...}`."""
        if node.id == "mapping":
            for name, _, child in self._pairs(node):
                self._variables.set(name, str(self._value(child) or ""))
            return
        for item in self._items(node):
            self._env_item(item)

    def _env_item(self, item: Any) -> None:
        entry = self._value(item)
        place = self._place(item, self._path)
        if isinstance(entry, dict) and entry and not {"name", "value", "uri"} & set(entry):
            for name, given in entry.items():  # - A: b
                self._variables.set(name, str(given or ""))
            return
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            self._problems.add(
                "an item of env has no name.", mend="As: {name: A, value: b}.", place=place
            )
            return
        value, uri = entry.get("value"), entry.get("uri")
        if isinstance(uri, str):
            text = read_text(Path(uri.removeprefix("file://")), self._problems, place)
            value = text.rstrip("\n") if text is not None else ""
        self._variables.set(str(entry["name"]), str(value or ""))

    def _includes(self, node: Any, path: Path, place: Place) -> None:
        for item in self._items(node):
            pattern = self._value(item)
            if not isinstance(pattern, str):
                self._problems.add(
                    "includes takes names of files.", place=self._place(item, self._path)
                )
                continue
            found = find_files(pattern, (path.parent,))
            if not found and not is_pattern(pattern):
                self._problems.add(
                    f"error: the included file '{pattern}' is not there.",
                    mend=f"It was looked for in {path.parent}.",
                    place=self._place(item, path),
                )
            for each in found:
                self.file(each, place)

    # Pieces

    def _list(self, kind: str, node: Any) -> list[Section]:
        return [self._section_of(kind, item) for item in self._items(node)]

    def _items(self, node: Any) -> list[Any]:
        if node.id == "sequence":
            return list(node.value)
        if node.id == "scalar" and not node.value:
            return []
        self._problems.add(
            "a list is expected.",
            mend="Begin each item with a dash.",
            place=self._place(node, self._path),
        )
        return []

    def _section_of(self, kind: str, node: Any) -> Section:
        section = Section(kind, self._place(node, self._path))
        for name, key, child in self._pairs(node, repeats=True):
            if name == "processors" and kind in ("input", "output"):
                section.children += self._processors(child)
            else:
                section.entries.append(
                    Entry(snake_case(name), self._value(child), self._place(key, self._path))
                )
        return section

    def _processors(self, node: Any) -> list[Section]:
        found = []
        for name, key, child in self._pairs(node):
            signal = name.lower()
            if signal not in SIGNALS:
                self._problems.add(
                    f"processors has no '{signal}'.",
                    mend=did_you_mean(signal, SIGNALS) or f"It has {', '.join(SIGNALS)}.",
                    place=self._place(key, self._path),
                )
                continue
            for section in self._list("processor", child):
                section.group = signal
                found.append(section)
        return found

    def _upstream(self, node: Any) -> Section:
        section = Section("upstream", self._place(node, self._path))
        for name, key, child in self._pairs(node):
            if name == "nodes":
                section.children += self._list("node", child)
            else:
                section.entries.append(
                    Entry(name, self._value(child), self._place(key, self._path))
                )
        return section

    def _pairs(self, node: Any, repeats: bool = False) -> list[tuple[str, Any, Any]]:
        """Name, key node and value node of a map; a key given twice is a problem unless `repeats`."""
        if node.id != "mapping":
            if node.id != "scalar" or node.value:
                self._problems.add(
                    "a map is expected.",
                    mend="As: key: value.",
                    place=self._place(node, self._path),
                )
            return []
        seen: dict[str, Any] = {}
        pairs = []
        for key, child in node.value:
            name = str(key.value) if key.id == "scalar" else ""
            if name in seen and not repeats:
                self._problems.add(
                    f"'{name}' is given twice (first in line {seen[name].start_mark.line + 1}).",
                    mend="Keep one, or give a list.",
                    place=self._place(key, self._path),
                )
                continue
            seen[name] = key
            pairs.append((name, key, child))
        return pairs

    def _value(self, node: Any, depth: int = 0) -> Value:
        """Text of a scalar with variables replaced, or the list or map of them."""
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > MOST_DEPTH:
            if self._nodes == MOST_NODES + 1:
                self._problems.add(
                    f"the file holds more than {MOST_NODES} values.",
                    place=self._place(node, self._path),
                )
            return None
        if node.id == "scalar":
            if node.tag == "tag:yaml.org,2002:null" and node.value in (
                "",
                "~",
                "null",
                "Null",
                "NULL",
            ):
                return None if node.value == "" else self._variables.expand(node.value)
            if not node.tag.startswith("tag:yaml.org,2002:"):
                self._problems.add(
                    f"tag {node.tag} is not allowed.", place=self._place(node, self._path)
                )
            return self._variables.expand(str(node.value))
        if node.id == "sequence":
            return [self._value(item, depth + 1) for item in node.value]
        return {name: self._value(child, depth + 1) for name, _, child in self._pairs(node)}


def snake_case(name: str) -> str:
    """`keyName` as `key_name`: YAML files may spell properties either way. Other spellings stay."""
    if "_" in name or not name[:1].islower():
        return name
    return CAPITAL.sub("_", name).lower()
