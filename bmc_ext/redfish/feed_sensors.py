"""The sensors of the facility's power and of its feeds.

They render the newest snapshot, so that they equal power/realtime of the same WindowId.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

from bmc_ext.domain.power import FeedValues, PhaseValues
from bmc_ext.domain.snapshot import WINDOW_S, Snapshot
from bmc_ext.domain.thresholds import Limits
from bmc_ext.redfish.quantities import kilowatt_hours
from bmc_ext.redfish.sensor_values import (
    CURRENT,
    ENERGY,
    FREQUENCY,
    NO_EXTRAS,
    NO_LIMITS,
    PERCENT,
    POWER,
    VOLTAGE,
    FacilitySensor,
    Quantity,
    SensorValue,
    known_quality,
)
from bmc_ext.settings import Config, FeedConfig

PHASES = ("L1", "L2", "L3")

_FEED_QUANTITIES: tuple[tuple[str, Quantity, str, str | None], ...] = (
    ("Power", POWER, "p_w", "p_uncertainty_w"),
    ("Frequency", FREQUENCY, "frequency_hz", "f_uncertainty_hz"),
    ("EnergyImport", ENERGY, "energy_import_j", None),
    ("EnergyExport", ENERGY, "energy_export_j", None),
)
_PHASE_QUANTITIES: tuple[tuple[str, Quantity, str, str | None], ...] = (
    ("Power", POWER, "p_w", "p_uncertainty_w"),
    ("Voltage", VOLTAGE, "v_rms_v", "v_uncertainty_v"),
    ("Current", CURRENT, "i_rms_a", "i_uncertainty_a"),
)
_SLOW_DIP, _SLOW_SWELL = 0.9, 1.1  # of the declared voltage (EN 50160:2010 4.2.2)


def power_sensors(config: Config) -> Iterator[FacilitySensor]:
    """The facility's power and energy, then those of each feed in the order of configuration."""
    facility = config.facility
    limits = Limits(upper_critical=facility.rated_power_w, upper_caution=facility.contract_limit_w)
    yield FacilitySensor(
        "Facility_Power", "Power of all feeds", POWER, _total, "ACUtilityInput", "Total", limits, ()
    )
    yield FacilitySensor(
        "Facility_EnergyImport", "Energy of all feeds", ENERGY, _total_energy, "ACUtilityInput",
        "Total",
    )  # fmt: skip
    for number, feed in enumerate(config.feeds):
        yield from _of_feed(number, feed)


def _of_feed(number: int, feed: FeedConfig) -> Iterator[FacilitySensor]:
    for word, quantity, attribute, uncertainty in _FEED_QUANTITIES:
        power = attribute == "p_w"
        yield FacilitySensor(
            f"Feed_{feed.id}_{word}", f"{feed.name} {_words(word)}", quantity,
            functools.partial(_feed, number, attribute, uncertainty), "ACInput", "Total",
            Limits(upper_critical=feed.rated_power_w) if power else NO_LIMITS,
            (feed.id,) if power else None,
        )  # fmt: skip
    for word, value in (
        ("Load", functools.partial(_load, number, feed.rated_power_w)),
        ("VoltageUnbalance", functools.partial(_voltage_unbalance, number)),
        ("CurrentUnbalance", functools.partial(_unbalance, number, "i_rms_a")),
    ):
        yield FacilitySensor(
            f"Feed_{feed.id}_{word}", f"{feed.name} {_words(word)}", PERCENT, value, "ACInput"
        )
    for phase in PHASES:
        yield from _of_phase(number, feed, phase)


def _of_phase(number: int, feed: FeedConfig, phase: str) -> Iterator[FacilitySensor]:
    line = phase.replace("L", "Line")
    declared_v = feed.declared_voltage_v
    limits = NO_LIMITS
    if declared_v is not None:
        limits = Limits(
            upper_caution=declared_v * _SLOW_SWELL, lower_caution=declared_v * _SLOW_DIP
        )
    for word, quantity, attribute, uncertainty in _PHASE_QUANTITIES:
        yield FacilitySensor(
            f"Feed_{feed.id}_{phase}_{word}", f"{feed.name} {phase} {_words(word)}", quantity,
            functools.partial(_phase, number, phase, attribute, uncertainty), "ACInput",
            line if quantity is CURRENT else f"{line}ToNeutral",
            limits if quantity is VOLTAGE else NO_LIMITS,
            (feed.id, phase) if quantity is POWER else None,
        )  # fmt: skip


def _words(name: str) -> str:
    """`EnergyImport` as energy import."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def _total(snapshot: Snapshot) -> SensorValue:
    total = snapshot.total
    extras = {
        "ApparentVA": total.s_va,
        "ReactiveVAR": total.q_var,
        "PowerFactor": total.pf,
        "LifetimeReading": kilowatt_hours(total.energy_import_j),
    }
    return SensorValue(
        total.p_w, total.quality, snapshot.start_s, total.p_uncertainty_w, extras=extras,
        source_interval_s=WINDOW_S, window_id=snapshot.window_id,
    )  # fmt: skip


def _total_energy(snapshot: Snapshot) -> SensorValue:
    total = snapshot.total
    return SensorValue(
        total.energy_import_j,
        known_quality(total.energy_import_j, total.quality),
        total.counted_at,
        extras={"LifetimeReading": kilowatt_hours(total.energy_import_j)},
        source_interval_s=WINDOW_S,
        window_id=snapshot.window_id,
    )


def _of(
    snapshot: Snapshot,
    feed: FeedValues,
    value: float | None,
    uncertainty: float | None = None,
    extras: Any = NO_EXTRAS,
) -> SensorValue:
    """A value of a feed, with the feed's quality and time."""
    return SensorValue(
        value,
        known_quality(value, feed.quality),
        feed.measured_at,
        uncertainty,
        source_interval_s=WINDOW_S if feed.source == "waveform" else feed.source_interval_s,
        extras=extras,
        window_id=snapshot.window_id,
    )


def _feed(number: int, attribute: str, uncertainty: str | None, snapshot: Snapshot) -> SensorValue:
    feed = snapshot.feeds[number]
    value: float | None = getattr(feed, attribute)
    known = None if uncertainty is None else getattr(feed, uncertainty)
    if attribute.startswith("energy"):
        return _of(snapshot, feed, value, known, {"LifetimeReading": kilowatt_hours(value)})
    if attribute != "p_w":
        return _of(snapshot, feed, value, known)
    shown = _of(snapshot, feed, value, known, _power_extras(feed))
    return shown._replace(conditions=feed.conditions, calibrations=feed.calibrations)


def _power_extras(feed: FeedValues) -> dict[str, Any]:
    return {
        "ApparentVA": feed.s_va,
        "ReactiveVAR": feed.q_var,
        "PowerFactor": feed.pf,
        "LifetimeReading": kilowatt_hours(feed.energy_import_j),
    }


def _load(number: int, rated_w: float, snapshot: Snapshot) -> SensorValue:
    feed = snapshot.feeds[number]
    return _of(snapshot, feed, None if feed.p_w is None else abs(feed.p_w) / rated_w * 100.0)


def _voltage_unbalance(number: int, snapshot: Snapshot) -> SensorValue:
    """u2 of IEC 61000-4-30 5.7 over 10/12 cycles; of a meter's voltages the deviation of phases."""
    cycles = snapshot.feeds[number].cycles.ten_twelve
    if cycles is None or cycles.u2_percent is None:
        return _unbalance(number, "v_rms_v", snapshot)
    feed = snapshot.feeds[number]
    return _of(snapshot, feed, cycles.u2_percent)._replace(
        measured_at=cycles.start_s, source_interval_s=cycles.duration_s
    )


def _unbalance(number: int, attribute: str, snapshot: Snapshot) -> SensorValue:
    """Largest deviation of a phase from the mean of all, in % of the mean (NEMA MG 1, 14.36)."""
    feed = snapshot.feeds[number]
    return _of(snapshot, feed, deviation_percent([getattr(p, attribute) for p in feed.phases]))


def deviation_percent(values: Sequence[float | None]) -> float | None:
    """Largest deviation from the mean in %; None where a value is unknown, or there is nothing."""
    known = [value for value in values if value is not None]
    if len(known) < len(PHASES) or len(known) < len(values):
        return None
    mean = sum(known) / len(known)
    return max(abs(value - mean) for value in known) / mean * 100.0 if mean else None


def _phase(
    number: int, phase: str, attribute: str, uncertainty: str | None, snapshot: Snapshot
) -> SensorValue:
    feed = snapshot.feeds[number]
    values = next((found for found in feed.phases if found.phase == phase), None)
    value: float | None = getattr(values, attribute, None)
    known = None if uncertainty is None else getattr(values, uncertainty, None)
    return _of(snapshot, feed, value, known, _phase_extras(values, attribute))


def _phase_extras(phase: PhaseValues | None, attribute: str) -> dict[str, Any]:
    """What stands beside a phase's value, also where the phase itself is not known."""
    if attribute == "p_w":
        names = {"ApparentVA": "s_va", "ReactiveVAR": "q_var", "PowerFactor": "pf"}
    else:
        names = {"THDPercent": "thd_v_percent" if attribute == "v_rms_v" else "thd_i_percent"}
    return {shown: getattr(phase, name, None) for shown, name in names.items()}
