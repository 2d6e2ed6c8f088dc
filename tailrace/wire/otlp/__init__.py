"""OTLP, the protocol of OpenTelemetry: its messages to and from the models. Pure functions; sockets are elsewhere.

Source: OpenTelemetry Protocol specification 1.x and its protobuf definitions (opentelemetry-proto 1.x).
"""
