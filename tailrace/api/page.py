"""The page for browsers at `/`."""

HTML = b"<!doctype html><title>Tailrace</title>"
