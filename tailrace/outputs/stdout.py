"""Print events on standard output; metrics, traces and profiles, if the format is not one of OTLP, as text for people.

Example:
    Name   stdout
    Match  *
    Format json_lines
"""

from __future__ import annotations

from tailrace.config import one_of, option
from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk, Group
from tailrace.plugin import Output, OutputOptions, Reject, Retry, output_plugin
from tailrace.plugin.console import write_stdout
from tailrace.wire import metrics_text
from tailrace.wire.notation import event_text, value_text
from tailrace.wire.records import text_encoder
from tailrace.wire.size import groups_shown

OTLP = ("otlp_json", "otlp_json_pretty")
FORMATS = ("msgpack", "json", "json_lines", "json_stream", *OTLP)


class StdoutOptions(OutputOptions):
    format: str = option("msgpack", reader=one_of(*FORMATS, otherwise="msgpack"))
    """msgpack (the text form `[0] tag: [[time, {}], {...}]`), json, json_lines, json_stream, or OTLP in JSON: otlp_json, otlp_json_pretty."""

    json_date_format: str = option("double")
    """double, iso8601, iso8601_ns, epoch, epoch_ms or java_sql_timestamp."""

    json_date_key: str = option("date")
    """The key of the time in JSON; false leaves it out."""


@output_plugin("stdout")
class Stdout(Output[StdoutOptions]):
    handles = LOGS | METRICS | TRACES | PROFILES
    keeps_chunks = False

    def __init__(self, options: StdoutOptions) -> None:
        super().__init__(options)
        self.layout = options.format
        escape = self.context.service("json.escape_unicode")
        if self.layout not in ("msgpack", *OTLP):
            self.encode = text_encoder(
                options.json_date_key, options.json_date_format, self.layout, escape
            )

    async def flush(self, chunk: Chunk) -> None:
        if self.layout in OTLP:
            if chunk.kind is PROFILES:
                raise Reject("there is no OTLP/JSON of profiles")
            data = self.as_otlp(chunk)
        elif chunk.kind is PROFILES:
            from tailrace.wire.otlp.profiles_text import profiles_text

            data = profiles_text(chunk.payload.data).encode("utf-8", "surrogateescape")
        elif chunk.kind is TRACES:
            from tailrace.wire import traces_text

            data = traces_text.encode(chunk.payload).encode("utf-8", "surrogateescape")
        elif chunk.kind is METRICS:
            data = metrics_text.encode(chunk.payload).encode("utf-8", "surrogateescape")
        elif self.layout == "msgpack":
            data = self.as_text(chunk)
        else:
            data = self.encode(chunk)
            if self.layout != "json_lines":
                data += b"\n"
        try:
            await write_stdout(data)
        except BrokenPipeError as error:
            if self.context.is_only_output:
                self.context.log.warn("who read standard output has gone: the agent ends")
                self.context.stop_agent()
            raise Retry("who read standard output has gone") from error
        except OSError as error:
            raise Retry(f"standard output can't be written: {error.strerror}") from error

    def as_otlp(self, chunk: Chunk) -> bytes:
        pretty = self.layout == "otlp_json_pretty"
        if chunk.kind is METRICS:
            from tailrace.wire.otlp.encode_json_metrics import metrics_json

            return metrics_json(chunk.payload, pretty) + b"\n"
        if chunk.kind is TRACES:
            from tailrace.wire.otlp.encode_json_traces import traces_json

            return traces_json(chunk.payload, pretty) + b"\n"
        from tailrace.wire.otlp.encode_json_logs import logs_json

        return logs_json(chunk, pretty=pretty) + b"\n"

    def as_text(self, chunk: Chunk) -> bytes:
        chunk.open()
        metadata = chunk.metadata or [{}] * chunk.count
        lines = [
            f"[{number}] {chunk.tag}: {event_text(time, meta, body)}\n"
            for number, (time, meta, body) in enumerate(
                zip(chunk.times, metadata, chunk.bodies, strict=True)
            )
        ]
        if chunk.groups is not None:
            lines = [
                line if group is None else group_text(group) + line
                for group, line in zip(groups_shown(chunk.groups), lines, strict=True)
            ]
        return "".join(lines).encode("utf-8", "surrogateescape")


def group_text(group: Group) -> str:
    """What stands before each event of a group."""
    return (
        f"GROUP METADATA : \n\n{value_text(group.metadata)}\n\n"
        f"GROUP ATTRIBUTES : \n\n{value_text(group.body)}\n\n"
    )
