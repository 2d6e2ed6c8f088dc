"""Choose keys of logs, rename them, and drop events, by an SQL query.

Example:
    name:  sql
    query: "SELECT status, host AS machine FROM STREAM WHERE status >= 500;"

The keys stay in the order of the record. NOT takes in all that follows it; AND and OR bind alike, to the
right: use brackets to say otherwise.
"""

from tailrace.config import ConfigError
from tailrace.model import Body, Chunk
from tailrace.model.sql import SQLError, parse
from tailrace.plugin import Processor, ProcessorOptions, processor_plugin


class SqlOptions(ProcessorOptions):
    query: str
    """`SELECT keys FROM STREAM [WHERE condition];`"""


@processor_plugin("sql")
class Sql(Processor[SqlOptions]):
    def __init__(self, options: SqlOptions) -> None:
        super().__init__(options)
        try:
            self.query = parse(options.query, plain=True)
        except SQLError as error:
            raise ConfigError(f"query: {error}") from error
        self.names = {item.key: item.label for item in self.query.items}

    def process(self, chunk: Chunk) -> Chunk:
        where = self.query.where
        if where is not None:
            tag = chunk.tag
            bodies, times = chunk.bodies, chunk.times
            chunk = chunk.select(map(where, bodies, [tag] * chunk.count, times))
        if self.names:
            chunk.bodies = [self.chosen(body) for body in chunk.bodies]
        return chunk

    def chosen(self, body: Body) -> Body:
        names = self.names
        return {names[key]: value for key, value in body.items() if key in names}
