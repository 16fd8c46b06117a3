"""Heat energy of one coolant loop, over restarts: counted and kept as a feed's energy is."""

from __future__ import annotations

from dataclasses import replace

from bmc_ext.domain.energy import WINDOW_S, EnergyCounter
from bmc_ext.domain.heat_energy import HeatEnergy
from bmc_ext.domain.snapshot import LoopValues
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.history import History
from bmc_ext.telemetry.record import WindowRecord
from bmc_ext.telemetry.recovery import larger, unwritten
from bmc_ext.telemetry.ring import Ring

_RING_WINDOWS = 50  # totals run on: the newest record has all that the last commit lacks


class HeatRegister:
    """Counts the windows of one loop; belongs to the tick.

    Energies go on from ring and history, where they are kept under `loop/<id>`, which no feed can
    be called; StateError when the ring cannot be opened. The heat of a window is what the sensors
    last read in it. A window whose heat is unknown is invalid, one without a tick is missing.
    """

    def __init__(self, loop_id: str, state: StateDirectory, history: History) -> None:
        self._name = f"loop/{loop_id}"
        self._history = history
        self._ring = Ring(state.path / "ring" / "loop" / f"{loop_id}.ring", _RING_WINDOWS)
        self._taken_at: float | None = None  # in this life
        taken_up_j, given_off_j = self._recover()
        self._counter = EnergyCounter(
            taken_up_j,
            given_off_j,
            history.registers(self._name),
            history.last_window(self._name),
        )

    def take(
        self, window_id: int, values: LoopValues, monotonic_s: float, clock_rate_error: float
    ) -> LoopValues:
        """The values of a window, with what was counted up to its end.

        `clock_rate_error` bounds the relative error of the system clock's rate against UTC, on
        whose grid the windows are.
        """
        elapsed_s = None if self._taken_at is None else monotonic_s - self._taken_at
        self._taken_at = monotonic_s
        self._counter.advance(window_id, elapsed_s)
        self._counter.add(values.heat_w, None, WINDOW_S, clock_rate_error)
        counter = self._counter
        record = WindowRecord(
            window_id,
            values.quality,
            energy_import_j=counter.import_j,
            energy_export_j=counter.export_j,
            registers=counter.registers,
        )
        self._ring.append(record)  # first: what the history lacks after a crash comes from there
        self._history.add(self._name, record)
        energy = HeatEnergy(
            counter.import_j, counter.export_j, counter.registers, counter.counted_at
        )
        return replace(values, heat_energy=energy)

    def close(self) -> None:
        """Close the ring; the history is another's."""
        self._ring.close()

    def _recover(self) -> tuple[float, float]:
        """Take into the history what only the ring holds; energies (taken up, given off) in J."""
        stored = self._history.energies(self._name)
        for record in unwritten(self._ring, self._history.last_window(self._name)):
            self._history.add(self._name, record)
        found = self._history.energies(self._name)
        return larger(stored[0], found[0]) or 0.0, larger(stored[1], found[1]) or 0.0
