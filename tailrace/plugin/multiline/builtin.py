"""The multiline parsers that need no definition.

docker and cri join the parts into which container runtimes split long lines, for each stream of a container
([Docker's JSON driver](https://docs.docker.com/engine/logging/drivers/json-file/),
[Kubernetes' CRI log format](https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md)).
java, go, python and ruby join the stack traces that those languages print.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from tailrace.config.errors import Place, Problems
from tailrace.config.source import Entry, Section
from tailrace.model import Body
from tailrace.plugin.base import Parsed, Parser, ParserOptions
from tailrace.plugin.multiline.rules import MultilineParser, RuleText, link

STACKS: dict[str, tuple[tuple[str, str, str], ...]] = {
    # What threw, then frames, causes and suppressed exceptions; also those of .NET and V8.
    "java": (
        (
            "start_state, nested",
            # With something before it; said behind it, since then only words' first letters are looked at.
            r"(?:Error(?<=.Error)|Exception(?<=.Exception)|Throwable(?<=.Throwable)"
            r"|V8 errors stack trace(?<=.V8 errors stack trace))[:\n\r]",
            "thrown",
        ),
        ("thrown", r"^[ \t]*nested exception is:[ \t]*", "nested"),
        ("thrown", r"^[\n\r]*$", "thrown"),
        ("thrown, frames", r"^[ \t]+(?:eval )?at ", "frames"),
        ("thrown, frames", r"^[ \t]+--- End of inner exception stack trace ---$", "frames"),
        (
            "thrown, frames",
            r"^--- End of stack trace from previous location where exception was thrown ---$",
            "frames",
        ),
        ("thrown, frames", r"^[ \t]*(?:Suppressed|Caused by):", "thrown"),
        ("thrown, frames", r"^[ \t]*... \d+ (?:common frames omitted|more)", "frames"),
    ),
    # The panic, a signal perhaps, then goroutines: their functions, each with its place.
    "go": (
        ("start_state", r"\bpanic: ", "panic"),
        ("start_state", r"http: panic serving", "goroutine"),
        ("panic, signal, function", r"^$", "goroutine"),
        ("panic", r"^\[signal ", "signal"),
        ("goroutine", r"^goroutine \d+ \[[^\]]+\]:$", "function"),
        ("function", r"^created by |^(?:[^.:\s]+\.)*[^.():\s]+\(", "place"),
        ("place", r"^\s", "function"),
    ),
    # Frames with their code up to the line that names the exception.
    "python": (
        ("start_state", r"^Traceback \(most recent call last\):$", "frames"),
        ("frames", r"^[ \t]+File ", "code"),
        ("code", r"[^ \t]", "frames"),
        ("frames", r"^(?:[^.():\s]+\.)*[^.():\s]+:", "start_state"),
    ),
    # Where it was raised, then where that came from.
    "ruby": (
        ("start_state", r"^.+:\d+:in\s+.*", "raised"),
        ("raised", r"^\s+from\s+.*:\d+:in\s+.*", "raised"),
    ),
}


@cache
def built_in(name: str) -> MultilineParser | None:
    """The multiline parser of this name (in any letter case), or None."""
    lower = name.lower()
    if lower == "docker":
        return MultilineParser(
            "docker",
            "endswith",
            match_string="\n",
            key_content="log",
            key_group="stream",
            parser=line_parser("format json", "time_format %Y-%m-%dT%H:%M:%S.%L"),
        )
    if lower == "cri":
        return MultilineParser(
            "cri",
            "equal",
            match_string="F",
            key_content="log",
            key_pattern="_p",
            key_group="stream",
            parser=CRILines(),
        )
    if lower not in STACKS:
        return None
    texts = [
        RuleText(tuple(state.strip() for state in states.split(",")), regex, following)
        for states, regex, following in STACKS[lower]
    ]
    return MultilineParser(lower, "regex", link(texts))


CRI_STREAMS = frozenset({"stdout", "stderr"})
CRI_MARKS = frozenset({"F", "P"})


class CRILines(Parser[ParserOptions]):
    """Lines of CRI: `TIME STREAM MARK TEXT`. One split takes most apart, at a third of the expression's cost; the expression the others."""

    def __init__(self) -> None:
        self.by_regex = line_parser(
            "format regex",
            r"regex ^(?<time>.+?) (?<stream>stderr|stdout) (?<_p>[FP]) (?<log>.*)$",
            "skip_empty_values off",
            "time_format %Y-%m-%dT%H:%M:%S.%L%z",
        )
        super().__init__(self.by_regex.options)

    def parse(self, lines: Sequence[str]) -> Parsed:
        bodies: list[Body | None] = []
        others: list[int] = []
        for at, line in enumerate(lines):
            parts = line.split(" ", 3)
            if len(parts) == 4 and parts[1] in CRI_STREAMS and parts[2] in CRI_MARKS and parts[0]:
                time, stream, mark, text = parts
                bodies.append({"time": time, "stream": stream, "_p": mark, "log": text})
            else:
                bodies.append(None)
                others.append(at)
        found: Parsed = self.by_regex.finish(bodies, drop_bad=True)
        if others:
            more = self.by_regex.parse([lines[at] for at in others])
            for at, time_ns, body in zip(others, more.times, more.bodies, strict=True):
                found.times[at], found.bodies[at] = time_ns, body
        return found


def line_parser(*lines: str) -> Any:
    """The parser of one line of a container's file; it keeps the time's text."""
    from tailrace.plugin.parsing import make_parser

    place = Place("built-in")
    settings = ["name line", *lines, "time_key time", "time_keep on", "time_strict off"]
    entries = [Entry(key, value, place) for key, value in (line.split(" ", 1) for line in settings)]
    problems = Problems()
    made = make_parser(Section("parser", place, entries), problems)
    assert made is not None, problems.found
    return made
