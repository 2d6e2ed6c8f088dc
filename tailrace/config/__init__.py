"""What a plugin needs to declare its options."""

from tailrace.config.errors import ConfigError, Odd
from tailrace.config.options import Options, group, option
from tailrace.config.types import (
    CommaList,
    KeyText,
    Reader,
    Seconds,
    Size,
    Structure,
    WordList,
    one_of,
    words,
)

__all__ = [
    "CommaList",
    "ConfigError",
    "KeyText",
    "Odd",
    "Options",
    "Reader",
    "Seconds",
    "Size",
    "Structure",
    "WordList",
    "group",
    "one_of",
    "option",
    "words",
]
