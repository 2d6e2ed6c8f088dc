"""Names of Fluent Bit's plugins, to tell one that is not built in from a name that is misspelt."""

from __future__ import annotations

NAMES = {
    "input": """
        blob calyptia_fleet collectd cpu disk docker docker_events dummy ebpf elasticsearch etw event_type exec exec_wasi
        fluentbit_logs fluentbit_metrics forward gpu_metrics head health http kafka kmsg kubernetes_events lib mem mqtt
        netif nginx_metrics node_exporter_metrics opentelemetry podman_metrics proc process_exporter_metrics
        prometheus_remote_write prometheus_scrape prometheus_textfile random serial splunk statsd stdin syslog systemd
        tail tcp thermal udp unix_socket windows_exporter_metrics winevtlog winlog winstat
    """,
    "filter": """
        alter_size aws checklist ecs expect geoip2 grep kubernetes log_to_metrics lua modify multiline nest nightfall
        parser record_modifier rewrite_tag stdout sysinfo tensorflow throttle throttle_size type_converter wasm
    """,
    "processor": """
        content_modifier cumulative_to_delta labels metrics_selector opentelemetry_envelope sampling sql tda
    """,
    "output": """
        azure azure_blob azure_kusto azure_logs_ingestion bigquery chronicle cloudwatch_logs counter datadog es exit file
        flowcounter forward gcs gelf http influxdb kafka kafka-rest kinesis_firehose kinesis_streams lib logdna loki nats
        nrlogs null opensearch opentelemetry oracle_log_analytics pgsql plot prometheus_exporter
        prometheus_remote_write s3 skywalking slack splunk stackdriver stdout syslog tcp td udp vivo_exporter websocket
    """,
}


def is_fluent_bits(kind: str, name: str) -> bool:
    """Whether Fluent Bit has a plugin of this kind and name (in lower case)."""
    return name in NAMES.get(kind, "").split()
