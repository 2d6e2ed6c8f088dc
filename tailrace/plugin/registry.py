"""Finding plugins by kind and name: built-in ones by module, others by registration or entry point.

`find("filter", "grep")` imports `tailrace.filters.grep`, whose decorator registers the class. Nothing is
imported before it is named.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from tailrace.config.errors import ConfigError, comment_hint, did_you_mean
from tailrace.config.options import Options
from tailrace.plugin.base import Kind

PACKAGES: dict[str, str] = {
    "input": "tailrace.inputs",
    "parser": "tailrace.parsers",
    "filter": "tailrace.filters",
    "processor": "tailrace.processors",
    "output": "tailrace.outputs",
    "custom": "tailrace.customs",
}

_registered: dict[tuple[str, str], type[Any]] = {}

P = TypeVar("P", bound=type[Any])


def _decorator(kind: Kind) -> Callable[..., Callable[[P], P]]:
    def named(name: str, *aliases: str) -> Callable[[P], P]:
        def register(cls: P) -> P:
            cls.name = name
            for each in (name, *aliases):
                _registered[kind, each] = cls
            return cls

        return register

    return named


input_plugin = _decorator("input")
parser_plugin = _decorator("parser")
filter_plugin = _decorator("filter")
processor_plugin = _decorator("processor")
output_plugin = _decorator("output")
custom_plugin = _decorator("custom")


class UnknownPlugin(ConfigError):
    """There is no plugin of this kind and name."""


def find(kind: Kind, name: str) -> type[Any]:
    """The class of a plugin; names ignore letter case, and `-` counts as `_` (`kafka-rest`)."""
    word = name.lower()
    found = _registered.get((kind, word))
    if found is None:
        _import(kind, word.replace("-", "_"))
        found = _registered.get((kind, word)) or _from_entry_point(kind, word)
    if found is None:
        raise UnknownPlugin(f"there is no {kind} plugin '{name}'.", _mend(kind, name))
    return found


def _mend(kind: Kind, name: str) -> str:
    from tailrace.plugin.counterparts import is_fluent_bits  # only when something is wrong

    if is_fluent_bits(kind, name.lower()):
        return f"Fluent Bit has it, Tailrace does not have it yet: leave it out, or let Fluent Bit go on doing that part. `tailrace plugins` lists all {kind} plugins."
    return (
        comment_hint(name)
        or did_you_mean(name, names(kind))
        or f"`tailrace plugins` lists all {kind} plugins."
    )


def snapshot() -> dict[tuple[str, str], type[Any]]:
    """What is registered now, for `restore`."""
    return dict(_registered)


def restore(registered: dict[tuple[str, str], type[Any]]) -> None:
    """Forget what was registered since the snapshot, and what took the place of another plugin."""
    _registered.clear()
    _registered.update(registered)


def is_known(kind: Kind, name: str) -> bool:
    """Whether there is a plugin of this kind and name, an installed package's too; built-in ones are not imported."""
    word = name.lower()
    return (
        (kind, word) in _registered
        or word.replace("-", "_") in built_in(kind)
        or _from_entry_point(kind, word) is not None
    )


def _import(kind: Kind, module: str) -> None:
    if not module.isidentifier():
        return
    path = f"{PACKAGES[kind]}.{module}"
    if importlib.util.find_spec(PACKAGES[kind]) is None or importlib.util.find_spec(path) is None:
        return
    importlib.import_module(path)


def _from_entry_point(kind: Kind, name: str) -> type[Any] | None:
    from importlib.metadata import entry_points  # 17 ms, so only when a name is not built in

    for entry in entry_points(group=f"tailrace.{kind}s"):
        if entry.name == name:
            entry.load()
            return _registered.get((kind, name))
    return None


def built_in(kind: Kind) -> list[str]:
    """Names of all plugins of a kind that Tailrace brings, without importing any."""
    if importlib.util.find_spec(PACKAGES[kind]) is None:
        return []
    package = importlib.import_module(PACKAGES[kind])
    modules = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in modules if not name.startswith("_"))


def names(kind: Kind) -> list[str]:
    """Names of all built-in and registered plugins of a kind, without importing any."""
    registered = {name for registered_kind, name in _registered if registered_kind == kind}
    return sorted({*built_in(kind), *registered})


def make(cls: type[Any], options: Any, context: Any) -> Any:
    """An instance whose `context` is there before its `__init__` runs."""
    plugin: Any = object.__new__(cls)
    plugin.context = context
    plugin.__init__(options)
    return plugin


def options_class(cls: type[Any]) -> type[Any]:
    """The `Options` class that a plugin names in its bases, as in `Filter[GrepOptions]`."""
    for base in cls.__mro__:
        for generic in getattr(base, "__orig_bases__", ()):
            for argument in typing.get_args(generic):
                if isinstance(argument, type) and issubclass(argument, Options):
                    return argument
    raise TypeError(f"{cls.__qualname__} names no options class, as in Filter[MyOptions]")
