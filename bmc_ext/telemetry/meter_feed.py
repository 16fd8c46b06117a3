"""One feed that a meter measures: the latest readings of its device as values of a window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bmc_ext.domain.energy import EnergyRegisters
from bmc_ext.domain.power import FeedValues, PhaseValues, add_known
from bmc_ext.domain.quality import worst_quality
from bmc_ext.telemetry.engine_port import EngineLike
from bmc_ext.telemetry.record import WindowRecord
from drivers.reading import Quality, Reading

_PHASES = ("L1", "L2", "L3")
_VAR_S = {"varh": 3600.0, "kvarh": 3.6e6}
_PER_PHASE = ("power.active", "power.reactive", "power.apparent", "pf", "voltage", "current")
_TOTAL_POWER, _TOTAL_REACTIVE = "power.active.total", "power.reactive.total"
_POINTS = (
    _TOTAL_POWER, _TOTAL_REACTIVE, "power.apparent.total", "pf.total", "frequency",
    "energy.active.import", "energy.active.export",
    *(f"energy.reactive.{quadrant}" for quadrant in ("q1", "q2", "q3", "q4")),
    *(f"{quantity}.{phase}" for phase in _PHASES for quantity in _PER_PHASE),
)  # fmt: skip
"""What a feed shows of its meter."""

_LACKING = Reading(None, "", Quality.ABSENT)


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

        A meter without a total sums its phases. What else is known is shown without it. Conditions
        and calibrations are those of all its points.
        """
        found = {point: self._reading(point) for point in _POINTS}
        known = {point: reading for point, reading in found.items() if reading is not None}
        values = {point: reading.value for point, reading in known.items()}
        power = _power(known)
        return FeedValues(
            feed_id=self.feed_id,
            source="meter",
            quality=power.quality,
            measured_at=power.measured_at,
            frequency_hz=values.get("frequency"),
            p_w=power.value,
            q_var=values.get(_TOTAL_REACTIVE),
            s_va=values.get("power.apparent.total"),
            pf=values.get("pf.total"),
            energy_import_j=values.get("energy.active.import"),
            energy_export_j=values.get("energy.active.export"),
            registers=EnergyRegisters(
                q1_var_s=_reactive_var_s(known, "q1"),
                q2_var_s=_reactive_var_s(known, "q2"),
                q3_var_s=_reactive_var_s(known, "q3"),
                q4_var_s=_reactive_var_s(known, "q4"),
            ),
            phases=tuple(_phases(known)),
            p_uncertainty_w=power.uncertainty,
            q_uncertainty_var=known.get(_TOTAL_REACTIVE, _LACKING).uncertainty,
            s_uncertainty_va=known.get("power.apparent.total", _LACKING).uncertainty,
            pf_uncertainty=known.get("pf.total", _LACKING).uncertainty,
            f_uncertainty_hz=known.get("frequency", _LACKING).uncertainty,
            counted_at=known.get("energy.active.import", _LACKING).measured_at,
            source_interval_s=power.source_interval_s,
            conditions=tuple(entry for reading in known.values() for entry in reading.conditions),
            calibrations=tuple(
                entry for reading in known.values() for entry in reading.calibrations
            ),
        )

    def _reading(self, point: str) -> Reading | None:
        if self._engine is None or point in self._lacking:
            return None
        try:
            return self._engine.reading(self._device_id, point)
        except KeyError:
            self._lacking.add(point)
            return None


def _power(known: Mapping[str, Reading]) -> Reading:
    """Active power in W; where the meter has no total the sum of its phases.

    Phases of one meter may be wrong alike: their uncertainties add as magnitudes (JCGM 100:2008,
    5.2.2 note 1).
    """
    total = known.get(_TOTAL_POWER)
    if total is not None:
        return total
    names = [f"power.active.{phase}" for phase in _PHASES]
    parts = [known[name] for name in names if name in known]
    times = [part.measured_at for part in parts if part.measured_at is not None]
    intervals = [part.source_interval_s for part in parts if part.source_interval_s is not None]
    return Reading(
        add_known([part.value for part in parts]),
        "W",
        worst_quality([part.quality for part in parts]),
        min(times, default=None),
        source_interval_s=max(intervals, default=None),
        uncertainty=add_known([part.uncertainty for part in parts]),
    )


def _phases(known: Mapping[str, Reading]) -> Iterator[PhaseValues]:
    """The phases of which the meter measures anything."""
    for phase in _PHASES:
        of = {quantity: known.get(f"{quantity}.{phase}", _LACKING) for quantity in _PER_PHASE}
        active, reactive = of["power.active"], of["power.reactive"]
        voltage, current = of["voltage"], of["current"]
        if (active.value, voltage.value, current.value) == (None, None, None):
            continue
        yield PhaseValues(
            phase=phase,
            p_w=active.value,
            q_var=reactive.value,
            s_va=of["power.apparent"].value,
            pf=of["pf"].value,
            dpf=None,
            v_rms_v=voltage.value,
            i_rms_a=current.value,
            thd_v_percent=None,
            thd_i_percent=None,
            p_uncertainty_w=active.uncertainty,
            q_uncertainty_var=reactive.uncertainty,
            v_uncertainty_v=voltage.uncertainty,
            i_uncertainty_a=current.uncertainty,
            s_uncertainty_va=of["power.apparent"].uncertainty,
            pf_uncertainty=of["pf"].uncertainty,
        )


def _reactive_var_s(known: Mapping[str, Reading], quadrant: str) -> float | None:
    """Reactive energy of a quadrant in var·s, from a point in varh or kvarh."""
    reading = known.get(f"energy.reactive.{quadrant}", _LACKING)
    if reading.value is None or reading.unit not in _VAR_S:
        return None
    return reading.value * _VAR_S[reading.unit]


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
