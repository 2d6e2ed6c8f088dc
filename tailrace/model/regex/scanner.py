"""Walk along the text of a Ruby regular expression: characters, comments, escapes."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from tailrace.model.regex import charset
from tailrace.model.regex.charset import Ranges
from tailrace.model.regex.errors import RegexError

STRAY_BYTES: Final = (0xDC80, 0xDCFF)
"""How bytes that are not UTF-8 stand in text (Python's `surrogateescape`)."""

_TYPE_LETTERS: Final = {
    "w": (charset.WORD, "word"),
    "d": (charset.DIGIT, "digit"),
    "s": (charset.SPACE, "space"),
    "h": (charset.HEX_DIGIT, "xdigit"),
}
_CONTROLS: Final = {"n": 10, "t": 9, "r": 13, "f": 12, "a": 7, "b": 8, "e": 27, "v": 11}
_BLANKS: Final = " \t\n\r\f"
_BYTE_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3}))")
_WIDE_ESCAPE: Final = re.compile(r"x\{([0-9A-Fa-f]{1,8})\}")


class Options(NamedTuple):
    """`i`, `m` and `x`, and which characters `\\w \\d \\s \\b` and POSIX brackets mean: d, a or u."""

    fold: bool = False
    newlines: bool = False
    extended: bool = False
    charset: str = "d"


class Scanner:
    """A place in a pattern, and the options that hold there."""

    def __init__(self, text: str, options: Options) -> None:
        self.text = text
        self.options = options
        self.position = 0

    def error(self, what: str) -> RegexError:
        return RegexError(
            f"{self.text!r} is not a regular expression: {what} (at character {self.position + 1})"
        )

    def more(self) -> bool:
        return self.position < len(self.text)

    def peek(self) -> str:
        return self.text[self.position]

    def next(self) -> str:
        char = self.text[self.position]
        self.position += 1
        return char

    def next_or(self, complaint: str) -> str:
        if not self.more():
            raise self.error(complaint)
        return self.next()

    def take(self, char: str) -> bool:
        if not self.text.startswith(char, self.position):
            return False
        self.position += len(char)
        return True

    def skip_comments(self) -> None:
        while self.more():
            if self.text.startswith("(?#", self.position):
                self.skip_bracketed_comment()
            elif self.options.extended and self.peek() == "#":
                end = self.text.find("\n", self.position)
                self.position = end + 1 if end >= 0 else len(self.text)
            elif self.options.extended and self.peek() in _BLANKS:
                self.position += 1
            else:
                return

    def skip_bracketed_comment(self) -> None:
        end = re.compile(r"(?:[^\\)]|\\.)*+\)", re.DOTALL).match(self.text, self.position + 3)
        if end is None:
            raise self.error("a closing ) is missing for the comment opened here")
        self.position = end.end()

    # Escapes; the position is behind the backslash.

    def class_escape(self) -> Ranges | None:
        r"""The characters of `\w` and its like, or None for another escape."""
        letter = self.peek()
        if letter not in "wWdDsShH":
            return None
        self.position += 1
        ascii_only, everywhere = _TYPE_LETTERS[letter.lower()]
        ranges = charset.posix_ranges(everywhere) if self.options.charset == "u" else ascii_only
        return charset.complement(ranges) if letter.isupper() else ranges

    def property_escape(self) -> Ranges:
        r"""The characters of `\p{name}`, `\p{^name}` or `\P{name}`."""
        negated = self.next() == "P"
        self.position += 1
        if self.take("^"):
            negated = not negated
        end = self.text.find("}", self.position)
        name = self.text[self.position : end] if end >= 0 else ""
        try:
            ranges = charset.property_ranges(name)
        except charset.UnknownProperty:
            raise self.error(f"there is no character property {name!r}") from None
        self.position = end + 1
        return charset.complement(ranges) if negated else ranges

    def escaped_code(self) -> int:
        """The code point of any other escape; a byte that is no UTF-8 gives its stand-in."""
        letter = self.next_or(r"a \ stands at the end; write \\ for the sign itself")
        if letter in "xu" and not self.more():
            return ord(letter)
        if letter == "x" and self.text.startswith("{", self.position):
            return self.wide_code()
        if letter in "x01234567":
            return self.byte_code()
        if letter == "u":
            return self.unicode_code()
        if letter in "cCM":
            return self.control_code(letter)
        return _CONTROLS.get(letter, ord(letter))

    def wide_code(self) -> int:
        found = _WIDE_ESCAPE.match(self.text, self.position - 1)
        if found is None:
            return ord("x")
        self.position = found.end()
        return self.valid_code(int(found[1], 16))

    def unicode_code(self) -> int:
        digits = self.text[self.position : self.position + 4]
        if not re.fullmatch("[0-9A-Fa-f]{4}", digits):
            raise self.error(r"\u takes four hexadecimal digits")
        self.position += 4
        return self.valid_code(int(digits, 16))

    def valid_code(self, code: int) -> int:
        if code > charset.LAST_CODE:
            raise self.error(f"there is no character {code:#x}")
        return code

    def control_code(self, letter: str) -> int:
        if letter != "c" and not self.take("-"):
            raise self.error(f"\\{letter} takes a - and a character")
        char = self.next_or(f"\\{letter} takes a character")
        if letter != "M" and char == "?":
            return 0x7F
        code = self.escaped_code() if char == "\\" else ord(char)
        return code & 0xFF | 0x80 if letter == "M" else code & 0x9F

    def byte_code(self) -> int:
        """`\\xHH` or octal; several that make up a character in UTF-8 are one."""
        self.position -= 2
        first = self.one_byte()
        if first < 0x80:
            return first
        behind_first = self.position
        sequence = bytearray([first])
        while len(sequence) < 4 and (byte := self.another_byte()) is not None:
            sequence.append(byte)
            try:
                return ord(sequence.decode())
            except UnicodeDecodeError:
                continue
        self.position = behind_first
        return STRAY_BYTES[0] + first - 0x80

    def one_byte(self) -> int:
        byte = self.another_byte()
        if byte is None:
            # `\x` without digits is NUL.
            self.position += 2
            return 0
        if byte > 0xFF:
            raise self.error("an octal escape goes up to \\377")
        return byte

    def another_byte(self) -> int | None:
        found = _BYTE_ESCAPE.match(self.text, self.position)
        if found is None:
            return None
        self.position = found.end()
        return int(found[1], 16) if found[1] else int(found[2], 8)
