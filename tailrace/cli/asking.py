"""Asking a running agent over its HTTP API, for `tailrace top` and `tailrace tap`."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any

DEFAULT_URL = "http://127.0.0.1:2020"
SECONDS = 5.0


class NoAnswer(Exception):
    """The agent does not answer, or not as hoped; says why and how to mend it."""


def ask(url: str, path: str, token: str = "") -> Any:
    """What the API answers to GET, as a value."""
    base = url if "://" in url else f"http://{url}"
    request = urllib.request.Request(base.rstrip("/") + path)
    token = token or os.environ.get("TAILRACE_TOKEN", "")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise NoAnswer(explained(error, base)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NoAnswer(
            f"{base} does not answer: {reason}. Does the agent run with `http_server on` (-H)?"
        ) from error


def explained(error: urllib.error.HTTPError, base: str) -> str:
    with error:
        if error.code == 401:
            return f"{base} wants a token: give --token, or set TAILRACE_TOKEN."
        try:
            told = json.load(error)
            words = told.get("message") or told.get("error") or ""
        except (ValueError, AttributeError, OSError):
            words = ""
    if error.code == 404 and not words:
        return f"{base} has no such thing. Is chunk tracing on (-Z, enable_chunk_trace on)?"
    return f"{base} answers {error.code}: {words}"
