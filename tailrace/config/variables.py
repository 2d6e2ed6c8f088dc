"""Variables in configurations: `${NAME}` and `${NAME:-default}`.

`@SET` and the `env` section come before the process's environment. A name that is nowhere gives nothing; a dollar without
braces, or without the closing one, stays as it is. `HOSTNAME` is the machine's name unless it is set. Values never appear in messages: they may be secrets.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping

VARIABLE = re.compile(r"\$\{(?!\})([^}:]*?)(?::-([^}]*))?\}")


class Variables:
    """The variables of one configuration; `own` were set in its files."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.own: dict[str, str] = {}
        self._environ = environ

    def set(self, name: str, value: str) -> None:
        self.own[name] = value

    def expand(self, text: str) -> str:
        """The text with every variable replaced by its value."""
        if "${" not in text:
            return text
        return VARIABLE.sub(self._replacement, text)

    def _replacement(self, found: re.Match[str]) -> str:
        name, default = found.groups()
        value = self.own.get(name, self._environ.get(name))
        if value is None and name == "HOSTNAME":
            # Shells know it, but seldom export it.
            value = socket.gethostname()
        return value or (default or "")
