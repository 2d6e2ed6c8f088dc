"""Append facts about the system: host name, kernel, versions.

Example:
    Name         sysinfo
    Match        *
    Hostname_key host
"""

from __future__ import annotations

import platform
import socket

from tailrace import __version__
from tailrace.config import option
from tailrace.model import Chunk
from tailrace.plugin import Filter, FilterOptions, filter_plugin


class SysinfoOptions(FilterOptions):
    fluentbit_version_key: str = option("")
    """Field for the agent's version."""

    os_name_key: str = option("")
    """Field for the system's name: linux, macos, windows."""

    hostname_key: str = option("")
    """Field for the host's name."""

    os_version_key: str = option("")
    """Field for the system's version."""

    kernel_version_key: str = option("")
    """Field for the kernel's version."""


NAMES = {"Linux": "linux", "Darwin": "macos", "Windows": "win64"}


@filter_plugin("sysinfo")
class Sysinfo(Filter[SysinfoOptions]):
    def __init__(self, options: SysinfoOptions) -> None:
        super().__init__(options)
        system = platform.uname()
        facts = (
            (options.fluentbit_version_key, __version__),
            (options.os_name_key, NAMES.get(system.system, system.system.lower())),
            (options.hostname_key, socket.gethostname()),
            (options.os_version_key, system.version),
            (options.kernel_version_key, system.release),
        )
        self.facts = {key: value for key, value in facts if key}

    def process(self, chunk: Chunk) -> Chunk:
        facts, keys = self.facts, self.facts.keys()
        for body in chunk.bodies:
            if not keys.isdisjoint(body):
                for key in keys:
                    body.pop(key, None)
            body.update(facts)
        return chunk
