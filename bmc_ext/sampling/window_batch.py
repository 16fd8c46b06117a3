"""Windows of many sources that wait for one call of the core."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmc_ext.sampling.analysis import Analysis, AnalysisBatch, Samples, analyze_many

_log = logging.getLogger(__name__)


class Setting(NamedTuple):
    """What windows have in common that are analysed together; as in `analyze`."""

    sample_rate_hz: float
    nominal_hz: float | None
    skew_s: tuple[float, ...]


Finish = Callable[[Analysis | None], None]
"""Takes a window's analysis, None where it cannot be analysed."""


class _Alike:
    """Windows of one shape and setting, in memory that is kept from turn to turn."""

    def __init__(self, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self._rows: NDArray[Any] = np.empty((1, *shape), dtype)
        self._count = 0

    def add(self, samples: Samples) -> int:
        """Keep a copy; its place."""
        place = self._count
        if place == len(self._rows):
            more = np.empty((2 * place, *self._rows.shape[1:]), self._rows.dtype)
            more[:place] = self._rows
            self._rows = more
        self._rows[place] = samples
        self._count += 1
        return place

    def analyze(self, setting: Setting) -> AnalysisBatch | None:
        """One analysis per window, None where they are refused; then there are none again."""
        count, self._count = self._count, 0
        rows, phases = self._rows[:count], self._rows.shape[1] // 2
        try:
            return analyze_many(
                rows[:, :phases],
                rows[:, phases:],
                setting.sample_rate_hz,
                nominal_hz=setting.nominal_hz,
                skew_s=setting.skew_s,
            )
        except ValueError as error:
            _log.debug("windows of %g samples/s: %s", setting.sample_rate_hz, error)
            return None


_Key = tuple[Setting, tuple[int, ...], "np.dtype[Any]"]


class WindowBatch:
    """`add` and `complete` belong to one thread; windows are finished in the order of `add`."""

    def __init__(self) -> None:
        self._alike: dict[_Key, _Alike] = {}
        self._waiting: list[tuple[Finish, _Key | None, int]] = []

    def add(self, finish: Finish, samples: Samples, setting: Setting) -> None:
        """A window of shape (2 × phases, samples), which is copied."""
        key = (setting, samples.shape, samples.dtype)
        alike = self._alike.get(key)
        if alike is None:
            alike = self._alike[key] = _Alike((samples.shape[0], samples.shape[1]), samples.dtype)
        self._waiting.append((finish, key, alike.add(samples)))

    def add_finished(self, finish: Finish) -> None:
        """A window that needs no analysis, in its place in the order."""
        self._waiting.append((finish, None, 0))

    def complete(self) -> None:
        """Analyse all that waits, and finish it; a window whose `finish` raises is logged."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        used = {key for _, key, _ in waiting if key is not None}
        # A rate that is measured changes: what was not used for a turn is not kept.
        self._alike = {key: alike for key, alike in self._alike.items() if key in used}
        found = {key: alike.analyze(key[0]) for key, alike in self._alike.items()}
        for finish, key, place in waiting:
            batch = None if key is None else found[key]
            try:
                finish(None if batch is None else batch[place])
            except Exception:
                _log.exception("a window was not finished")
