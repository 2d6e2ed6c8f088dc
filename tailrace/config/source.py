"""A configuration as it was written: sections of entries, each with its place.

Both readers (classic and YAML) give this one model; nothing here knows a plugin or an option's type.
Values from the classic format and the command line are text; values from YAML are text too for every
scalar (as Fluent Bit reads them), lists and maps where an option was given one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from tailrace.config.errors import Place

Value = str | list["Value"] | dict[str, "Value"] | None
"""What a key was given: text (scalars are kept as written), a list, or a map; `None` for YAML's null."""


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Entry:
    """One `key value` as written; `place` is the key's."""

    key: str
    value: Value
    place: Place

    @property
    def name(self) -> str:
        """The key in lower case: option names ignore letter case."""
        return self.key.lower()


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Section:
    """One block of the configuration, such as one `[INPUT]`.

    `kind` is in lower case: service, parser, multiline_parser, input, filter, processor, output, custom,
    stream_task, plugins, upstream, node, env. `children` are what stands inside: a YAML input's or output's processors (kind
    `processor`, in order, `group` = logs, metrics, traces or profiles), an upstream's nodes.
    """

    kind: str
    place: Place
    entries: list[Entry] = field(default_factory=list)
    children: list["Section"] = field(default_factory=list)
    group: str = ""

    def all(self, name: str) -> list[Entry]:
        """Every entry with this name (lower case), in order."""
        return [entry for entry in self.entries if entry.name == name]

    def last(self, name: str) -> Entry | None:
        """The entry that counts where a name may stand once: the last."""
        found = self.all(name)
        return found[-1] if found else None

    def text(self, name: str, default: str = "") -> str:
        """The value of `name` if it is text, else the default."""
        entry = self.last(name)
        return entry.value if entry and isinstance(entry.value, str) else default

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)


class Configuration:
    """All that the files and the command line said, in order."""

    def __init__(self, service: Section) -> None:
        self.service = service
        self.env: dict[str, str] = {}
        self.parsers: list[Section] = []
        self.multiline_parsers: list[Section] = []
        self.inputs: list[Section] = []
        self.filters: list[Section] = []
        self.outputs: list[Section] = []
        self.customs: list[Section] = []
        self.stream_tasks: list[Section] = []
        self.upstreams: list[Section] = []
        self.plugins: list[Entry] = []
        """Paths of external plugins (`plugins_file`, `-e`, YAML `plugins`)."""
        self.files: list[str] = []

    """Every file that was read, the main one first; what `--watch` and reload look at."""
