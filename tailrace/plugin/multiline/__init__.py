"""Joining lines to events by rules: the multiline parsers of `tail` and of the filter `multiline`.

A multiline parser says which lines belong together; `built_in` finds those that need no definition (docker, cri,
java, go, python, ruby), `make_rules` makes one of a `[MULTILINE_PARSER]` section. A `Stream` holds the state of one source
of lines: a file, or one tag of one filter.

    stream = Stream([built_in("java")], limit=2 << 20)
    joined = Joined()
    stream.feed_lines(["java.lang.Error: x", "\\tat a.B(B.java:1)", "done"], [0, 19, 38], now_ns, joined)
    joined.bodies  -> [{"log": "java.lang.Error: x\\n\\tat a.B(B.java:1)\\n"}, {"log": "done\\n"}]
"""

from tailrace.plugin.multiline.builtin import built_in
from tailrace.plugin.multiline.rules import (
    LEAST_FLUSH_MS,
    MultilineOptions,
    MultilineParser,
    Rule,
    flush_ms_of,
    make_rules,
)
from tailrace.plugin.multiline.stream import TRUNCATED, Joined, Stream

__all__ = [
    "LEAST_FLUSH_MS",
    "TRUNCATED",
    "Joined",
    "MultilineOptions",
    "MultilineParser",
    "Rule",
    "Stream",
    "built_in",
    "flush_ms_of",
    "make_rules",
]
