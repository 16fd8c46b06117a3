"""What a benchmark was asked for and what it reached, as a table and an exit status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Limit(NamedTuple):
    """One figure; neither `least` nor `most` is a figure that nobody asked for."""

    name: str
    reached: float
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the figure is where it should be."""
        return (self.least is None or self.reached >= self.least) and (
            self.most is None or self.reached <= self.most
        )

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Its line of the table."""
        bound = "" if self.least is None else f"≥ {self.least:g} {self.unit}"
        bound = bound if self.most is None else f"≤ {self.most:g} {self.unit}"
        verdict = ("kept" if self.kept else "missed") if bound else ""
        return self.name, f"{self.reached:.4g} {self.unit}", bound, verdict


def show(limits: Sequence[Limit], note: str) -> int:
    """Print them; 1 where one is missed."""
    table = Table("", "reached", "limit", "")
    for limit in limits:
        table.add_row(*limit.cells)
    Console(width=100).print(table, note)
    return 0 if all(limit.kept for limit in limits) else 1
