"""What can go wrong with a regular expression."""


class RegexError(ValueError):
    """A pattern that is not a Ruby regular expression, or that no engine here can match."""


class RegexTimeout(Exception):
    """Matching took longer than its budget: some pattern backtracks without end on some text."""
