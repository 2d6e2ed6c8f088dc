"""Which file an event goes to, and that it never lies outside the folder that was configured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tailrace.config import ConfigError
from tailrace.model import Chunk
from tailrace.model.accessor import MISSING, AccessorError, Template, value_text
from tailrace.model.time import strftime_ns

UNSAFE_IN_TAG = re.compile(r"[^A-Za-z0-9._/\-]")
UNFIT = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]")


class Destinations:
    """The paths of one output instance."""

    def __init__(self, options: Any) -> None:
        self._options = options
        self._by_tag = not options.file
        self._is_dynamic = "$" in options.path or "$" in options.file
        self._has_time = options.enable_strftime and "%" in options.path + options.file
        self._known: set[str] = set()
        if self._is_dynamic or self._has_time:
            self._check()
        try:
            self._path, self._file = Template(options.path), Template(options.file)
        except AccessorError as error:
            raise ConfigError(f"file: {error}") from error

    def _check(self) -> None:
        options = self._options
        if options.path.startswith(("$", "%")):
            raise ConfigError(
                f"path: '{options.path}' begins with a variable.",
                "Begin with a fixed folder, as: /var/log/$app.",
            )
        if not options.fallback_file:
            raise ConfigError(
                "fallback_file is missing.",
                "Add it: it takes records whose own file can't be named.",
            )
        if self._is_dynamic and options.max_dynamic_files < 1:
            raise ConfigError("max_dynamic_files: 0 files are too few.", "Give at least 1.")

    def split(self, chunk: Chunk) -> Iterator[tuple[Path | None, Chunk]]:
        """Parts of a chunk with their files; None where there is none and the record is refused."""
        if not self._is_dynamic and not self._has_time:
            yield self._fixed(chunk.tag), chunk
            return
        paths = [self.path_of(chunk, index) for index in range(chunk.count)]
        for path, part in chunk.split(paths).items():
            yield (None if path is None else Path(path)), part

    def _fixed(self, tag: str) -> Path:
        folder = Path(self._options.path)
        return folder / (name_of_tag(tag) if self._by_tag else self._options.file)

    def path_of(self, chunk: Chunk, index: int) -> str | None:
        """The path for one event as text, or None."""
        body, time = chunk.bodies[index], chunk.times[index]
        for template in (self._path, self._file):
            for accessor in template.accessors:
                value = accessor.get(body)
                if value is MISSING or not (value == "" or is_fit(value_text(value))):
                    return self._fallback(self._options.on_missing_field)
        path = self._path.render(body, name_of_tag(chunk.tag))
        name = (
            self._file.render(body, name_of_tag(chunk.tag))
            if self._options.file
            else name_of_tag(chunk.tag)
        )
        if name.strip(".") == "" or ups(path) != ups(self._options.path):
            return self._fallback(self._options.on_missing_field)
        if self._has_time:
            path, name = strftime_ns(path, time), strftime_ns(name, time)
        whole = str(Path(path) / name)
        if self._is_dynamic and whole not in self._known:
            if len(self._known) >= self._options.max_dynamic_files:
                return self._fallback(self._options.on_limit_reached)
            self._known.add(whole)
        return whole

    def path_of_metrics(self, tag: str) -> Path:
        """The path for metrics, which have no fields to name a file by."""
        if not self._is_dynamic and not self._has_time:
            return self._fixed(tag)
        return Path(self._fallback_path())

    def _fallback(self, action: str) -> str | None:
        return self._fallback_path() if action == "fallback" else None

    def _fallback_path(self) -> str:
        folder = self._options.fallback_path or fixed_beginning(self._options.path)
        return str(Path(folder) / self._options.fallback_file)


def fixed_beginning(path: str) -> str:
    """The folders of a path before the first variable."""
    fixed = []
    for part in path.split("/"):
        if "$" in part or "%" in part:
            break
        fixed.append(part)
    return "/".join(fixed) or "."


def _underlines(found: re.Match[str]) -> str:
    """One for each byte, as in Fluent Bit: other tags of the same letters keep files of their own more often."""
    return "_" * len(found.group().encode("utf-8", "surrogateescape"))


def name_of_tag(tag: str) -> str:
    """A relative path made of a tag: safe characters, no empty, `.` or `..` parts."""
    safe = UNSAFE_IN_TAG.sub(_underlines, tag.replace("\\", "/"))
    parts = ["_" if part in (".", "..") else part for part in safe.split("/") if part]
    return "/".join(parts) or "_"


def ups(path: str) -> int:
    """How many parts of a path lead up: empty values may make dots stand alone."""
    return path.split("/").count("..")


def is_fit(text: str) -> bool:
    """Whether a value may stand in a path: no separators, no control characters, no dots alone, not empty."""
    return (
        bool(text)
        and len(text.encode("utf-8", "surrogateescape")) < 256
        and text.strip(".") != ""
        and not UNFIT.search(text)
    )
