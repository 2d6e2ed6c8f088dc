"""Options declared once, typed, on the plugin; reading, checking, help and schema come from there.

    class GrepOptions(FilterOptions):
        regex: list[KeyText] = option(many=True)
        '''Keep a record whose field matches: `FIELD REGEX`. May be given many times.'''

An options object is frozen. A field without a default must be given. `group("tls.")` takes in another
`Options` class whose names stand behind the prefix.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple, Self, dataclass_transform

from tailrace.config.errors import (
    FAILED_LOAD,
    FAILED_START,
    ConfigError,
    Odd,
    Place,
    Problems,
    comment_hint,
    did_you_mean,
)
from tailrace.config.source import Entry
from tailrace.config.types import Reader, reader_for

REQUIRED: Any = object()


@dataclass(slots=True, eq=False, repr=False, match_args=False)
class Spec:
    """One option as it was declared."""

    default: Any = REQUIRED
    name: str = ""
    many: bool = False
    prefix: str = ""
    last_wins: bool = False
    secret: bool = False
    aliases: tuple[str, ...] = ()
    group: bool = False
    sequence: tuple[tuple[str, Reader], ...] = ()
    attribute: str = ""
    annotation: Any = None
    reader: Reader | None = None
    owner: type[Options] | None = None

    def start_value(self) -> Any:
        return self.default() if callable(self.default) else self.default


def option(
    default: Any = REQUIRED,
    *,
    name: str = "",
    many: bool = False,
    prefix: str = "",
    last_wins: bool = False,
    secret: bool = False,
    aliases: tuple[str, ...] = (),
    reader: Reader | None = None,
    sequence: tuple[tuple[str, Reader], ...] = (),
) -> Any:
    """Declare an option.

    `default`: its value when it is not given (a callable is called). `name`: how users write it, when
    that differs from the attribute (`db.sync`). `many`: it may be given several times and holds a list.
    `prefix`: every key that begins so belongs to it, and it holds a dict of what follows the prefix to the value.
    `sequence`: several keys, each with its reader, that share one list in the order they were written.
    `last_wins`: given twice, the last counts instead of being an error. `secret`: never shown.
    """
    if default is REQUIRED and many:
        default = list
    if default is REQUIRED and prefix:
        default = dict
    return Spec(
        default, name, many, prefix, last_wins, secret, aliases, reader=reader, sequence=sequence
    )


def group(prefix: str = "") -> Any:
    """Declare a field that holds another `Options` class; `prefix` stands before each of its names."""
    return Spec(default=None, name=prefix, group=True)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(option, group))
class Options:
    """Typed options of one plugin instance; see the module."""

    _declared: typing.ClassVar[dict[str, Spec]] = {}
    is_common: typing.ClassVar[bool] = False
    """What this class itself declares is an option of all plugins of a kind; a bad value ends the start as a bad file does."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declared = dict(cls._declared)
        for attribute in cls.__dict__.get("__annotations__", {}):  # noqa: RUF063  # inspect costs 7 ms
            if attribute.startswith("_"):
                continue
            value = cls.__dict__.get(attribute, REQUIRED)
            spec = value if isinstance(value, Spec) else Spec(default=value)
            name = spec.name or ("" if spec.group else attribute)
            declared[attribute] = replace(spec, name=name, attribute=attribute, owner=cls)
        cls._declared = declared

    def __init__(self, **values: Any) -> None:
        for attribute, spec in self._declared.items():
            if attribute in values:
                value = values.pop(attribute)
            elif spec.group:
                value = type_hints(type(self))[attribute]()
            elif spec.default is REQUIRED:
                raise TypeError(f"{type(self).__name__}: {attribute} is missing")
            else:
                value = spec.start_value()
            object.__setattr__(self, attribute, value)
        if values:
            raise TypeError(f"{type(self).__name__} has no {', '.join(values)}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"options are frozen: {name}")

    def __repr__(self) -> str:
        shown = (
            f"{name}={'***' if self._declared[name].secret else value!r}"
            for name, value in self.__dict__.items()
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    @classmethod
    def read(
        cls,
        entries: Iterable[Entry],
        problems: Problems,
        where: str = "",
        place: Place | None = None,
        skip: frozenset[str] = frozenset({"name"}),
    ) -> Self | None:
        """Options from what was written; every problem goes into `problems`; None if one of them is an error.

        `skip` names entries that are not the plugin's.
        """

        def warn(odd: Odd, name: str, place: Place | None) -> None:
            problems.add(
                f"{name}: {odd.what}",
                mend=odd.mend,
                place=place,
                where=where,
                severity="warning",
            )

        table = option_table(cls)
        given: dict[str, list[tuple[Entry, str]]] = {}
        failed = False
        for entry in entries:
            if entry.name in skip:
                continue
            found = table.find(entry.name)
            if found is None:
                failed = True
                problems.add(
                    f"unknown configuration property '{entry.key}'.",
                    mend=did_you_mean(entry.name, table.names),
                    place=entry.place,
                    where=where,
                    exit_code=FAILED_START,
                )
                continue
            given.setdefault(found.name, []).append((entry, entry.name))
        values: dict[str, Any] = {}
        for name, spec in table.by_name.items():
            try:
                values[name] = _value_of(spec, given.get(name, []), warn)
            except _Misread as error:
                failed = True
                problems.add(
                    error.what,
                    mend=error.mend,
                    place=error.place or place,
                    where=where,
                    exit_code=FAILED_LOAD if is_common(spec) else FAILED_START,
                )
        return None if failed else _assemble(cls, values, "")


def is_common(spec: Spec) -> bool:
    """Whether an option is declared by a base class of all plugins of a kind."""
    return bool(spec.owner is not None and spec.owner.__dict__.get("is_common"))


class _Misread(Exception):
    def __init__(self, what: str, mend: str, place: Place | None) -> None:
        self.what, self.mend, self.place = what, mend, place


Warn = Callable[[Odd, str, Place | None], None]
"""Told of an odd value: what is odd, the option's name, where it stands."""


def _value_of(spec: Spec, given: list[tuple[Entry, str]], warn: Warn) -> Any:
    if not given:
        if spec.default is REQUIRED:
            raise _Misread(f"{spec.name} is missing.", f"Add: {spec.name}: VALUE.", None)
        return spec.start_value()
    if spec.prefix:
        return {name[len(spec.prefix) :]: _read(spec, entry, warn) for entry, name in given}
    if spec.sequence:
        readers = dict(spec.sequence)
        return [
            item
            for entry, name in given
            for item in _read_many(replace(spec, name=name, reader=readers[name]), [entry], warn)
        ]
    if spec.many:
        return _read_many(spec, [entry for entry, _ in given], warn)
    if len(given) > 1 and not spec.last_wins:
        entry = given[1][0]
        raise _Misread(
            f"{entry.key} is given {len(given)} times.",
            "It takes one value: keep one line.",
            entry.place,
        )
    return _read(spec, given[-1][0], warn)


def _read_many(spec: Spec, entries: list[Entry], warn: Warn) -> list[Any]:
    """Each entry is one item; a YAML list gives its items."""
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry.value, list):
            found += [_read(spec, replace(entry, value=item), warn) for item in entry.value]
        else:
            found.append(_read(spec, entry, warn))
    return found


def _read(spec: Spec, entry: Entry, warn: Warn) -> Any:
    assert spec.reader is not None
    try:
        return spec.reader.read(entry.value)
    except Odd as odd:
        odd.mend = comment_hint(entry.value) or odd.mend
        warn(odd, spec.name, entry.place)
        return odd.value
    except ConfigError as error:
        what = f"{spec.name}: {'the value' if spec.secret else ''}{error.what}"
        if spec.secret:
            what = f"{spec.name}: the value will not do."
        raise _Misread(what, comment_hint(entry.value) or error.mend, entry.place) from error


class OptionTable(NamedTuple):
    """All options of a class by the name that users write, groups unfolded."""

    by_name: Mapping[str, Spec]
    aliases: Mapping[str, str]
    sequences: Mapping[str, str]
    prefixes: tuple[tuple[str, str], ...]

    @property
    def names(self) -> list[str]:
        own = [name for name, spec in self.by_name.items() if not spec.sequence]
        return [*own, *self.aliases, *self.sequences]

    def find(self, name: str) -> Spec | None:
        """The option that a key (lower case) belongs to."""
        if name in self.sequences:
            return self.by_name[self.sequences[name]]
        exact = self.by_name.get(self.aliases.get(name, name))
        if exact is not None and not exact.prefix and not exact.sequence:
            return exact
        for prefix, owner in self.prefixes:
            if name.startswith(prefix):
                return self.by_name[owner]
        return None


def type_hints(cls: type[Options]) -> dict[str, Any]:
    """The types of all options of a class by attribute, `Annotated` included.

    What `typing.get_type_hints` gives, but each class of the family is read once, not once for each class that stands on it.
    """
    hints: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        hints.update(_own_hints(base))
    return hints


@cache
def _own_hints(cls: type) -> dict[str, Any]:
    own: dict[str, Any] = cls.__dict__.get("__annotations__", {})  # noqa: RUF063  # inspect costs 7 ms
    names = vars(sys.modules[cls.__module__])
    try:
        if all(type(text) is str and "'" not in text and '"' not in text for text in own.values()):
            return {attribute: eval(text, names) for attribute, text in own.items()}
    except NameError:  # of the class itself, or of a function around it
        pass
    return typing.get_type_hints(cls, include_extras=True) if own else {}


_tables: dict[Any, OptionTable] = {}


def option_table(cls: type[Options]) -> OptionTable:
    """The table of a class, made at first use."""
    if cls not in _tables:
        _tables[cls] = _make_table(cls)
    return _tables[cls]


def _make_table(cls: type[Options]) -> OptionTable:
    by_name = dict(_unfold(cls, ""))
    aliases = {alias: name for name, spec in by_name.items() for alias in spec.aliases}
    prefixes = tuple((spec.prefix, name) for name, spec in by_name.items() if spec.prefix)
    sequences = {key: name for name, spec in by_name.items() for key, _ in spec.sequence}
    return OptionTable(by_name, aliases, sequences, prefixes)


def _unfold(cls: type[Options], prefix: str) -> Iterable[tuple[str, Spec]]:
    hints = type_hints(cls)
    for attribute, spec in cls._declared.items():
        annotation = hints[attribute]
        if spec.group:
            yield from _unfold(annotation, prefix + spec.name)
            continue
        name = prefix + spec.name
        if spec.sequence:
            yield name, replace(spec, name=name, annotation=annotation)
            continue
        reader = spec.reader or reader_for(annotation, spec.many or bool(spec.prefix))
        aliases = tuple(prefix + alias for alias in spec.aliases)
        key_prefix = prefix + spec.prefix if spec.prefix else ""
        yield (
            name,
            replace(
                spec,
                name=name,
                reader=reader,
                annotation=annotation,
                aliases=aliases,
                prefix=key_prefix,
            ),
        )


def _assemble(cls: Any, values: dict[str, Any], prefix: str) -> Any:
    hints = type_hints(cls)
    fields: dict[str, Any] = {}
    for attribute, spec in cls._declared.items():
        if spec.group:
            fields[attribute] = _assemble(hints[attribute], values, prefix + spec.name)
        else:
            fields[attribute] = values[prefix + spec.name]
    return cls(**fields)


class Described(NamedTuple):
    """An option as help and reference pages show it."""

    name: str
    type: str
    default: Any
    help: str
    many: bool
    required: bool
    secret: bool


def describe(cls: type[Options]) -> list[Described]:
    """Every option with its help, which is the string under its field (read from the source)."""
    return [
        shown
        for name, spec in option_table(cls).by_name.items()
        for shown in _described(name, spec)
    ]


def _described(name: str, spec: Spec) -> list[Described]:
    text = field_docs(spec.owner).get(spec.attribute, "") if spec.owner else ""
    if spec.sequence:
        return [
            Described(key, reader.name, None, text, True, False, False)
            for key, reader in spec.sequence
        ]
    return [
        Described(
            name=spec.prefix + "N" if spec.prefix else name,
            type=spec.reader.name if spec.reader else "",
            default=None if spec.default is REQUIRED or callable(spec.default) else spec.default,
            help=text,
            many=spec.many,
            required=spec.default is REQUIRED,
            secret=spec.secret,
        )
    ]


def field_docs(cls: type) -> dict[str, str]:
    """The strings under the fields of a class, by attribute; a class made at run time brings them as `field_docs`."""
    if "field_docs" in cls.__dict__:
        return dict(cls.__dict__["field_docs"])
    if cls not in _docs_read:
        _docs_read[cls] = _read_docs(cls)
    return _docs_read[cls]


_docs_read: dict[type, dict[str, str]] = {}


def _read_docs(cls: type) -> dict[str, str]:
    import ast
    import inspect
    import itertools
    import textwrap

    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    body = typing.cast(ast.ClassDef, tree.body[0]).body
    docs: dict[str, str] = {}
    for node, following in itertools.pairwise(body):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            docs[node.target.id] = inspect.cleandoc(following.value.value)
    return docs
