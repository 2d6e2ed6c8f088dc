"""Plugin names with an address behind them: `-o tcp://127.0.0.1:5170`, `Name es://10.0.0.1:9200/index`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from tailrace.config.errors import Problems
from tailrace.config.source import Entry, Section


def split_address(name: str) -> tuple[str, str, str, str]:
    """Plugin, host, port and path of a name; all but the first are empty if it holds no address.

    The host of an IPv6 address stands in brackets.
    """
    plugin, sign, rest = name.partition("://")
    if not sign or not plugin or not rest:
        return name, "", "", ""
    if rest.startswith("["):
        host, _, rest = rest[1:].partition("]")
    else:
        end = min((at for at in map(rest.find, ":/") if at >= 0), default=len(rest))
        host, rest = rest[:end], rest[end:]
    port, slash, path = rest.removeprefix(":").partition("/")
    return plugin, host, port, slash + path


def with_address(
    section: Section, name: Entry, known: Collection[str], problems: Problems, where: str
) -> Section:
    """The section with its name's address as options `host` (or `listen`), `port` and `uri`. What the section says itself counts more."""
    _, host, port, path = split_address(str(name.value))
    if not host:
        return section
    wanted = {"listen" if "listen" in known else "host": host, "port": port, "uri": path}
    added = []
    for key, value in wanted.items():
        if not value or section.all(key):
            continue
        if key in known:
            added.append(Entry(key, value, name.place))
        elif value != "/":
            problems.add(
                f"'{value}' in the address is passed over: there is no option {key}.",
                place=name.place,
                where=where,
                severity="warning",
            )
    return replace(section, entries=[*added, *section.entries])
