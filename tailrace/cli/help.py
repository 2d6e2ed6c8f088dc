"""The texts of `tailrace -h` and `tailrace -i NAME -h`."""

from __future__ import annotations

import inspect
import sys
import textwrap
from typing import Any

from tailrace.config.errors import ConfigError
from tailrace.config.options import Described, describe
from tailrace.plugin import registry
from tailrace.plugin.base import Kind

USAGE = """\
Usage: tailrace [OPTION]...          run a pipeline
       tailrace COMMAND [-h] ...     do one of these:

Commands
  check FILE                    find what is wrong with a configuration; the guarantee of each route
  convert FILE                  write a classic configuration as YAML, or the other way round
  graph FILE                    draw the pipeline as SVG
  plugins [KIND [NAME]]         list the plugins, or the options of one
  new KIND NAME                 write a plugin with its test
  schema                        print the JSON Schema of configurations, for editors
  dlq list|show|replay|purge    look at dead letters, and send them again
  top [URL]                     watch a running pipeline: rates, queues, books
  tap INPUT [URL]               see the events of an input as they pass each stage
  chunks list|check|dump|repair look into a folder of stored chunks, Fluent Bit's included
  wamrc -o OUT.aot IN.wasm      compile a WebAssembly module ahead of time

Pipeline
  -c, --config=FILE             a configuration file (YAML if it ends in .yaml or .yml, else classic)
  -i, --input=INPUT             add an input; -t and -p that follow are its own
  -F, --filter=FILTER           add a filter
  -o, --output=OUTPUT           add an output
  -C, --custom=CUSTOM           add a custom plugin
  -p, --prop="KEY=VALUE"        an option of the plugin named last
  -t, --tag=TAG                 same as -p tag=TAG
  -m, --match=MATCH             same as -p match=MATCH
  -R, --parser=FILE             a file of parsers
  -e, --plugin=FILE             an external plugin
  -T, --sp-task=SQL             a stream processor task
  -f, --flush=SECONDS           seconds between flushes (default 1)
  -b, --storage_path=PATH       where chunks are kept on disk

Running
  -D, --dry-run                 check everything, start nothing
  -d, --daemon                  run in the background
      --processes=N             run N engines, which share ports and divide files
      --watch                   take up the configuration whenever one of its files changes
      --supervisor              run under a parent process that starts it again
  -w, --workdir=PATH            the working directory
  -Y, --enable-hot-reload       take up a changed configuration at SIGHUP
  -W, --disable-thread-safety-on-hot-reloading
                                at a reload wait for undelivered data only for the grace time

Seeing
  -v, --verbose                 debug log (-vv: trace)
  -q, --quiet                   errors and warnings only
  -l, --log_file=FILE           write the log to a file
  -H, --http                    serve the HTTP API
  -L, --http_listen=ADDRESS     its address (default 127.0.0.1)
  -P, --port=PORT               its port (default 2020)
  -Z, --enable-chunk-trace      let records be traced, through the HTTP API or by the next ones
      --trace="input=NAME output=PLUGIN output.KEY=VALUE"
                                trace an input from the start (also: --trace-input,
                                --trace-output, --trace-output-property)
  -J, --help-json               print the schema of all plugins as JSON
  -V, --version                 print the version
  -h, --help                    this help; after -i, -F, -o or -r (processor) NAME: that plugin's
"""


def show_help(plugin: tuple[str, str] | None) -> int:
    """Print the help of the command, or of one plugin (kind and name)."""
    if plugin is None:
        print(USAGE)
        return 0
    kind, name = plugin
    try:
        print(plugin_text(kind, name))  # type: ignore[arg-type]  # the command line gives a kind
    except ConfigError as error:
        print(f"tailrace: {error}", file=sys.stderr)
        return 1
    return 0


def plugin_doc(kind: Kind, name: str) -> str:
    """The docstring of a plugin's module, which is its reference text."""
    cls = registry.find(kind, name)
    return inspect.cleandoc(sys.modules[cls.__module__].__doc__ or cls.__doc__ or "")


def summary(kind: Kind, name: str) -> str:
    """The first line of a plugin's text, or what is missing to load it."""
    try:
        return plugin_doc(kind, name).split("\n")[0]
    except ImportError as error:
        return f"(needs the Python module '{error.name}')"


def plugin_text(kind: Kind, name: str) -> str:
    """One plugin's text and options, for a terminal."""
    cls: Any = registry.find(kind, name)
    lines = [f"{kind} {name}", "", plugin_doc(kind, name), "", "Options"]
    for option in describe(registry.options_class(cls)):
        lines += option_lines(option)
    return "\n".join(lines)


def option_lines(option: Described) -> list[str]:
    details = [option.type]
    if option.required:
        details.append("must be given")
    elif option.default not in (None, "", []):
        details.append(f"default: {default_text(option)}")
    if option.many:
        details.append("may be given many times")
    text = textwrap.fill(option.help, 76, initial_indent="      ", subsequent_indent="      ")
    return [f"  {option.name}  ({', '.join(details)})", *([text] if text else []), ""]


def default_text(option: Described) -> str:
    if isinstance(option.default, bool):
        return "on" if option.default else "off"
    return str(option.default)
