"""The expressions of cross-checks: arithmetic, and nothing else."""

from __future__ import annotations

import math
import time

import pytest

from drivers.expression import Expression


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7.0),
        ("-(a - b) / 2", 1.5),
        ("abs(a - b)", 3.0),
        ("max(a, b, 1) - min(a, b)", 3.0),
        ("1 / (a - a)", None),
        ("(" * 150 + "a" + ")" * 150, 1.0),
        ("1.5e-3 + .5 + 2. + abs(-a) * 0", 2.5015),
    ],
)
def test_arithmetic_is_done(text: str, value: float | None) -> None:
    """Sums, products, quotients and the three functions give what arithmetic gives."""
    assert Expression(text).value({"a": 1.0, "b": 4.0}) == value


@pytest.mark.parametrize(
    "text",
    [
        "", "1 +", "a b", "a.b", "a[0]", "a ** 9", "a if a else a", "lambda: a", "'x'", "True",
        "1j",
        "__import__('os').system('true')", "abs(x=1)", "abs(a, a)", "print(a)", "[a]", "a := 1",
        "-" * 399 + "a", "max(*a)",
    ],
)  # fmt: skip
def test_nothing_else_is_understood(text: str) -> None:
    """Attributes, calls, powers, texts and the rest of Python are refused when the file is read."""
    with pytest.raises(ValueError, match=r"not understood|not an expression|not a number|nested"):
        Expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9", "1e999", "9" * 400, "1e400 * 1e400", "a" * 401, "0x" + "F" * 300, "1_0",
        "1and 2",
        "\uff41", "a\u202e", "a\nb", "a;b", "a#b", "\\", "a\0",
        "-" * 300 + "a", "a" + "-a" * 150, "max(" * 60 + "a, a" + ", a)" * 60, "f'{a}'", "a or b",
        "not a", "a < b", "a // b", "a % b", "a @ b", "~a", "...", "{}", "abs", "abs()", "max(a)",
        "min(" + ",".join("a" * 9) + ")", "(lambda: a)()", "abs(a)(b)", "yield", "await a",
    ],
)  # fmt: skip
def test_a_hostile_expression_does_nothing(text: str) -> None:
    """Whatever a vendor's file says is refused at once or is arithmetic that ends at once."""
    began = time.process_time()
    try:
        expression = Expression(text)
    except ValueError:
        pass
    else:
        # A word alone is a point's name.
        assert (text, expression.names) == ("abs", {"abs"})
    assert time.process_time() - began < 2.0


def test_a_value_is_never_an_exception() -> None:
    """Overflow is infinity, a division by zero is no value."""
    expression = Expression("a * a * a / b")
    assert expression.value({"a": 1e200, "b": 1.0}) == math.inf
    assert expression.value({"a": 1e200, "b": 0.0}) is None
