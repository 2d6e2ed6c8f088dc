"""The classic configuration format: `[SECTION]`, then indented `key value` lines.

    @SET NAME=value
    @INCLUDE more/*.conf

    [INPUT]
        name tail        # the rest of the line belongs to the value
        path /var/log/*.log

Format: Fluent Bit's documentation, "Classic mode". Lines that begin with `#` after blanks are comments. All entries of a
section have the same indentation; a tab between key and value is accepted.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass, field
from pathlib import Path

from tailrace.config.errors import Place, Problems
from tailrace.config.source import Entry, Section
from tailrace.config.variables import Variables

MOST_DEPTH = 32
MOST_BYTES = 32 << 20
SECTION = re.compile(r"\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
COMMAND = re.compile(r"@(\w+)\s*(.*)$")


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Read:
    """What reading has given so far: sections in order and every file read."""

    sections: list[Section] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def read(path: Path, variables: Variables, problems: Problems) -> Read:
    """All sections of a file and of what it includes; what is wrong goes into `problems`.

    Variables get their values at the end, so that `@SET` may stand behind what uses it, as in Fluent Bit.
    """
    result = Read()
    Reader(path.parent, variables, problems, result).file(path, 0)
    for section in result.sections:
        for entry in section.entries:
            entry.value = variables.expand(str(entry.value))
    return result


def read_text(path: Path, problems: Problems, place: Place | None = None) -> str | None:
    """A file's text, or None with a problem. Bytes that are not UTF-8 survive."""
    try:
        if path.stat().st_size > MOST_BYTES:
            problems.add(
                f"{path} has more than {MOST_BYTES >> 20} MiB; that is no configuration.",
                place=place,
            )
            return None
        return path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        problems.add(f"{path} can't be read: {error.strerror}.", place=place)
        return None


class Reader:
    """Reads one file and, by `@INCLUDE`, others."""

    def __init__(
        self, main_folder: Path, variables: Variables, problems: Problems, result: Read
    ) -> None:
        self._main_folder = main_folder
        self._variables = variables
        self._problems = problems
        self._result = result
        self._open: list[Path] = []

    def file(self, path: Path, depth: int, place: Place | None = None) -> None:
        resolved = path.resolve()
        if resolved in self._open or depth > MOST_DEPTH:
            self._problems.add(
                f"{path} includes itself.", mend="Take the @INCLUDE out.", place=place
            )
            return
        text = read_text(path, self._problems, place)
        if text is None:
            return
        self._result.files.append(str(path))
        self._open.append(resolved)
        self._lines(path, text, depth)
        self._open.pop()

    def _lines(self, path: Path, text: str, depth: int) -> None:
        section: Section | None = None
        indent: int | None = None
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.rstrip()
            bare = line.lstrip(" \t")
            if not bare or bare[0] == "#":
                continue
            place = Place(str(path), number, len(line) - len(bare) + 1)
            if bare[0] == "@" and (command := COMMAND.match(bare)):
                self._command(command.group(1).upper(), command.group(2), path, place, depth)
                continue
            if bare[0] == "[" and line[0] == "[":
                section, indent = self._section(line, place), None
                continue
            if bare[0] == "[" and SECTION.match(bare):
                self._problems.add(
                    f"'{bare}' is indented.",
                    mend="The head of a section stands at the very beginning of its line.",
                    place=place,
                )
                section, indent = self._section(bare, place), None
                continue
            if section is None:
                self._problems.add(
                    f"'{bare}' stands in no section.",
                    mend="Begin a section first, as: [INPUT].",
                    place=place,
                )
                continue
            width = len(line) - len(bare)
            if indent is None:
                indent = width
            if not width or width != indent:
                what = (
                    "is not indented"
                    if not width
                    else "is indented otherwise than the lines above it"
                )
                self._problems.add(
                    f"'{bare}' {what}.",
                    mend="Give all entries of a section the same indentation.",
                    place=place,
                )
                continue
            self._entry(section, bare, place)

    def _section(self, line: str, place: Place) -> Section:
        """The section that a head begins; what stands under a bad head is read, so that its mistakes are told too."""
        found = SECTION.match(line)
        if not found:
            self._problems.add(
                f"'{line}' is no section.", mend="Write it as: [INPUT].", place=place
            )
            return Section("", place)
        section = Section(found.group(1).lower(), place)
        self._result.sections.append(section)
        return section

    def _entry(self, section: Section, line: str, place: Place) -> None:
        parts = line.split(None, 1)
        if len(parts) < 2:
            self._problems.add(f"'{parts[0]}' has no value.", mend="Write: key value.", place=place)
            return
        section.entries.append(Entry(parts[0], parts[1], place))

    def _command(self, name: str, rest: str, path: Path, place: Place, depth: int) -> None:
        if name == "SET":
            key, equals, value = rest.partition("=")
            if not equals or not key.strip():
                self._problems.add(
                    f"'@SET {rest}' sets nothing.", mend="Write: @SET NAME=value.", place=place
                )
                return
            self._variables.set(key.strip(), self._variables.expand(value.strip()))
        elif name == "INCLUDE":
            self._include(self._variables.expand(rest.strip()), path, place, depth)
        else:
            self._problems.add(
                f"'@{name}' is not known.", mend="There are @SET and @INCLUDE.", place=place
            )

    def _include(self, pattern: str, path: Path, place: Place, depth: int) -> None:
        # Compat: the main file's folder goes first (conformance: config/classic_include_nested).
        folders = (self._main_folder, path.parent, Path.cwd())
        found = find_files(pattern, folders)
        if not found and not is_pattern(pattern):
            self._problems.add(
                f"error: the included file '{pattern}' is not there.",
                mend=f"It was looked for in {', '.join(map(str, dict.fromkeys(folders)))}.",
                place=place,
            )
        for each in found:
            self.file(each, depth + 1, place)


def is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def find_files(pattern: str, folders: tuple[Path, ...]) -> list[Path]:
    """Files by name or wildcard pattern, sorted, of the first folder that has any."""
    for folder in folders:
        whole = folder / pattern
        if is_pattern(pattern):
            found = [Path(name) for name in sorted(glob.glob(str(whole))) if Path(name).is_file()]
        else:
            found = [whole] if whole.is_file() else []
        if found:
            return found
    return []
