"""Profiles: the experimental signal of OpenTelemetry, passed on as it came.

A chunk of profiles (`kind` PROFILES) carries one `Profiles` as its payload and counts as many events as it has profiles.
"""

from __future__ import annotations

from dataclasses import dataclass

from tailrace.model.chunk import PROFILES, Chunk


@dataclass(slots=True, frozen=True)
class Profiles:
    """An `ExportProfilesServiceRequest` as protobuf: only what prints profiles looks inside."""

    data: bytes


def profiles_chunk(tag: str, data: bytes, count: int = 1) -> Chunk:
    """A chunk of profiles; without a single one it still counts as one event."""
    return Chunk.of_payload(tag, PROFILES, Profiles(data), max(1, count), len(data))
