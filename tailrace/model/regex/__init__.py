"""Ruby regular expressions, as Fluent Bit takes them, on Python's engines.

    regex = compile_regex(r"^(?<level>\\w+): (?<text>.*)$")
    regex.search("warn: low").group("level")     -> "warn"

A pattern is read by Ruby's rules and written anew for the stdlib's `re`, which is fastest, or, where that lacks
something, for the `regex` module. Text is `str`; bytes that are no UTF-8 arrive as lone surrogates
(`surrogateescape`) and count as one character each.

No pattern may hang the agent: match whole batches under `with budget(seconds)`, which ends a match that
backtracks without end with `RegexTimeout`.

Known differences from Onigmo: `\\b` follows Python's idea of a word beside combining marks; under `(?i)` a class does
not match two letters for one ("[ß]" matches "ß" and "ẞ", and alone also "ss"); what groups matched inside a
recursive call is forgotten after it; back references with a recursion level are refused.
"""

from tailrace.model.regex.compiled import Match, Regex, compile_regex
from tailrace.model.regex.deadline import budget
from tailrace.model.regex.errors import RegexError, RegexTimeout

__all__ = ["Match", "Regex", "RegexError", "RegexTimeout", "budget", "compile_regex"]
