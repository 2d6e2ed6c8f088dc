"""The `regex` module, imported when first needed: it costs 24 ms and 3 MB, and few patterns need it."""

from functools import cache
from typing import Any


@cache
def regex_module() -> Any:
    import regex  # type: ignore[import-untyped]  # no stubs among the development tools

    return regex
