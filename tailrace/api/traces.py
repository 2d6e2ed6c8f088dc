"""The bodies of trace requests, read with their types checked.

A body that is not what it must be is refused as a whole. (Fluent Bit 2.0.7 to 3.0.3 took any type for text there: CVE-2024-4323.)
"""

from __future__ import annotations

from typing import Any

import orjson

from tailrace.engine.control import TraceRequest

MOST_INPUTS = 1000
LIMITS = ("seconds", "count")


class TraceProblem(ValueError):
    """What is wrong with a request, and the status to answer with."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


def read_body(body: bytes) -> dict[str, Any]:
    if not body:
        raise TraceProblem(400, "missing request body")
    try:
        value = orjson.loads(body)
    except ValueError as error:
        raise TraceProblem(503, f"the body is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise TraceProblem(503, "input is not an object")
    return value


def read_inputs(body: bytes) -> list[str]:
    """The names under `inputs`."""
    names = read_body(body).get("inputs")
    if not isinstance(names, list):
        raise TraceProblem(503, "inputs not found")
    if len(names) > MOST_INPUTS or not all(isinstance(name, str) for name in names):
        raise TraceProblem(503, "invalid input")
    return names


def read_trace(body: bytes) -> TraceRequest:
    """`output`, `prefix`, `params` and `limit` of a request; the input is not in it."""
    given = read_body(body)
    made = TraceRequest("")
    for key, value in given.items():
        if key in ("output", "prefix"):
            if not isinstance(value, str):
                raise TraceProblem(503, f"{key} is not a string")
            setattr(made, key, value)
        elif key == "params":
            if not isinstance(value, dict) or not all(
                isinstance(each, str) for each in value.values()
            ):
                raise TraceProblem(503, "params is not a map of strings")
            made.params = value
        elif key == "limit":
            _read_limit(made, value)
        elif key != "inputs":
            raise TraceProblem(503, f"there is no parameter '{key}'")
    return made


def _read_limit(made: TraceRequest, value: Any) -> None:
    if not isinstance(value, dict) or len(value) != 1:
        raise TraceProblem(503, "limit must have a single limit type")
    [(kind, amount)] = value.items()
    if kind not in LIMITS:
        raise TraceProblem(503, "unknown limit type")
    if type(amount) is not int or amount < 0:
        raise TraceProblem(503, "limit type must be an integer")
    if kind == "seconds":
        made.most_seconds = float(amount)
    else:
        made.most_chunks = amount
