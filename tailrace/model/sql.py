"""The SQL of the stream processor and of the processor `sql`: text in, a query with compiled conditions out.

The grammar is Fluent Bit's (its documentation, "Stream processing / SQL"), with its precedence: NOT takes in
all that follows it, and AND and OR bind alike, to the right (`a AND b OR c` is `a AND (b OR c)`); use
brackets to say otherwise. Keywords ignore letter case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tailrace.model.chunk import Body

Test = Callable[[Body, str, int], bool]
"""Whether a condition holds for a body, its tag and its time (ns)."""
Value = Callable[[Body, str, int], Any]

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()
MOST_DEPTH = 100
MOST_DIGITS = 400

TOKEN = re.compile(
    r"""\s*(?:
    (?P<float>-?(?:[1-9]\d*|0)\.\d+) | (?P<int>-?[1-9]\d*|0) | '(?P<text>(?:[^']|'')*)' |
    (?P<source>STREAM:|TAG:) | (?P<record>@RECORD) |
    (?P<joined>(?:GROUP|ADVANCE)[ ]BY\b) | (?P<word>[_A-Za-z][A-Za-z0-9_.]*) |
    (?P<sign><>|!=|<=|>=|[*,=()\[\].;<>])
    )""",
    re.VERBOSE | re.IGNORECASE,
)
KEYWORDS = frozenset(
    [
        "CREATE",
        "FLUSH",
        "STREAM",
        "SNAPSHOT",
        "WITH",
        "SELECT",
        "AS",
        "FROM",
        "WHERE",
        "AND",
        "OR",
        "NOT",
        "WINDOW",
        "LIMIT",
        "IS",
        "NULL",
        "SUM",
        "AVG",
        "COUNT",
        "MIN",
        "MAX",
        "TIMESERIES_FORECAST",
        "CONTAINS",
        "TIME",
        "TUMBLING",
        "HOPPING",
        "HOUR",
        "MINUTE",
        "SECOND",
        "NOW",
        "UNIX_TIMESTAMP",
        "RECORD_TAG",
        "RECORD_TIME",
        "TRUE",
        "FALSE",
    ]
)
AGGREGATES = frozenset({"SUM", "AVG", "COUNT", "MIN", "MAX", "TIMESERIES_FORECAST"})
FUNCTIONS = frozenset({"NOW", "UNIX_TIMESTAMP", "RECORD_TAG", "RECORD_TIME"})
UNITS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600}


class SQLError(ValueError):
    """A query that cannot be read; says where and what was expected."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that SELECT asks for: a key (with `path` below it), an aggregate of it, or a function."""

    key: str = ""
    path: tuple[str, ...] = ()
    function: str = ""
    alias: str = ""
    seconds: int = 0
    """How far TIMESERIES_FORECAST looks ahead."""

    @property
    def is_aggregate(self) -> bool:
        return self.function in AGGREGATES

    @property
    def label(self) -> str:
        """The name of the result."""
        if self.alias:
            return self.alias
        name = self.key + "".join(f"['{part}']" for part in self.path)
        return (
            f"{self.function}({name or ('*' if self.function == 'COUNT' else '')})"
            if self.function
            else name
        )

    def value(self, body: Body) -> Any:
        """The key's value in a body, or `MISSING`."""
        return lookup(body, self.key, self.path)


@dataclass(frozen=True, slots=True)
class Window:
    """`TUMBLING` or `HOPPING`; seconds."""

    kind: str
    size: int
    advance: int


@dataclass(slots=True)
class Query:
    """A statement as it was written."""

    action: str = "select"
    """select, stream (CREATE STREAM), snapshot (CREATE SNAPSHOT), flush (FLUSH SNAPSHOT)."""
    name: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    """Empty: `*`."""
    source_kind: str = "stream"
    source: str = ""
    where: Test | None = None
    group_by: list[Item] = field(default_factory=list)
    window: Window | None = None
    limit: int = 0

    @property
    def is_aggregating(self) -> bool:
        return any(item.is_aggregate for item in self.items)


def lookup(body: Any, key: str, path: tuple[str, ...]) -> Any:
    """A value by key and sub-keys, or `MISSING`."""
    value = body.get(key, MISSING)
    for part in path:
        if type(value) is not dict:
            return MISSING
        value = value.get(part, MISSING)
    return value


def parse(text: str, plain: bool = False) -> Query:
    """A statement; `plain`: only `SELECT keys FROM STREAM [name] [WHERE ...];`, as the processor takes it."""
    return Reader(text, plain).statement()


class Reader:
    """A recursive-descent reader of one statement."""

    def __init__(self, text: str, plain: bool) -> None:
        self._text = text
        self._plain = plain
        self._tokens = list(tokens(text))
        self._at = 0
        self._depth = 0

    # Tokens

    def _peek(self) -> tuple[str, Any, int]:
        if self._at < len(self._tokens):
            token: tuple[str, Any, int] = self._tokens[self._at]
            return token
        return ("end", "", len(self._text))

    def _next(self) -> tuple[str, Any, int]:
        token = self._peek()
        self._at += 1
        return token

    def _fail(self, expected: str) -> SQLError:
        kind, value, position = self._peek()
        found = "the end" if kind == "end" else repr(str(value))
        return SQLError(
            f"query, character {position + 1}: {expected} is expected, not {found}: {self._text}"
        )

    def _is(self, value: str) -> bool:
        kind, found, _ = self._peek()
        return kind in ("keyword", "sign", "source", "record") and found == value

    def _take(self, value: str) -> bool:
        if self._is(value):
            self._at += 1
            return True
        return False

    def _expect(self, value: str) -> None:
        if not self._take(value):
            raise self._fail(f"'{value}'")

    def _of_kind(self, kind: str, what: str) -> Any:
        if self._peek()[0] != kind:
            raise self._fail(what)
        return self._next()[1]

    def _name(self) -> str:
        return str(self._of_kind("name", "a name"))

    # Statements

    def statement(self) -> Query:
        query = Query()
        if not self._plain and self._take("CREATE"):
            query.action = "snapshot" if self._take("SNAPSHOT") else "stream"
            if query.action == "stream":
                self._expect("STREAM")
            self._head(query)
        elif not self._plain and self._take("FLUSH"):
            self._expect("SNAPSHOT")
            query.action = "flush"
            self._head(query)
        self._select(query)
        self._expect(";")
        if self._peek()[0] != "end":
            raise self._fail("the end of the query")
        return query

    def _head(self, query: Query) -> None:
        query.name = self._name()
        if self._take("WITH"):
            self._expect("(")
            while True:
                key = self._name()
                self._expect("=")
                query.properties[key] = str(self._of_kind("text", "a text in quotes"))
                if not self._take(","):
                    break
            self._expect(")")
        self._expect("AS")

    def _select(self, query: Query) -> None:
        self._expect("SELECT")
        if not self._take("*"):
            query.items.append(self._item())
            while self._take(","):
                query.items.append(self._item())
        self._expect("FROM")
        self._source(query)
        if not self._plain and self._take("WINDOW"):
            query.window = self._window()
        if self._take("WHERE"):
            query.where = truth(self._condition())
        if self._take("GROUP BY"):
            query.group_by.append(self._key_item())
            while self._take(","):
                query.group_by.append(self._key_item())
        if self._take("LIMIT"):
            query.limit = int(self._of_kind("int", "a number"))

    def _source(self, query: Query) -> None:
        if self._plain:
            self._expect("STREAM")
            if self._peek()[0] == "name":
                query.source = self._name()
        elif self._take("STREAM:"):
            query.source = self._name()
        elif self._take("TAG:"):
            query.source_kind, query.source = "tag", str(self._of_kind("text", "a tag in quotes"))
        else:
            raise self._fail("STREAM:name or TAG:'pattern'")

    def _window(self) -> Window:
        if self._take("TUMBLING"):
            self._expect("(")
            size = self._duration()
            self._expect(")")
            return Window("TUMBLING", size, size)
        self._expect("HOPPING")
        self._expect("(")
        size = self._duration()
        self._expect(",")
        self._expect("ADVANCE BY")
        advance = self._duration()
        self._expect(")")
        if advance > size:
            raise SQLError(
                f"query: a window of {size} s can't advance by {advance} s: {self._text}"
            )
        return Window("HOPPING", size, advance)

    def _duration(self) -> int:
        number = int(self._of_kind("int", "a number"))
        for unit, factor in UNITS.items():
            if self._take(unit):
                if number < 1:
                    raise SQLError(f"query: a window needs at least 1 {unit}: {self._text}")
                return number * factor
        raise self._fail("SECOND, MINUTE or HOUR")

    # Keys

    def _item(self) -> Item:
        kind, value, _ = self._peek()
        if kind == "keyword" and value in AGGREGATES and not self._plain:
            return self._aggregate()
        if kind == "keyword" and value in FUNCTIONS and not self._plain:
            self._at += 1
            self._expect("(")
            self._expect(")")
            return Item(function=value, alias=self._alias())
        item = self._key_item()
        return Item(item.key, item.path, alias=self._alias())

    def _aggregate(self) -> Item:
        function = self._next()[1]
        self._expect("(")
        seconds = 0
        key = Item() if function == "COUNT" and self._take("*") else self._key_item()
        if function == "TIMESERIES_FORECAST":
            self._expect(",")
            seconds = int(self._of_kind("int", "a number of seconds"))
        self._expect(")")
        return Item(key.key, key.path, function, self._alias(), seconds)

    def _key_item(self) -> Item:
        name, path = self._name(), []
        while not self._plain and self._take("["):
            path.append(str(self._of_kind("text", "a key in quotes")))
            self._expect("]")
        return Item(name, tuple(path))

    def _alias(self) -> str:
        return self._name() if self._take("AS") else ""

    # Conditions

    def _condition(self) -> Value:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise SQLError(f"query: conditions are nested more than {MOST_DEPTH} deep")
        try:
            if self._take("NOT"):
                inner = truth(self._condition())
                return lambda body, tag, time: not inner(body, tag, time)
            left = self._primary()
            for word in ("AND", "OR"):
                if self._take(word):
                    return joined(word, truth(left), truth(self._condition()))
            return left
        finally:
            self._depth -= 1

    def _primary(self) -> Value:
        if self._take("("):
            inner = truth(self._condition())
            self._expect(")")
            return inner
        left = self._operand()
        if self._take("IS"):
            negated = self._take("NOT")
            self._expect("NULL")
            return is_null(left, negated)
        kind, sign, _ = self._peek()
        if kind == "sign" and sign in COMPARISONS:
            self._at += 1
            return COMPARISONS[sign](left, self._constant())
        return left

    def _operand(self) -> Value:
        kind, value, _ = self._peek()
        if kind == "record" and not self._plain:
            return self._record_function()
        if kind == "name":
            item = self._key_item()
            return lambda body, tag, time: lookup(body, item.key, item.path)
        if kind in ("int", "float", "text") or value in ("TRUE", "FALSE"):
            constant = self._constant()
            return lambda body, tag, time: constant
        raise self._fail("a key or a value")

    def _constant(self) -> Any:
        kind, value, _ = self._next()
        if kind in ("int", "float", "text"):
            return value
        if kind == "keyword" and value in ("TRUE", "FALSE"):
            return value == "TRUE"
        self._at -= 1
        raise self._fail("a number, a text in quotes, true or false")

    def _record_function(self) -> Value:
        self._at += 1
        self._expect(".")
        if self._take("CONTAINS"):
            self._expect("(")
            item = self._key_item()
            self._expect(")")
            return lambda body, tag, time: lookup(body, item.key, item.path) is not MISSING
        self._expect("TIME")
        self._expect("(")
        self._expect(")")
        return lambda body, tag, time: time / 1e9


def tokens(text: str) -> Any:
    """Kind, value and position of each token; `GROUP BY` and `ADVANCE BY` are one."""
    position, end = 0, len(text.rstrip())
    while position < end:
        found = TOKEN.match(text, position)
        if not found:
            rest = text[position:].lstrip()
            raise SQLError(
                f"query, character {len(text) - len(rest) + 1}: {rest[:1]!r} is not expected: {text}"
            )
        yield token_of(found)
        position = found.end()


def token_of(found: re.Match[str]) -> tuple[str, Any, int]:
    kind = found.lastgroup or ""
    value, start = found.group(kind), found.start(kind)
    if kind == "word":
        upper = value.upper()
        return ("keyword", upper, start) if upper in KEYWORDS else ("name", value, start)
    if kind == "int":
        if len(value) > MOST_DIGITS:
            raise SQLError(
                f"query, character {start + 1}: a number of more than {MOST_DIGITS} digits"
            )
        return kind, int(value), start
    if kind == "float":
        return kind, float(value), start
    if kind == "text":
        return kind, value.replace("''", "'"), start
    return "keyword" if kind == "joined" else kind, value.upper(), start


def truth(value: Value) -> Test:
    """A value as a condition: true, numbers above 0 and texts hold; null and missing keys don't."""

    def test(body: Body, tag: str, time: int) -> bool:
        found = value(body, tag, time)
        kind = type(found)
        if kind is bool:
            return bool(found)
        if kind is int or kind is float:
            return bool(found > 0)
        return kind is str

    return test


def joined(word: str, left: Test, right: Test) -> Test:
    if word == "AND":
        return lambda body, tag, time: left(body, tag, time) and right(body, tag, time)
    return lambda body, tag, time: left(body, tag, time) or right(body, tag, time)


def is_null(left: Value, negated: bool) -> Test:
    """Compat: a missing key is not null, so `IS NOT NULL` holds for it (as in Fluent Bit)."""
    return lambda body, tag, time: (left(body, tag, time) is None) is not negated


def number_in(text: str) -> int | float | None:
    """The number that a text is, or None."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def compared(left: Value, right: Any, holds: Callable[[Any, Any], bool], ordered: bool) -> Test:
    """Compare a value with a constant: of one kind, numbers of both kinds, and text that is a number with a number."""
    is_text, is_bool = type(right) is str, type(right) is bool

    def test(body: Body, tag: str, time: int) -> bool:
        found = left(body, tag, time)
        kind = type(found)
        if kind is str and not is_text:
            found = number_in(found)
            kind = type(found)
        if is_text:
            return kind is str and holds(found, right)
        if is_bool:
            return kind is bool and not ordered and holds(found, right)
        return (kind is int or kind is float) and holds(found, right)

    return test


def equal(left: Value, right: Any) -> Test:
    return compared(left, right, lambda a, b: a == b, ordered=False)


def not_equal(left: Value, right: Any) -> Test:
    same = equal(left, right)
    return lambda body, tag, time: not same(body, tag, time)


COMPARISONS: dict[str, Callable[[Value, Any], Test]] = {
    "=": equal,
    "!=": not_equal,
    "<>": not_equal,
    "<": lambda left, right: compared(left, right, lambda a, b: a < b, ordered=True),
    "<=": lambda left, right: compared(left, right, lambda a, b: a <= b, ordered=True),
    ">": lambda left, right: compared(left, right, lambda a, b: a > b, ordered=True),
    ">=": lambda left, right: compared(left, right, lambda a, b: a >= b, ordered=True),
}
