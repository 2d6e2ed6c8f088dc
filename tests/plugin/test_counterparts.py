"""Names of Fluent Bit's plugins."""

import pytest

from tailrace.plugin.counterparts import is_fluent_bits


@pytest.mark.parametrize(
    ("kind", "name", "is_one"),
    [
        ("input", "tail", True),
        ("output", "kafka-rest", True),
        ("output", "tail", False),
        ("filter", "", False),
        ("parser", "json", False),
    ],
)
def test_a_name_belongs_to_its_kind(kind, name, is_one):
    assert is_fluent_bits(kind, name) is is_one
