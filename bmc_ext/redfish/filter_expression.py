"""`$filter`: which members of a collection are wanted (DSP0266 7.3.4).

    wanted     := alternative ("or" alternative)*
    alternative:= condition ("and" condition)*
    condition  := "not" condition | "(" wanted ")" | operand operator operand
    operator   := eq | ne | gt | ge | lt | le
    operand    := property ("/" property)* | 'text' | number | true | false | null

A member that lacks a property compares as null. Text and numbers are never equal, and only two of a
kind have an order.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Container, Mapping
from typing import Any

Test = Callable[[Mapping[str, Any]], bool]
_Operand = Callable[[Mapping[str, Any]], Any]

_MAX_LENGTH = 1000
_MAX_DEPTH = 20

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')"
    r"|(?P<number>[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,3})?)(?![\w@])"
    r"|(?P<word>[A-Za-z@][\w@.]*(?:/[A-Za-z@][\w@.]*)*)"
    r"|(?P<bracket>[()]))"
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_CONSTANTS = {"true": True, "false": False, "null": None}


def parse_filter(text: str, properties: Container[str] | None = None) -> Test:
    """The test that an expression makes of a member; ValueError says what it does not read.

    Where `properties` are given there are no others, and a value may stand without quotes, as in
    `EventFormatType eq MetricReport`.
    """
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"longer than {_MAX_LENGTH} characters")
    parser = _Parser(_tokens(text), properties)
    test = parser.wanted()
    if parser.rest:
        raise ValueError(f"{parser.rest[0][1]!r} is one too many")
    return test


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"nothing can be made of {text[position : position + 20]!r}")
        assert match.lastgroup is not None
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


class _Parser:
    """Reads `rest` from its front."""

    def __init__(self, tokens: list[tuple[str, str]], properties: Container[str] | None) -> None:
        self.rest = tokens
        self._properties = properties
        self._depth = 0

    def wanted(self) -> Test:
        """Alternatives, of which one must hold."""
        tests = [self._alternative()]
        while self._takes("or"):
            tests.append(self._alternative())
        return tests[0] if len(tests) == 1 else lambda member: any(test(member) for test in tests)

    def _alternative(self) -> Test:
        tests = [self._condition()]
        while self._takes("and"):
            tests.append(self._condition())
        return tests[0] if len(tests) == 1 else lambda member: all(test(member) for test in tests)

    def _condition(self) -> Test:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
        try:
            if self._takes("not"):
                test = self._condition()
                return lambda member: not test(member)
            if self._takes("("):
                inner = self.wanted()
                if not self._takes(")"):
                    raise ValueError("a bracket is not closed")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Test:
        left = self._operand()
        name = self._next("a comparison")[1]
        if name not in _COMPARISONS:
            raise ValueError(f"{name!r} is none of {', '.join(_COMPARISONS)}")
        right = self._operand(unquoted=True)
        return lambda member: _compare(name, left(member), right(member))

    def _operand(self, *, unquoted: bool = False) -> _Operand:
        kind, token = self._next("a property or a value")
        if kind == "text":
            text = token[1:-1].replace("''", "'")
            return lambda _: text
        if kind == "number":
            number = float(token)
            if not math.isfinite(number):
                raise ValueError(f"{token} is beyond all numbers")
            return lambda _: number
        if kind == "word":
            is_property = self._properties is None or token in self._properties
            if is_property or token in _CONSTANTS:
                return _word(token)
            if unquoted:
                return lambda _: token
            raise ValueError(f"{token!r} is no property that can be asked for")
        raise ValueError(f"{token!r} stands where a property or a value should")

    def _next(self, wanted: str) -> tuple[str, str]:
        if not self.rest:
            raise ValueError(f"it ends where {wanted} should follow")
        return self.rest.pop(0)

    def _takes(self, token: str) -> bool:
        found = bool(self.rest) and self.rest[0][1] == token
        if found:
            self.rest.pop(0)
        return found


def _word(token: str) -> _Operand:
    if token in _CONSTANTS:
        constant = _CONSTANTS[token]
        return lambda _: constant
    steps = token.split("/")
    return lambda member: _property(member, steps)


def _property(member: Any, steps: list[str]) -> Any:
    for step in steps:
        if not isinstance(member, Mapping):
            return None
        member = member.get(step)
    return member


def _compare(name: str, left: Any, right: Any) -> bool:
    compare = _COMPARISONS[name]
    if name in ("eq", "ne"):
        alike = _kind(left) == _kind(right)
        return compare(left, right) if alike else name == "ne"
    ordered = _kind(left) == _kind(right) and _kind(left) in ("number", "text")
    return ordered and compare(left, right)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else type(value).__name__
