"""The page for browsers at `/`: one file with everything in it, which asks `/api/v2/pipeline` every second."""

from __future__ import annotations

from pathlib import Path

HTML = Path(__file__).with_name("page.html").read_bytes()
