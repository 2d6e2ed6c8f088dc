"""Which extra brings a library that is not there."""

import importlib.metadata

import pytest

from tailrace.engine.build import extra_that_brings, missing_extra

REQUIRED = [
    "lupa>=2.6; extra == 'all'",
    "opentelemetry-proto>=1.38; extra == 'all'",
    "ai-edge-litert>=2; extra == 'all'",
    "orjson>=3.11",
    "lupa>=2.6; extra == 'lua'",
    'opentelemetry-proto>=1.38 ; extra == "otlp"',
    "ai-edge-litert>=2; extra == 'tensorflow'",
    "isal>=1.8; platform_machine in 'x86_64 AMD64'",
    "tailrace[lua,otlp]; extra == 'common'",
]


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("lupa", "lua"),
        ("lupa.luajit21", "lua"),
        ("opentelemetry", "otlp"),
        ("opentelemetry.proto.logs.v1", "otlp"),
        ("ai_edge_litert", "tensorflow"),
        ("unheard_of", "all"),
        ("isal", "all"),
    ],
)
def test_the_extra_is_found_by_the_name_of_the_library(monkeypatch, module, extra):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIRED)
    assert extra_that_brings(module) == extra


def test_an_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIRED)
    error = ModuleNotFoundError("No module named 'lupa'", name="lupa")
    assert "pip install 'tailrace[lua]'" in missing_extra("filter lua", error)
