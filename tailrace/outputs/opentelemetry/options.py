"""The options of the OpenTelemetry output."""

from __future__ import annotations

from typing import Any

from tailrace.config import ConfigError, KeyText, Options, group, one_of, option
from tailrace.config.types import Reader, read_bool, text
from tailrace.model.accessor import Accessor, AccessorError
from tailrace.net.auth import OAuth2Options
from tailrace.net.aws import AWSOptions
from tailrace.net.client import ClientOptions
from tailrace.plugin import OutputOptions
from tailrace.wire.otlp.encode_logs import LogKeys


class SignOptions(AWSOptions):
    service: str = option("logs")
    """Code of the AWS service that the requests go to."""


class LogOptions(Options):
    """`logs_*`: paths, limits, and where the parts of a log record come from (record accessors)."""

    uri: str = option("/v1/logs")
    """Path of logs."""

    max_resources: int = option(0)
    """Most resources in one request of logs; 0: no limit. What is beyond goes into further requests."""

    max_scopes: int = option(0)
    """Most scopes in one resource of a request; 0: no limit."""

    body_key: list[str] = option(many=True)
    """What becomes the body of the log record: the first of these that an event has, else the whole event. Default: `$log`, `$message`."""

    body_key_attributes: bool = option(False)
    """If a `logs_body_key` was found, send the event's other keys as attributes."""

    metadata_key: str = option("otlp")
    """The key of the metadata that holds what came as OTLP (severity, attributes, trace and span)."""

    observed_timestamp_metadata_key: str = option("$ObservedTimestamp")
    """Observed time (nanoseconds), in the metadata."""

    timestamp_metadata_key: str = option("$Timestamp")
    """Time (nanoseconds), in the metadata; default: the event's."""

    severity_text_metadata_key: str = option("$SeverityText")
    """Severity as text, in the metadata."""

    severity_number_metadata_key: str = option("$SeverityNumber")
    """Severity as a number from 1 to 24, in the metadata."""

    trace_flags_metadata_key: str = option("$TraceFlags")
    """Trace flags, in the metadata."""

    span_id_metadata_key: str = option("$SpanId")
    """Span: 8 bytes or 16 hexadecimal digits, in the metadata."""

    trace_id_metadata_key: str = option("$TraceId")
    """Trace: 16 bytes or 32 hexadecimal digits, in the metadata."""

    attributes_metadata_key: str = option("$Attributes")
    """A map of attributes, in the metadata."""

    instrumentation_scope_metadata_key: str = option("InstrumentationScope")
    """Without effect, as in Fluent Bit: the scope is that of the event's group. Another value is a warning."""

    resource_metadata_key: str = option("Resource")
    """Without effect, as in Fluent Bit: the resource is that of the event's group. Another value is a warning."""

    span_id_message_key: str = option("$SpanId")
    """Span, in the event, if the metadata has none."""

    trace_id_message_key: str = option("$TraceId")
    """Trace, in the event, if the metadata has none."""

    severity_text_message_key: str = option("$SeverityText")
    """Severity as text, in the event, if the metadata has none."""

    severity_number_message_key: str = option("$SeverityNumber")
    """Severity as a number from 1 to 24, in the event, if the metadata has none."""

    def keys(self) -> LogKeys:
        """The accessors; `ConfigError` for one that is none."""
        bodies = self.body_key or ["$log", "$message"]
        return LogKeys(
            body=[accessor("logs_body_key", each) for each in bodies],
            with_rest=self.body_key_attributes,
            otlp=self.metadata_key,
            observed_in_metadata=accessor(
                "logs_observed_timestamp_metadata_key", self.observed_timestamp_metadata_key
            ),
            time_in_metadata=accessor("logs_timestamp_metadata_key", self.timestamp_metadata_key),
            severity_text_in_metadata=accessor(
                "logs_severity_text_metadata_key", self.severity_text_metadata_key
            ),
            severity_number_in_metadata=accessor(
                "logs_severity_number_metadata_key", self.severity_number_metadata_key
            ),
            trace_flags_in_metadata=accessor(
                "logs_trace_flags_metadata_key", self.trace_flags_metadata_key
            ),
            span_id_in_metadata=accessor("logs_span_id_metadata_key", self.span_id_metadata_key),
            trace_id_in_metadata=accessor("logs_trace_id_metadata_key", self.trace_id_metadata_key),
            attributes_in_metadata=accessor(
                "logs_attributes_metadata_key", self.attributes_metadata_key
            ),
            span_id=accessor("logs_span_id_message_key", self.span_id_message_key),
            trace_id=accessor("logs_trace_id_message_key", self.trace_id_message_key),
            severity_text=accessor(
                "logs_severity_text_message_key", self.severity_text_message_key
            ),
            severity_number=accessor(
                "logs_severity_number_message_key", self.severity_number_message_key
            ),
        )


def accessor(name: str, text: str) -> Accessor:
    try:
        return Accessor(text)
    except AccessorError as error:
        raise ConfigError(f"{name}: {error}") from error


def read_http2(value: Any) -> str:
    word = text(value).strip().lower()
    if word == "force":
        return word
    try:
        return "on" if read_bool(value) else "off"
    except ConfigError:
        raise ConfigError(f"{value!r} is not known.", "Give on, off or force.") from None


class OpenTelemetryOptions(OutputOptions):
    client: ClientOptions = group()
    oauth2: OAuth2Options = group("oauth2.")
    aws: SignOptions = group("aws_")
    logs: LogOptions = group("logs_")

    add_label: list[KeyText] = option(many=True)
    """A label for all samples of metrics: `KEY VALUE`. May be given many times."""

    header: list[KeyText] = option(many=True)
    """A header, as: `X-Team storage`. May be given many times; of several of one name the last is sent."""

    compress: str = option("", reader=one_of("", "gzip", "zstd"))
    """Compress requests: gzip or zstd. A gRPC server that does not know it gets them as they are from then on."""

    batch_size: int = option(1000)
    """Most log records in one request."""

    http2: str = option("off", reader=Reader("off | on | force", read_http2))
    """Speak HTTP/2: off, on or force. With TLS `on` leaves the choice to the server (ALPN), `force` does not. Without TLS the server must know it."""

    grpc: bool = option(False)
    """Send by OTLP/gRPC; `http2` needs not be given. A server that chooses HTTP/1.1 in the TLS handshake gets OTLP/HTTP."""

    metrics_uri: str = option("/v1/metrics")
    """Path of metrics."""

    traces_uri: str = option("/v1/traces")
    """Path of traces."""

    profiles_uri: str = option("/v1development/profiles")
    """Path of profiles."""

    grpc_logs_uri: str = option("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
    """gRPC method of logs."""

    grpc_metrics_uri: str = option(
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    )
    """gRPC method of metrics."""

    grpc_traces_uri: str = option("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
    """gRPC method of traces."""

    grpc_profiles_uri: str = option(
        "/opentelemetry.proto.collector.profiles.v1experimental.ProfilesService/Export"
    )
    """gRPC method of profiles."""

    log_response_payload: bool = option(True)
    """Log what the server says along with its status."""

    http_user: str | None = option(None)
    """User for Basic authentication."""

    http_passwd: str = option("", secret=True)
    """Password for Basic authentication."""

    proxy: str = option("")
    """An HTTP proxy, as: http://HOST:PORT. Plain requests name the whole address, TLS and HTTP/2 go through a tunnel."""
