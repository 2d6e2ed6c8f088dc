"""What is wrong with a configuration, where, and how to mend it.

Problems are collected, not raised one by one: a reader or a check puts every `Problem` it finds into a
`Problems` list, so that a user sees all of them at once. `ConfigError` is for code that cannot go on
(a plugin's `__init__`, an option type's reader); whoever knows the place turns it into a `Problem`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]

FAILED_LOAD = 1
"""Exit code for a configuration that cannot be read (Fluent Bit's)."""
FAILED_START = 255
"""Exit code for a plugin instance that cannot be configured or started (Fluent Bit's)."""


class Place(NamedTuple):
    """A position in a configuration; lines and columns count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file]
        if self.line:
            parts.append(str(self.line))
            if self.column:
                parts.append(str(self.column))
        return ":".join(parts)


class ConfigError(Exception):
    """What is wrong (`what`), and how to mend it (`mend`, a sentence, may be empty)."""

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(f"{what} {mend}".rstrip())
        self.what = what
        self.mend = mend


class Odd(Exception):
    """A value is not what the option takes, and yet means something: `value` counts, and the user is warned.

    An option's reader raises it for what Fluent Bit starts with as well. `what` and `mend` as in `ConfigError`.
    """

    def __init__(self, value: object, what: str, mend: str = "") -> None:
        super().__init__(f"{what} {mend}".rstrip())
        self.value = value
        self.what = what
        self.mend = mend


class Problem(NamedTuple):
    """One thing that is wrong; `where` names the instance, as `filter grep (grep.0)`."""

    what: str
    mend: str = ""
    place: Place | None = None
    where: str = ""
    severity: Severity = "error"
    exit_code: int = FAILED_LOAD

    def __str__(self) -> str:
        head = ", ".join(part for part in (str(self.place or ""), self.where) if part)
        text = f"{self.what} {self.mend}".rstrip()
        return f"{head}: {text}" if head else text


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Problems:
    """A growing list of what is wrong with one configuration."""

    found: list[Problem] = field(default_factory=list)

    def add(
        self,
        what: str,
        *,
        mend: str = "",
        place: Place | None = None,
        where: str = "",
        severity: Severity = "error",
        exit_code: int = FAILED_LOAD,
    ) -> None:
        self.found.append(Problem(what, mend, place, where, severity, exit_code))

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.found)

    def __bool__(self) -> bool:
        return bool(self.found)

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.found if problem.severity == "error"]


class InvalidConfiguration(Exception):
    """A configuration with at least one error; `problems` holds them all."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def comment_hint(value: object) -> str:
    """What to do about a comment behind a value, where the value will not do; else an empty text."""
    if isinstance(value, str) and re.search(r"\s#", value):
        return "A comment needs a line of its own: what follows a value belongs to it."
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean 'regex'?`, or an empty text if nothing known is like the word."""
    import difflib  # only when something is wrong

    close = difflib.get_close_matches(
        word.lower(), [name.lower() for name in known], n=1, cutoff=0.6
    )
    return f"Did you mean '{close[0]}'?" if close else ""
