"""The small arithmetic of a profile's cross-checks: numbers, points, + - * /, abs, min and max.

A point is written with underscores for its dots: `power_active_total`. Nothing else is understood,
so a hostile file can do nothing but be refused: the text is cut into tokens before Python's parser
sees it, and its length and depth are bounded.
"""

from __future__ import annotations

import ast
import functools
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FUNCTIONS: dict[str, tuple[Callable[..., float], range]] = {
    "abs": (abs, range(1, 2)),
    "min": (min, range(2, 9)),
    "max": (max, range(2, 9)),
}
_ARRAY_FUNCTIONS: dict[str, Any] = {"min": np.minimum, "max": np.maximum}


_MAX_LENGTH = 400
_MAX_DEPTH = 40
_MAX_NUMBER = 1e30

# A number is not run together with a word, as in `1and 2`, which Python takes with a warning.
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])", re.ASCII)
_OTHER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[-+*/(),. \t]", re.ASCII)


class Expression:
    """An expression over points; ValueError says what in `text` is not understood."""

    def __init__(self, text: str) -> None:
        _refuse_strange(text)
        try:
            self._body = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"{text!r} is not an expression") from error
        self.names: set[str] = set()
        self._check(self._body, _MAX_DEPTH)

    def value(self, points: Mapping[str, float]) -> float | None:
        """The value with these points (underscores for dots); None when it divides by zero."""
        try:
            return self._value(self._body, points)
        except ZeroDivisionError:
            return None

    def values(self, points: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The same over arrays of equal length, one value a device; not finite where undefined.

        A constant expression gives an array without dimensions.
        """
        return np.asarray(_over_arrays(self._body, points), np.float64)

    def _check(self, node: ast.expr, depth: int) -> None:
        """Refuse whatever `_value` would not know, and more than `depth` levels of it."""
        if depth == 0:
            raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
        match node:
            case ast.Constant(value=bool()):
                raise ValueError(f"{ast.unparse(node)} is not a number")
            case ast.Constant(value=int() | float() as number):
                if not abs(number) <= _MAX_NUMBER:
                    raise ValueError("a number that no register holds")
            case ast.Name(id=name):
                self.names.add(name)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                self._check(operand, depth - 1)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                self._check(left, depth - 1)
                self._check(right, depth - 1)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if (
                name in _FUNCTIONS and len(args) in _FUNCTIONS[name][1]
            ):
                for argument in args:
                    self._check(argument, depth - 1)
            case _:
                raise ValueError(f"{ast.unparse(node)[:60]!r} is not understood")

    def _value(self, node: ast.expr, points: Mapping[str, float]) -> float:
        match node:
            case ast.Constant(value=number):
                return float(number)  # type: ignore[arg-type]  # _check let only numbers through
            case ast.Name(id=name):
                return points[name]
            case ast.UnaryOp(op=op, operand=operand):
                value = self._value(operand, points)
                return -value if isinstance(op, ast.USub) else value
            case ast.BinOp(left=left, op=op, right=right):
                return _BINARY[type(op)](self._value(left, points), self._value(right, points))
            case ast.Call(func=ast.Name(id=name), args=args):
                return _FUNCTIONS[name][0](*(self._value(entry, points) for entry in args))
        raise AssertionError("_check refuses everything else")


def _over_arrays(node: ast.expr, points: Mapping[str, NDArray[np.float64]]) -> Any:
    """As `Expression._value`, whose operators would ask an array whether it is true."""
    match node:
        case ast.Constant(value=number):
            return np.float64(number)  # type: ignore[arg-type]  # _check let only numbers through
        case ast.Name(id=name):
            return points[name]
        case ast.UnaryOp(op=op, operand=operand):
            value = _over_arrays(operand, points)
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_over_arrays(left, points), _over_arrays(right, points))
        case ast.Call(func=ast.Name(id=name), args=args):
            values = [_over_arrays(entry, points) for entry in args]
            if name == "abs":
                return np.abs(values[0])
            return functools.reduce(_ARRAY_FUNCTIONS[name], values)
    raise AssertionError("_check refuses everything else")


def _refuse_strange(text: str) -> None:
    """ValueError at the first character that is no number, name or sign of the arithmetic."""
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"longer than {_MAX_LENGTH} characters")
    position = 0
    while position < len(text):
        token = _NUMBER.match(text, position) or _OTHER.match(text, position)
        if token is None:
            raise ValueError(f"{text[position : position + 20]!r} is not understood")
        position = token.end()


def name_in_expressions(point: str) -> str:
    """How a point is written in an expression."""
    return point.replace(".", "_")
