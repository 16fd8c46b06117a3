"""One feed that a meter measures: the latest readings of its device as values of a window."""

from __future__ import annotations

from bmc_ext.domain.calibration import root_sum_square
from bmc_ext.domain.energy import EnergyRegisters
from bmc_ext.domain.power import FeedValues, PhaseValues, add_known
from bmc_ext.domain.quality import worst_quality
from bmc_ext.telemetry.engine_port import EngineLike
from bmc_ext.telemetry.record import WindowRecord
from drivers.reading import Reading

_PHASES = ("L1", "L2", "L3")
_VAR_S = {"varh": 3600.0, "kvarh": 3.6e6}
_TOTAL_POWER = "power.active.total"


class MeterFeed:
    """Reads a device's canonical points; a point that its profile lacks is unknown for good.

    Without an engine the feed is absent.
    """

    def __init__(self, feed_id: str, device_id: str, engine: EngineLike | None) -> None:
        self.feed_id = feed_id
        self._device_id = device_id
        self._engine = engine
        self._lacking: set[str] = set()

    def values(self) -> FeedValues:
        """The meter's values now. Their quality is that of the active power.

        A meter without a total sums its phases. What else is known is shown without it.
        """
        power = self._power()
        return FeedValues(
            feed_id=self.feed_id,
            source="meter",
            quality=power.quality,
            measured_at=power.measured_at,
            frequency_hz=self._value("frequency"),
            p_w=power.value,
            q_var=self._value("power.reactive.total"),
            s_va=self._value("power.apparent.total"),
            pf=self._value("pf.total"),
            energy_import_j=self._value("energy.active.import"),
            energy_export_j=self._value("energy.active.export"),
            registers=EnergyRegisters(
                q1_var_s=self._reactive_var_s("q1"),
                q2_var_s=self._reactive_var_s("q2"),
                q3_var_s=self._reactive_var_s("q3"),
                q4_var_s=self._reactive_var_s("q4"),
            ),
            phases=self._phases(),
            p_uncertainty_w=power.uncertainty,
            conditions=power.conditions,
            calibrations=power.calibrations,
        )

    def _power(self) -> Reading:
        """Active power in W; where the meter has no total the sum of its phases."""
        total = self._reading(_TOTAL_POWER)
        if total is not None:
            return total
        parts = [
            reading
            for reading in (self._reading(f"power.active.{phase}") for phase in _PHASES)
            if reading is not None
        ]
        times = [part.measured_at for part in parts if part.measured_at is not None]
        return Reading(
            add_known([part.value for part in parts]),
            "W",
            worst_quality([part.quality for part in parts]),
            min(times, default=None),
            uncertainty=root_sum_square(part.uncertainty for part in parts),
            conditions=tuple(entry for part in parts for entry in part.conditions),
            calibrations=tuple(entry for part in parts for entry in part.calibrations),
        )

    def _phases(self) -> tuple[PhaseValues, ...]:
        """The phases of which the meter measures anything."""
        found = []
        for phase in _PHASES:
            values = PhaseValues(
                phase=phase,
                p_w=self._value(f"power.active.{phase}"),
                q_var=self._value(f"power.reactive.{phase}"),
                s_va=self._value(f"power.apparent.{phase}"),
                pf=self._value(f"pf.{phase}"),
                dpf=None,
                v_rms_v=self._value(f"voltage.{phase}"),
                i_rms_a=self._value(f"current.{phase}"),
                thd_v_percent=None,
                thd_i_percent=None,
            )
            if (values.p_w, values.v_rms_v, values.i_rms_a) != (None, None, None):
                found.append(values)
        return tuple(found)

    def _value(self, point: str) -> float | None:
        reading = self._reading(point)
        return None if reading is None else reading.value

    def _reactive_var_s(self, quadrant: str) -> float | None:
        """Reactive energy of a quadrant in var·s, from a point in varh or kvarh."""
        reading = self._reading(f"energy.reactive.{quadrant}")
        if reading is None or reading.value is None or reading.unit not in _VAR_S:
            return None
        return reading.value * _VAR_S[reading.unit]

    def _reading(self, point: str) -> Reading | None:
        if self._engine is None or point in self._lacking:
            return None
        try:
            return self._engine.reading(self._device_id, point)
        except KeyError:
            self._lacking.add(point)
            return None


def meter_record(window_id: int, values: FeedValues) -> WindowRecord:
    """What the ring and the history keep of a meter's values in a window."""
    return WindowRecord(
        window_id=window_id,
        quality=values.quality,
        p_w=values.p_w,
        p_mean_w=values.p_w,
        q_var=values.q_var,
        s_va=values.s_va,
        pf=values.pf,
        frequency_hz=values.frequency_hz,
        v_rms_v=tuple([phase.v_rms_v for phase in values.phases]),
        i_rms_a=tuple([phase.i_rms_a for phase in values.phases]),
        energy_import_j=values.energy_import_j,
        energy_export_j=values.energy_export_j,
        registers=values.registers,
    )
