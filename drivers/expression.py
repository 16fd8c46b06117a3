"""The small arithmetic of a profile's cross-checks: numbers, points, + - * /, abs, min and max.

A point is written with underscores for its dots: `power_active_total`. Nothing else is understood,
so a hostile file can do nothing but be refused.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

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


class Expression:
    """An expression over points; ValueError says what in `text` is not understood."""

    def __init__(self, text: str) -> None:
        try:
            self._body = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError(f"{text!r} is not an expression") from error
        self.names: set[str] = set()
        self._check(self._body)

    def value(self, points: Mapping[str, float]) -> float | None:
        """The value with these points (underscores for dots); None when it divides by zero."""
        try:
            return self._value(self._body, points)
        except ZeroDivisionError:
            return None

    def _check(self, node: ast.expr) -> None:
        """Refuse whatever `_value` would not know."""
        match node:
            case ast.Constant(value=bool() | str() | bytes() | complex() | None):
                raise ValueError(f"{ast.unparse(node)} is not a number")
            case ast.Constant():
                pass
            case ast.Name(id=name):
                self.names.add(name)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                self._check(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                self._check(left)
                self._check(right)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if (
                name in _FUNCTIONS and len(args) in _FUNCTIONS[name][1]
            ):
                for argument in args:
                    self._check(argument)
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


def name_in_expressions(point: str) -> str:
    """How a point is written in an expression."""
    return point.replace(".", "_")
