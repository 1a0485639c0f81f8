"""The textual form of `pyimgret.index.filters`: a tokenizer and a recursive descent parser."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NamedTuple

from pyimgret.index.filters.ast import (
    And,
    Contains,
    Exists,
    Filter,
    FilterError,
    Not,
    Or,
    check_depth,
    checked_name,
    checked_value,
    compare,
    is_in,
)

_TOKEN: Final = re.compile(
    r"""\s*(?:
    (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<name>`[^`]+`|[^\W\d]\w*(?:-\w+)*)
  | (?P<operator>==|!=|<=|>=|[=<>()\[\],.])
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS: Final = {"true": True, "false": False, "null": None}
_COMPARISONS: Final = ("==", "=", "!=", "<", "<=", ">", ">=")
_KEYWORDS: Final = ("and", "or", "not", "in", "contains", "exists")


class Token(NamedTuple):
    """A token: its kind, its text and its start position."""

    kind: str
    text: str
    start: int


def parse_text(text: str) -> Filter:
    """Parse the textual form of a filter.

    Examples
    --------
    >>> parse_text("n in [1, 2]")
    In(field=('n',), values=(1, 2))
    >>> parse_text("n >")
    Traceback (most recent call last):
    ...
    pyimgret.index.filters.ast.FilterError: Expected a value at the end of 'n >'.
    """
    parser = _Parser(text)
    found = parser.disjunction(0)
    parser.expect_end()
    return found


def parse_field(text: str) -> tuple[str, ...]:
    """Split the name of a field at its dots; backquotes keep them.

    Examples
    --------
    >>> parse_field("camera.maker"), parse_field("`a.b`.c")
    (('camera', 'maker'), ('a.b', 'c'))
    """
    if "`" not in text:
        return tuple(checked_name(part) for part in text.split("."))
    parser = _Parser(text)
    path = parser.field()
    parser.expect_end()
    return path


class _Parser:
    """Parses one text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.place = 0

    def disjunction(self, depth: int) -> Filter:
        """Read ``a or b or …``."""
        check_depth(depth)
        parts = [self._conjunction(depth)]
        while self._take("or"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def field(self) -> tuple[str, ...]:
        """Read ``name.name…``."""
        path = [self._field_name()]
        while self._take("."):
            path.append(self._field_name())
        return tuple(path)

    def expect_end(self) -> None:
        """Raise an error if tokens are left."""
        if self._next.kind != "end":
            raise self._error("the end")

    def _conjunction(self, depth: int) -> Filter:
        parts = [self._negation(depth)]
        while self._take("and"):
            parts.append(self._negation(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _negation(self, depth: int) -> Filter:
        check_depth(depth)
        if self._take("not"):
            return Not(self._negation(depth + 1))
        if self._take("("):
            found = self.disjunction(depth + 1)
            self._expect(")")
            return found
        return self._condition()

    def _condition(self) -> Filter:
        following = self.tokens[self.place + 1 : self.place + 2]
        if following and following[0].text == "(" and self._take("exists"):
            self._expect("(")
            path = self.field()
            self._expect(")")
            return Exists(path)
        path = self.field()
        if self._take("contains"):
            return Contains(path, checked_value(self._value()))
        if self._take("in"):
            return is_in(path, self._values())
        if self._take("not"):
            self._expect("in")
            return Not(is_in(path, self._values()))
        op = self._next.text
        if op not in _COMPARISONS:
            raise self._error("a comparison (== != < <= > >= in contains)")
        self.place += 1
        return compare(path, "==" if op == "=" else op, self._value())

    def _field_name(self) -> str:
        token = self._next
        if token.kind != "name" or token.text in _KEYWORDS:
            raise self._error("the name of a field")
        self.place += 1
        return checked_name(token.text.strip("`"))

    def _values(self) -> list[Any]:
        self._expect("[")
        values: list[Any] = []
        while not self._take("]"):
            if values:
                self._expect(",")
            values.append(self._value())
        return values

    def _value(self) -> Any:
        token = self._next
        if token.kind in ("operator", "end"):
            raise self._error("a value")
        if token.kind == "name" and token.text not in _WORDS:
            raise self._error("a value (put strings in quotes)")
        self.place += 1
        if token.kind == "number":
            return float(token.text) if set(token.text) & set(".eE") else int(token.text)
        return _unquoted(token) if token.kind == "string" else _WORDS[token.text]

    @property
    def _next(self) -> Token:
        return self.tokens[self.place]

    def _take(self, text: str) -> bool:
        """Skip a token if it is this word or operator (strings and odd names have quotes)."""
        found = self._next.text == text
        self.place += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._error(repr(text))

    def _error(self, expected: str) -> FilterError:
        token = self._next
        if token.kind == "end":
            return FilterError(f"Expected {expected} at the end of {self.text!r}.")
        return FilterError(f"Expected {expected} before {self.text[token.start :]!r:.60}.")


def _unquoted(token: Token) -> str:
    inner = token.text[1:-1]
    if token.text[0] == "'":
        inner = re.sub(r'\\(.)|"', _to_double_quoted, inner, flags=re.DOTALL)
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError as error:
        raise FilterError(f"{token.text} is not a valid string: {error}.") from None


def _to_double_quoted(match: re.Match[str]) -> str:
    """Convert an escape of a single-quoted string to that of a double-quoted one."""
    if match[0] == '"':
        return '\\"'
    return "'" if match[1] == "'" else match[0]


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise FilterError(f"Cannot parse the filter from {text[place:].strip()!r:.60} on.")
        tokens.append(Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
        place = match.end()
    return [*tokens, Token("end", "", end)]
