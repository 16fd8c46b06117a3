"""Energy of one feed from the plain mean power of its windows, and what is missing from it.

Active energy of a window is its mean power, summed over the phases, times what its samples span; a
window counts as a whole as import or export, so phases net each other within it. Reactive energy is
that of the fundamental and goes into one of four quadrants by the signs of both powers, as IEC
62053-23 (annex C) draws them: I and II inductive, I and IV import. What a missing window held is
not known and is not made up: it is counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

WINDOW_S = 0.1
"""Length of a window in seconds (DCPI Table 1, power monitoring)."""

_CLOCK_WAS_SET = 10 * 1_577_836_800
"""Windows before 2020 were numbered by a clock that was not set yet: they begin no gap."""


class EnergyRegisters(NamedTuple):
    """What stands beside the energies of import and export; None is unknown.

    Reactive energies in var·s by quadrant, each counted upwards. Of the windows since
    `since_window`, `missing_windows` lack samples or never came, `invalid_windows` came without a
    known power, and `reactive_invalid_windows` had a known active power only. `time_error_j` bounds
    in J what the windows' durations may have falsified in import and export together.
    """

    q1_var_s: float | None = None
    q2_var_s: float | None = None
    q3_var_s: float | None = None
    q4_var_s: float | None = None
    missing_windows: int | None = None
    invalid_windows: int | None = None
    reactive_invalid_windows: int | None = None
    time_error_j: float | None = None
    since_window: int | None = None

    @property
    def gap_s(self) -> float | None:
        """Seconds of which the active energy is not known; each window is 100 ms of the grid."""
        if self.missing_windows is None or self.invalid_windows is None:
            return None
        return (self.missing_windows + self.invalid_windows) * WINDOW_S

    def time_error_percent(self, import_j: float | None, export_j: float | None) -> float | None:
        """`time_error_j` relative to these energies in %; None where there is no energy."""
        if self.time_error_j is None or import_j is None or export_j is None:
            return None
        energy_j = import_j + export_j
        return 100.0 * self.time_error_j / energy_j if energy_j > 0.0 else None

    def with_missing(self, windows: int) -> EnergyRegisters:
        """These registers, and so many windows that are missing so far."""
        if self.missing_windows is None:
            return self
        return self._replace(missing_windows=self.missing_windows + windows)


class EnergyCounter:
    """Counts the windows of one feed; goes on from energies in J and registers.

    `last_window` is the feed's newest one before: what lies between it and the next is missing.
    """

    def __init__(
        self,
        import_j: float = 0.0,
        export_j: float = 0.0,
        registers: EnergyRegisters | None = None,
        last_window: int | None = None,
    ) -> None:
        self.import_j, self.export_j = import_j, export_j
        known = registers or EnergyRegisters()
        self._reactive_var_s = [value or 0.0 for value in known[:4]]
        self._missing = known.missing_windows or 0
        self._invalid = known.invalid_windows or 0
        self._reactive_invalid = known.reactive_invalid_windows or 0
        self._time_error_j = known.time_error_j or 0.0
        self._since = known.since_window
        self._last_window = last_window
        self._counted: int | None = None

    @property
    def counted_at(self) -> float | None:
        """Unix time of the end of the newest window that counts; None before the first here."""
        return None if self._counted is None else (self._counted + 1) / 10

    @property
    def registers(self) -> EnergyRegisters:
        """As they stand."""
        q1_var_s, q2_var_s, q3_var_s, q4_var_s = self._reactive_var_s
        return EnergyRegisters(
            q1_var_s,
            q2_var_s,
            q3_var_s,
            q4_var_s,
            self._missing,
            self._invalid,
            self._reactive_invalid,
            self._time_error_j,
            self._since,
        )

    def missing_before(self, window_id: int, elapsed_s: float | None = None) -> int:
        """Windows between the last one and this one; never more than fit into `elapsed_s`.

        The elapsed time of a clock that is not set tells a gap from a step of the clock.
        """
        if self._last_window is None or self._last_window < _CLOCK_WAS_SET <= window_id:
            return 0
        missing = max(0, window_id - self._last_window - 1)
        return missing if elapsed_s is None else min(missing, math.ceil(elapsed_s / WINDOW_S))

    def advance(self, window_id: int, elapsed_s: float | None = None) -> None:
        """A window is here: those that should have come before it are missing."""
        if self._since is None:
            self._since = window_id
        else:
            self._missing += self.missing_before(window_id, elapsed_s)
        self._last_window = window_id

    def add_missing(self) -> None:
        """The window lacks samples."""
        self._missing += 1

    def add(
        self,
        p_mean_w: float | None,
        q1_var: float | None,
        duration_s: float,
        duration_error: float = 0.0,
    ) -> None:
        """Mean active and fundamental reactive power, import and inductive positive, of a window.

        `duration_error` bounds the relative error of `duration_s` against UTC.
        """
        if p_mean_w is None:
            self._invalid += 1
            return
        self._counted = self._last_window
        energy_j = p_mean_w * duration_s
        if energy_j >= 0.0:
            self.import_j += energy_j
        else:
            self.export_j -= energy_j
        self._time_error_j += abs(energy_j) * duration_error
        if q1_var is None:
            self._reactive_invalid += 1
            return
        self._reactive_var_s[_quadrant(p_mean_w, q1_var)] += abs(q1_var) * duration_s


def _quadrant(p_w: float, q_var: float) -> int:
    """0 to 3 for I to IV, counter-clockwise from import and inductive; 0 W is import, 0 var I."""
    if q_var >= 0.0:
        return 0 if p_w >= 0.0 else 1
    return 3 if p_w >= 0.0 else 2


def newest_known(before: EnergyRegisters, now: EnergyRegisters) -> EnergyRegisters:
    """The registers now; those that are not known stand as before."""
    pairs = zip(before, now, strict=True)
    return EnergyRegisters._make(old if new is None else new for old, new in pairs)


def sum_of(registers: Sequence[EnergyRegisters]) -> EnergyRegisters:
    """Over feeds: energies and their error are known where all are, windows are those counted."""
    since = [row.since_window for row in registers if row.since_window is not None]
    return EnergyRegisters(
        _all_known([row.q1_var_s for row in registers]),
        _all_known([row.q2_var_s for row in registers]),
        _all_known([row.q3_var_s for row in registers]),
        _all_known([row.q4_var_s for row in registers]),
        _some_known([row.missing_windows for row in registers]),
        _some_known([row.invalid_windows for row in registers]),
        _some_known([row.reactive_invalid_windows for row in registers]),
        _all_known([row.time_error_j for row in registers]),
        max(since, default=None),
    )


def _all_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known and len(known) == len(values) else None


def _some_known(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
