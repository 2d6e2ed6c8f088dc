"""Read labelled tab-separated values: `label:value`, a tab between two.

Example:
    [PARSER]
        Name        access
        Format      ltsv
        Time_Key    time
        Time_Format [%d/%b/%Y:%H:%M:%S %z]

A label of other characters than letters, digits, `_`, `.` and `-` ends the record there; a value without a label is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tailrace.model import Body
from tailrace.plugin import Parsed, parser_plugin
from tailrace.plugin.parsing import FieldParser, ParsingOptions

FIELD = re.compile(r"([0-9A-Za-z_.\-]*):([^\t\r\n]*)(?:[\t\r\n]+|\Z)")


@parser_plugin("ltsv")
class Ltsv(FieldParser[ParsingOptions]):
    def parse(self, lines: Sequence[str]) -> Parsed:
        bodies = [self.body(line) for line in lines]
        return self.finish(bodies, drop_bad=False)

    def body(self, line: str) -> Body | None:
        body: Body = {}
        at = 0
        while found := FIELD.match(line, at):
            key, value = found.groups()
            at = found.end()
            if key:
                body.pop(key, None)
                body[key] = value
        if not body:
            return None
        text = body.get(self.time_key)
        if self.parse_time and text and self.parse_time(text) is None:
            return None
        for key, convert in self.convert.items():
            if key in body:
                body[key] = convert(body[key])
        return body
