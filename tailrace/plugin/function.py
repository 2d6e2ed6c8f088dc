"""Filters from plain functions: the short form of `Filter` for a user's own file.

    @filter("slow")
    def slow(body, *, seconds: float = 1.0):
        body["slow"] = body.get("took", 0) >= seconds

The function takes one body and may change it. What it returns says what becomes of the event: nothing or True, it goes on;
False, it is dropped; a dict takes its body's place; a list of dicts makes several. Keyword-only parameters are options of
the filter, read as their annotations say. A function whose parameter is called `chunk` takes a whole chunk instead, which
is faster, and returns one (or nothing, when it changed the one it got).
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from typing import Any

from tailrace.config import Reader, option
from tailrace.config.options import REQUIRED
from tailrace.config.types import read_float, read_int
from tailrace.model import Body, Chunk, repeated
from tailrace.plugin.base import Filter, FilterOptions
from tailrace.plugin.registry import filter_plugin

if typing.TYPE_CHECKING:
    import inspect

Function = typing.TypeVar("Function", bound=Callable[..., Any])


STRICT = {int: Reader("integer", read_int), float: Reader("number", read_float)}
"""Readers of numbers, of which no configuration of Fluent Bit can have odd ones."""


def filter(name: str, *aliases: str) -> Callable[[Function], Function]:  # noqa: A001  # as users write it
    """Register a function as the filter `name`; it stays the plain function it was.

    Raises `TypeError` when its parameters are not one body (or `chunk`) and options.
    """

    def register(function: Function) -> Function:
        first, options = read_signature(function)
        base = ChunkFunction if first == "chunk" else BodyFunction
        made = types.new_class(
            name.title().replace("_", ""),
            (base[options_of(function, options)],),
            {},
        )
        made.__module__, made.__doc__ = function.__module__, function.__doc__
        made.function = staticmethod(function)  # type: ignore[attr-defined]
        filter_plugin(name, *aliases)(made)
        return function

    return register


def read_signature(function: Callable[..., Any]) -> tuple[str, list[inspect.Parameter]]:
    """The name of the one positional parameter, and the options."""
    import inspect  # 7 ms

    what = f"{function.__qualname__}()"
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{what} must be a plain function, neither async nor a generator")
    parameters = list(inspect.signature(function).parameters.values())
    positional = [
        each
        for each in parameters
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    options = [each for each in parameters if each.kind is each.KEYWORD_ONLY]
    if len(positional) != 1 or len(positional) + len(options) != len(parameters):
        raise TypeError(
            f"{what} must take one body (or chunk); options stand behind a star: def {function.__name__}(body, *, key='x')"
        )
    return positional[0].name, options


def options_of(
    function: Callable[..., Any], parameters: list[inspect.Parameter]
) -> type[FilterOptions]:
    """The options class that keyword-only parameters stand for; text is the type of those without annotation."""
    annotations: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for each in parameters:
        default = REQUIRED if each.default is each.empty else each.default
        inferred = type(default) if type(default) in (bool, int, float) else str
        annotations[each.name] = inferred if each.annotation is each.empty else each.annotation
        fields[each.name] = option(default, reader=STRICT.get(annotations[each.name]))
    return type(
        f"{function.__name__.title()}Options",
        (FilterOptions,),
        {
            "__annotations__": annotations,
            "__module__": function.__module__,
            "__doc__": function.__doc__,
            "field_docs": docs_of(function, tuple(fields)),
            **fields,
        },
    )


def docs_of(function: Callable[..., Any], names: tuple[str, ...]) -> dict[str, str]:
    """The help of each option: the rest of a line `NAME: text` of the docstring."""
    text = function.__doc__ or ""
    lines = (line.strip().replace("`", "").partition(":") for line in text.split("\n"))
    told = {name: rest.strip() for name, colon, rest in lines if colon}
    return {name: told.get(name, "") for name in names}


class FunctionFilter(Filter[FilterOptions]):
    """What both forms share: the function with its options filled in, and errors of single events."""

    function: Callable[..., Any]

    def __init__(self, options: FilterOptions) -> None:
        super().__init__(options)
        names: dict[str, str] = getattr(options, "field_docs", {})
        values = {name: getattr(options, name) for name in names}
        self.call = functools.partial(self.function, **values) if values else self.function
        self.errors = self.context.metrics.counter(
            "tailrace_filter_errors_total", "Events that a filter failed on and passed on"
        )

    def report(self, failures: list[str]) -> None:
        """Count and log the events on which the function failed."""
        self.errors.inc(len(failures))
        more = f" (and on {len(failures) - 1} more of this batch)" if len(failures) > 1 else ""
        self.context.log.error(
            f"the function failed on an event, which goes on{more}: {failures[0]}"
        )


Options = typing.TypeVar("Options", bound=FilterOptions)


class BodyFunction(FunctionFilter, typing.Generic[Options]):
    """A filter that calls a function for each body."""

    def process(self, chunk: Chunk) -> Chunk:
        call, special, failures = self.call, {}, []
        for index, body in enumerate(chunk.bodies):
            try:
                result = call(body)
            except (
                Exception
            ) as error:  # whatever a user's function raises is the business of this one event
                failures.append(describe(error))
            else:
                if result is not None and result is not body and result is not True:
                    special[index] = result
        if special:
            rebuild(chunk, special, failures)
        if failures:
            self.report(failures)
        return chunk


class ChunkFunction(FunctionFilter, typing.Generic[Options]):
    """A filter that calls a function for a chunk. What it raises is the engine's to log."""

    def process(self, chunk: Chunk) -> Chunk:
        made = self.call(chunk)
        return chunk if made is None else made


def rebuild(chunk: Chunk, special: dict[int, Any], failures: list[str]) -> None:
    """Put in place what was returned for some events: False, another body, or several."""
    times: list[int] = []
    bodies: list[Body] = []
    metadata: list[Any] = []
    counts: list[int] = []
    old = chunk.metadata or [{} for _ in range(chunk.count)]  # each its own map
    for index, (time, body, meta) in enumerate(zip(chunk.times, chunk.bodies, old, strict=True)):
        result = special.get(index, body)
        if result is False:
            counts.append(0)
            continue
        if type(result) is list and all(type(each) is dict for each in result):
            parts = result
        elif type(result) is dict:
            parts = [result]
        else:
            failures.append(
                f"it returned {type(result).__name__}; a body, a list of bodies, True, False or nothing will do"
            )
            parts = [body]
        bodies += parts
        times += [time] * len(parts)
        metadata += [meta] if len(parts) == 1 else [dict(meta) for _ in parts]
        counts.append(len(parts))
    if chunk.groups is not None:
        chunk.groups = repeated(chunk.groups, counts)
    before = chunk.count
    chunk.times, chunk.bodies = times, bodies
    chunk.metadata = metadata if any(metadata) else None
    if len(bodies) < before:
        chunk.nbytes = chunk.nbytes * len(bodies) // before


def describe(error: Exception) -> str:
    """The error and the place in the user's file where it came from."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})" if trace else ""
    return f"{type(error).__name__}: {error}{place}"


__all__ = ["filter"]
