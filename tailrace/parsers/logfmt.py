"""Read `key=value` pairs; values may stand in double quotes, a bare key is true.

Example:
    [PARSER]
        Name   service
        Format logfmt
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tailrace.config import option
from tailrace.model import Body
from tailrace.plugin import Parsed, parser_plugin
from tailrace.plugin.decoding import decode_escaped_utf8
from tailrace.plugin.parsing import FieldParser, ParsingOptions

PAIR = re.compile(
    r'([^\x00-\x20="]+)(?:(=)(?:(")((?:[^"\\]|\\.)*)"?|([^\x00-\x20="]*)))?', re.DOTALL
)


class LogfmtOptions(ParsingOptions):
    logfmt_no_bare_keys: bool = option(False)
    """A line with a bare key does not parse."""


@parser_plugin("logfmt")
class Logfmt(FieldParser[LogfmtOptions]):
    def parse(self, lines: Sequence[str]) -> Parsed:
        return self.finish([self.body(line) for line in lines], drop_bad=False)

    def body(self, line: str) -> Body | None:
        body: Body = {}
        for key, equals, quote, quoted, plain in PAIR.findall(line):
            if not equals and self.options.logfmt_no_bare_keys:
                return None
            value: Any = quoted if quote else plain
            if quote and "\\" in value:
                value = decode_escaped_utf8(value)
            if not value and not quote:
                value = True
            body.pop(key, None)
            body[key] = (
                self.convert[key](value) if key in self.convert and type(value) is str else value
            )
        if not body:
            return None
        text = body.get(self.time_key)
        is_time = self.parse_time is not None and type(text) is str and text
        if is_time and self.parse_time and self.parse_time(text) is None:  # type: ignore[arg-type]  # it is a text
            return None
        return body
