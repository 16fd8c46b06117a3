"""Functions over the values of the last while: what CollectionFunction of a metric asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from bmc_ext.domain.snapshot import WINDOW_S

FUNCTIONS: Final[Mapping[str, Callable[[NDArray[np.float64]], Any]]] = {
    "Average": np.mean,
    "Maximum": np.max,
    "Minimum": np.min,
    "Summation": np.sum,
}
"""CalculationAlgorithmEnum of the schema MetricReportDefinition; windows are of equal length."""

MAX_DURATION_S: Final = 3600.0
_KNOWN_SHARE: Final = 0.9
_SIGNIFICANT = 9  # digits that are shown


def windows_in(duration_s: float) -> int:
    """How many windows such a while has."""
    return max(1, round(duration_s / WINDOW_S))


class Collected:
    """The values of one metric in the last windows; not thread-safe."""

    def __init__(self, function: str, duration_s: float) -> None:
        self._function = FUNCTIONS[function]
        self._all = function == "Summation"
        self._values = np.full(windows_in(duration_s), np.nan)
        self.newest: int | None = None

    def add(self, window_id: int, text: str | None) -> None:
        """Take the value of a window, as JSON text; None is unknown, like all windows left out."""
        size = len(self._values)
        last = window_id - size if self.newest is None else self.newest
        if window_id <= last:
            return
        missed = min(window_id - last - 1, size)
        self._values[np.arange(window_id - missed, window_id) % size] = np.nan
        self._values[window_id % size] = np.nan if text is None else float(text)
        self.newest = window_id

    def result(self) -> str | None:
        """The function's value as JSON text; None where a tenth of the values is not known.

        One value that is not known leaves a sum unknown.
        """
        known = self._values[~np.isnan(self._values)]
        needed = 1.0 if self._all else _KNOWN_SHARE
        if len(known) < needed * len(self._values):
            return None
        value = float(f"{float(self._function(known)):.{_SIGNIFICANT}g}")
        return orjson.dumps(value).decode()
