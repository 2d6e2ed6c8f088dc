"""OTLP, the OpenTelemetry protocol: requests and answers as bytes, to Tailrace's models and back.

Source: https://opentelemetry.io/docs/specs/otlp/ (1.x) and its `.proto` files. Each signal has one request message, as protobuf
or as JSON ("JSON Protobuf Encoding": names in camelCase, 64-bit integers as text, identifiers in hexadecimal, bytes in base64).

| room | is |
| --- | --- |
| `values` | attributes and bodies: OTLP's `AnyValue` as plain values |
| `decode_logs`, `decode_logs_json`, `decode_metrics`, `decode_traces` | requests to models |
| `encode_logs`, `encode_metrics`, `encode_traces` | models to requests, by way of `protobuf`, its wire format |
| `profiles` | requests of profiles as text |
| `answer` | what a receiver answers |
| `reading` | protobuf read directly, for logs |
| `json_messages` | JSON to protobuf messages, for the signals that are not on the fastest way |
"""
