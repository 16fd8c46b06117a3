"""From 100 ms windows to seconds, from seconds to minutes: pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bmc_ext.telemetry.record import WindowRecord
from drivers.reading import Quality

WINDOWS_PER_SECOND = 10
"""100 ms windows in a second."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One second or minute of one feed, from `valid_windows` windows of quality OK.

    `start_s` is Unix time. Power in W is the mean, least and largest of the windows' plain means;
    voltage in V the root mean square over windows and phases; frequency in Hz the mean; energy in J
    the running total at the last valid window. None is unknown. Missing windows are never filled:
    `valid_windows` below 10 (600) shows a gap.
    """

    start_s: int
    p_w: float
    p_min_w: float
    p_max_w: float
    v_rms_v: float | None
    frequency_hz: float | None
    energy_import_j: float | None
    valid_windows: int


class SecondBin:
    """The windows of one feed in one second, as they come in."""

    __slots__ = (
        "_count", "_energy_j", "_f_count", "_f_sum", "_p_max", "_p_min", "_p_sum", "_v2_sum",
        "_v_count", "dirty", "last_window",
    )  # fmt: skip

    def __init__(self) -> None:
        self.dirty = True
        self.last_window = -1
        self._count = self._v_count = self._f_count = 0
        self._p_sum = self._v2_sum = self._f_sum = 0.0
        self._p_min, self._p_max = math.inf, -math.inf
        self._energy_j: float | None = None

    def add(self, record: WindowRecord) -> None:
        """Take a window in; one that is not of quality OK leaves a gap."""
        self.last_window = record.window_id
        p_w = record.p_mean_w
        if record.quality is not Quality.OK or p_w is None:
            return
        self.dirty = True
        self._count += 1
        self._p_sum += p_w
        self._p_min = min(self._p_min, p_w)
        self._p_max = max(self._p_max, p_w)
        for voltage in record.v_rms_v:
            if voltage is not None:
                self._v2_sum += voltage * voltage
                self._v_count += 1
        if record.frequency_hz is not None:
            self._f_sum += record.frequency_hz
            self._f_count += 1
        self._energy_j = record.energy_import_j

    def aggregate(self, start_s: int) -> Aggregate | None:
        """The second that starts at `start_s`; None when it holds no valid window."""
        if self._count == 0:
            return None
        return Aggregate(
            start_s=start_s,
            p_w=self._p_sum / self._count,
            p_min_w=self._p_min,
            p_max_w=self._p_max,
            v_rms_v=math.sqrt(self._v2_sum / self._v_count) if self._v_count else None,
            frequency_hz=self._f_sum / self._f_count if self._f_count else None,
            energy_import_j=self._energy_j,
            valid_windows=self._count,
        )


def merge(start_s: int, parts: Sequence[Aggregate]) -> Aggregate:
    """The longer interval that starts at `start_s`, from its parts in the order of time.

    Means weigh each part by its valid windows. ValueError without parts.
    """
    if not parts:
        raise ValueError("nothing to merge")
    square_v = _weighted_mean(parts, lambda part: _square(part.v_rms_v))
    p_w = _weighted_mean(parts, lambda part: part.p_w)
    assert p_w is not None
    return Aggregate(
        start_s=start_s,
        p_w=p_w,
        p_min_w=min(part.p_min_w for part in parts),
        p_max_w=max(part.p_max_w for part in parts),
        v_rms_v=None if square_v is None else math.sqrt(square_v),
        frequency_hz=_weighted_mean(parts, lambda part: part.frequency_hz),
        energy_import_j=parts[-1].energy_import_j,
        valid_windows=sum(part.valid_windows for part in parts),
    )


def _weighted_mean(
    parts: Sequence[Aggregate], value_of: Callable[[Aggregate], float | None]
) -> float | None:
    total, weight = 0.0, 0
    for part in parts:
        value = value_of(part)
        if value is not None:
            total += value * part.valid_windows
            weight += part.valid_windows
    return total / weight if weight else None


def _square(value: float | None) -> float | None:
    return None if value is None else value * value
