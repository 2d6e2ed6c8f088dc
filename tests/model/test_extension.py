"""Values of MessagePack's extension types."""

from tailrace.model.extension import Extension


def test_values_are_equal_by_type_and_bytes():
    assert Extension(1, b"x") == Extension(1, b"x")
    assert (
        len({Extension(1, b"x"), Extension(1, b"x"), Extension(2, b"x"), Extension(1, b"y")}) == 3
    )
    assert Extension(1, b"x") != (1, b"x")


def test_a_message_can_show_it():
    assert repr(Extension(5, b"ab")) == "Extension(5, b'ab')"
