"""What can be wrong with the description of a time."""


class TimeFormatError(ValueError):
    """A time format, offset or zone that cannot be used."""


class UnknownConversionError(TimeFormatError):
    """A time format with a letter that stands for nothing."""
