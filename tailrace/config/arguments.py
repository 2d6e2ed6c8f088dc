"""The command line of Fluent Bit: flags in, service entries and plugin sections out.

`-t`, `-m` and `-p` belong to the plugin named last by `-i`, `-F`, `-o` or `-C`.
"""

from __future__ import annotations

import shlex

from tailrace.config.errors import Place, did_you_mean
from tailrace.config.source import Entry, Section

PLUGIN_FLAGS = frozenset({"input", "filter", "output", "custom", "processor"})
SHORT = {
    "b": "storage_path",
    "c": "config",
    "d": "daemon",
    "D": "dry-run",
    "f": "flush",
    "C": "custom",
    "i": "input",
    "F": "filter",
    "m": "match",
    "o": "output",
    "p": "prop",
    "P": "port",
    "R": "parser",
    "r": "processor",
    "e": "plugin",
    "l": "log_file",
    "t": "tag",
    "T": "sp-task",
    "v": "verbose",
    "w": "workdir",
    "H": "http",
    "L": "http_listen",
    "s": "coro_stack_size",
    "q": "quiet",
    "S": "sosreport",
    "V": "version",
    "h": "help",
    "J": "help-json",
    "Y": "enable-hot-reload",
    "W": "disable-thread-safety-on-hot-reloading",
    "Z": "enable-chunk-trace",
}
SWITCHES = frozenset(
    {
        "daemon",
        "dry-run",
        "supervisor",
        "verbose",
        "http",
        "quiet",
        "sosreport",
        "version",
        "help",
        "help-json",
        "enable-hot-reload",
        "enable-chunk-trace",
        "enable-fips",
        "watch",
        "disable-thread-safety-on-hot-reloading",
    }
)
VALUES = frozenset(set(SHORT.values()) - SWITCHES) | {
    "http_listen",
    "http_port",
    "processes",
    "trace",
    "trace-input",
    "trace-output",
    "trace-output-property",
}
SERVICE_VALUES = {
    "storage_path": "storage.path",
    "flush": "flush",
    "parser": "parsers_file",
    "log_file": "log_file",
    "port": "http_port",
    "http_port": "http_port",
    "http_listen": "http_listen",
    "processes": "processes",
    "coro_stack_size": "coro_stack_size",
}
SERVICE_SWITCHES = {
    "http": ("http_server", "on"),
    "enable-hot-reload": ("hot_reload", "on"),
    "disable-thread-safety-on-hot-reloading": ("hot_reload.ensure_thread_safety", "off"),
    "enable-chunk-trace": ("enable_chunk_trace", "on"),
}
VERBOSITY = {1: "debug", 2: "trace"}
NOT_THERE = {
    "sosreport": "there is no report for support; `tailrace check FILE` and SIGCONT show the state.",
    "enable-fips": "FIPS mode is a matter of the system's OpenSSL; it can't be turned on here.",
}


class ArgumentsError(ValueError):
    """What is wrong with the command line, and how to mend it."""


class TraceArguments:
    """A trace to begin with: `--trace`, or `--trace-input` and its companions."""

    def __init__(self) -> None:
        self.input = ""
        self.output = "stdout"
        self.properties: dict[str, str] = {}


class Arguments:
    """What the command line says. A plain class: as a dataclass it would cost a millisecond of every start."""

    def __init__(self) -> None:
        self.config: str | None = None
        self.service: list[Entry] = []
        self.sections: list[Section] = []
        """Plugins in order, each with its entries."""
        self.plugins: list[Entry] = []
        self.stream_tasks: list[Entry] = []
        self.trace = TraceArguments()
        self.workdir = ""
        self.dry_run = False
        self.daemon = False
        self.supervisor = False
        self.watch = False
        self.version = False
        self.help = False
        self.help_plugin: tuple[str, str] | None = None
        self.json_schema = False
        self.verbosity = 0
        self.warnings: list[tuple[str, str]] = []
        """What is odd, and how to mend it."""


def parse(argv: list[str]) -> Arguments:
    """Read the arguments (without the program's name)."""
    made = Arguments()
    at = 0
    while at < len(argv):
        place = Place("command line")
        for name, value in flags_of(argv[at]):
            if name in VALUES and value is None:
                at += 1
                if at >= len(argv):
                    raise ArgumentsError(f"{argv[at - 1]} needs a value.")
                value = argv[at]
            apply(made, name, value or "", place)
        at += 1
    finish(made)
    return made


def flags_of(word: str) -> list[tuple[str, str | None]]:
    """Long names with their values (None: none was attached) of one word of the command line."""
    if word.startswith("--") and len(word) > 2:
        name, equals, value = word[2:].partition("=")
        return [(known(name, word), value if equals else None)]
    if not word.startswith("-") or len(word) < 2:
        raise ArgumentsError(
            f"'{word}' is no flag. `tailrace -h` lists them; a configuration is given with -c FILE."
        )
    found: list[tuple[str, str | None]] = []
    for index, letter in enumerate(word[1:], 1):
        if letter not in SHORT:
            raise ArgumentsError(f"there is no flag '-{letter}'. `tailrace -h` lists them.")
        name = SHORT[letter]
        if name in VALUES:
            rest = word[index + 1 :]
            found.append((name, rest or None))
            break
        found.append((name, None))
    return found


def known(name: str, word: str) -> str:
    if name in SWITCHES or name in VALUES:
        return name
    mend = did_you_mean(name, SWITCHES | VALUES) or "`tailrace -h` lists the flags."
    raise ArgumentsError(f"there is no flag '{word}'. {mend}")


def apply(made: Arguments, name: str, value: str, place: Place) -> None:
    """What one flag means."""
    if name in NOT_THERE:
        raise ArgumentsError(f"--{name}: {NOT_THERE[name]}")
    if name in PLUGIN_FLAGS:
        made.sections.append(Section(name, place, [Entry("name", value, place)]))
    elif name in ("tag", "match"):
        last_section(made, f"-{name[0]}").entries.append(Entry(name, value, place))
    elif name == "prop":
        add_property(made, value, place)
    elif name in SERVICE_VALUES:
        made.service.append(Entry(SERVICE_VALUES[name], value, place))
    elif name in SERVICE_SWITCHES:
        key, setting = SERVICE_SWITCHES[name]
        made.service.append(Entry(key, setting, place))
    elif name == "plugin":
        made.plugins.append(Entry("path", value, place))
    elif name == "sp-task":
        made.stream_tasks.append(Entry("exec", value, place))
    elif name == "trace":
        add_trace(made.trace, value)
    elif name in ("trace-input", "trace-output"):
        setattr(made.trace, name.removeprefix("trace-"), value)
    elif name == "trace-output-property":
        add_trace_property(made.trace, value)
    elif name == "config":
        made.config = value
    elif name == "workdir":
        made.workdir = value
    elif name == "verbose":
        made.verbosity += 1
    elif name == "quiet":
        made.verbosity = -1
    elif name == "help-json":
        made.json_schema = True
    else:
        setattr(made, name.replace("-", "_"), True)


def last_section(made: Arguments, flag: str) -> Section:
    if not made.sections:
        raise ArgumentsError(f"{flag} belongs to a plugin: give -i, -F or -o first.")
    return made.sections[-1]


def add_property(made: Arguments, text: str, place: Place) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        # Compat: the original passes it over.
        made.warnings.append((f"-p '{text}' sets nothing.", "Write it as: -p key=value."))
        last_section(made, "-p")
        return
    last_section(made, "-p").entries.append(Entry(key.strip(), value, place))


def add_trace(trace: TraceArguments, text: str) -> None:
    """A whole trace in one text: `input=dummy.0 output=stdout output.format=json_lines`."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ArgumentsError(f"--trace '{text}': {error}.") from error
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key in ("input", "output"):
            setattr(trace, key, value)
        elif equals and key.startswith("output."):
            trace.properties[key.removeprefix("output.")] = value
        else:
            raise ArgumentsError(
                f"--trace: '{word}' is not known. Write: input=NAME output=PLUGIN output.KEY=VALUE."
            )


def add_trace_property(trace: TraceArguments, text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ArgumentsError(f"--trace-output-property '{text}' sets nothing. Write: key=value.")
    trace.properties[key.strip()] = value


def finish(made: Arguments) -> None:
    """Settle what depends on several flags."""
    if made.verbosity:
        level = "warn" if made.verbosity < 0 else VERBOSITY[min(made.verbosity, 2)]
        made.service.append(Entry("log_level", level, Place("command line")))
    if made.help and made.sections:
        section = made.sections[-1]
        made.help_plugin = (section.kind, section.text("name"))
    elif any(section.kind == "processor" for section in made.sections):
        raise ArgumentsError(
            "-r names a processor to show its help: add -h. Processors are configured in YAML."
        )
