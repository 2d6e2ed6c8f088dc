"""`tailrace plugins [KIND [NAME]]`: list the plugins, or show one with its options."""

from __future__ import annotations

import argparse
import sys

from tailrace.cli.help import plugin_text, summary
from tailrace.config.errors import ConfigError
from tailrace.plugin import registry
from tailrace.plugin.base import Kind

KINDS: tuple[Kind, ...] = ("input", "parser", "filter", "processor", "output")


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("tailrace plugins", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("kind", nargs="?", choices=KINDS)
    parser.add_argument("name", nargs="?")
    arguments = parser.parse_args(argv)
    if arguments.name:
        try:
            print(plugin_text(arguments.kind, arguments.name))
        except ConfigError as error:
            print(f"tailrace: {error}", file=sys.stderr)
            return 1
        return 0
    for kind in [arguments.kind] if arguments.kind else KINDS:
        print(f"{kind}s")
        for name in registry.names(kind):
            print(f"  {name:24} {summary(kind, name)}")
    return 0
