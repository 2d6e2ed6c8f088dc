"""Options that plugins with connections share."""

import pytest

from tailrace.config import ConfigError, Odd
from tailrace.net.options import read_header


def test_a_header_without_a_value_is_sent_all_the_same():
    with pytest.raises(Odd, match=r"'X-Key' has no value.*X-Key VALUE") as told:
        read_header("X-Key")
    assert told.value.value == ("X-Key", "X-Key")


def test_what_may_be_a_secret_in_a_header_is_not_shown():
    with pytest.raises(Odd, match="'Authorization' has no value") as told:
        read_header("Authorization:s3cret")
    assert "s3cret" not in str(told.value)


def test_an_empty_header_is_refused():
    with pytest.raises(ConfigError):
        read_header(" ")
