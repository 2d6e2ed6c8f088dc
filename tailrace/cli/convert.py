"""`tailrace convert FILE [-o OUT]`: a classic configuration as YAML, or a YAML one as classic."""

from __future__ import annotations

import argparse
import os
import sys

from tailrace.cli.writing import write_result
from tailrace.config.convert import to_classic, to_yaml
from tailrace.config.errors import ConfigError
from tailrace.config.load import load


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser("tailrace convert", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", help="a configuration, classic or YAML")
    parser.add_argument("-o", "--output", help="write here instead of to standard output")
    parser.add_argument("--to", choices=("yaml", "classic"), help="default: the other format")
    arguments = parser.parse_args(argv)
    configuration, problems = load(arguments.file, None, os.environ)
    for problem in problems:
        print(f"{problem.severity}: {problem}", file=sys.stderr)
    if problems.errors:
        return 1
    is_yaml = arguments.file.endswith((".yaml", ".yml"))
    target = arguments.to or ("classic" if is_yaml else "yaml")
    try:
        text = to_yaml(configuration) if target == "yaml" else to_classic(configuration)
    except ConfigError as error:
        print(f"tailrace: {error}", file=sys.stderr)
        return 1
    return write_result(text, arguments.output)
