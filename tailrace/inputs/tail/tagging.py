"""The tag of a file's events: `*` stands for its path, `<name>` for a group of `tag_regex`."""

from collections.abc import Callable

from tailrace.config import ConfigError

SEPARATORS = "/\\:"


class NoTag(Exception):
    """The path does not fit `tag_regex`."""


def tagger(tag: str, tag_regex: str) -> Callable[[str], str]:
    """A function from a path to the tag of its events; it raises `NoTag`."""
    if tag_regex:
        return by_regex(tag, tag_regex)
    if "*" in tag:
        before, after = tag.split("*", 1)
        return lambda path: clean(before + path + after)
    return lambda path: tag


def clean(text: str) -> str:
    """Slashes, backslashes and colons become dots, one for several; a leading one and all stars are left out."""
    kept: list[str] = []
    for character in text:
        if character in SEPARATORS:
            if not kept:
                continue
            character = "."
        if character == "*" or (character == "." and kept and kept[-1] == "."):
            continue
        kept.append(character)
    cleaned = "".join(kept)
    return cleaned[:-1] if cleaned.endswith(".") else cleaned


def by_regex(tag: str, tag_regex: str) -> Callable[[str], str]:
    from tailrace.model.regex import RegexError, compile_regex

    try:
        search = compile_regex(tag_regex).search
    except RegexError as error:
        raise ConfigError(f"tag_regex: '{tag_regex}' is no regular expression: {error}") from error
    parts = template(tag)

    def expand(path: str) -> str:
        found = search(path)
        if found is None:
            raise NoTag(f"tag_regex '{tag_regex}' does not match '{path}'")
        groups = found.groupdict()
        return "".join(text if fixed else groups.get(text) or "_" for fixed, text in parts)

    return expand


def template(tag: str) -> list[tuple[bool, str]]:
    """Pieces of a tag: (True, text as it is) and (False, name of a group)."""
    parts: list[tuple[bool, str]] = []
    rest = tag
    while "<" in rest:
        before, rest = rest.split("<", 1)
        name, closed, rest = rest.partition(">")
        if not closed or "<" in name:
            raise ConfigError(
                f"tag: a closing bracket is missing in '{tag}'.",
                "Write group names as: app.<name>.",
            )
        parts += [(True, before), (False, name)]
    return [*parts, (True, rest)]
