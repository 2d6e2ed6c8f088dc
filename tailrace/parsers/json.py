"""Read a line that is one JSON object.

Example:
    [PARSER]
        Name        app
        Format      json
        Time_Key    time
        Time_Format %Y-%m-%dT%H:%M:%S.%L%z
"""

from collections.abc import Sequence

from tailrace.plugin import Parsed, parser_plugin
from tailrace.plugin.parsing import FieldParser, ParsingOptions
from tailrace.wire.json import decode_block, decode_texts


@parser_plugin("json")
class Json(FieldParser[ParsingOptions]):
    takes_blocks = True
    takes_types = False

    def parse(self, lines: Sequence[str]) -> Parsed:
        return self.finish(decode_texts(lines), drop_bad=False)

    def parse_block(self, block: bytes) -> Parsed:
        return self.finish(decode_block(block), drop_bad=False)
