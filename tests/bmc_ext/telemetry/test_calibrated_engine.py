"""Device points read through their certificates."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest

from bmc_ext.domain.calibration import (
    CalibratedRange,
    Calibration,
    TemperatureEffect,
    Uncertainty,
)
from bmc_ext.errors import ConfigurationError
from bmc_ext.telemetry.calibrated_engine import CalibratedEngine
from drivers.reading import Quality

P, Q = "power.active.total", "power.reactive.total"


def certificate(
    sensor: str = f"m/{P}",
    unit: str = "W",
    *ranges: CalibratedRange,
    effect: TemperatureEffect | None = None,
    due: date = date(2027, 1, 1),
) -> dict[str, Calibration]:
    """One certificate by its sensor."""
    own = ranges or (CalibratedRange(0.0, 1e6, Uncertainty(pct_reading=0.2)),)
    known = Calibration(sensor, unit, "C-7", date(2026, 1, 1), due, own, effect)
    return {sensor: known}


@pytest.fixture
def meter(engine: Any) -> Any:
    """A meter of 8500 W and 5268 var, power factor 0.85, class 1 of its own."""
    engine.put("m", P, 8500.0, "W", uncertainty=85.0)
    engine.put("m", Q, math.sqrt(1e8 - 8500.0**2), "var")
    engine.put("rtd", "t", 33.0, "Cel")
    return engine


def calibrated(engine: Any, clock: Any, calibrations: dict[str, Calibration]) -> CalibratedEngine:
    """The engine behind certificates."""
    return CalibratedEngine(engine, calibrations, clock)


def test_a_point_without_a_certificate_is_as_before(meter: Any, clock: Any) -> None:
    """Value, and the uncertainty of the device's own class."""
    reading = calibrated(meter, clock, {}).reading("m", P)
    assert reading is meter.points["m", P]


def test_gain_and_offset_correct_the_value_and_the_certificate_gives_its_uncertainty(
    meter: Any, clock: Any
) -> None:
    """The class of the device no longer counts."""
    within = CalibratedRange(0.0, 1e6, Uncertainty(pct_reading=0.2), gain=1.01, offset=20.0)
    reading = calibrated(meter, clock, certificate(f"m/{P}", "W", within)).reading("m", P)
    assert reading.value == pytest.approx(1.01 * 8480.0)
    assert reading.uncertainty == pytest.approx(0.002 * 1.01 * 8480.0)
    assert reading.quality is Quality.OK
    (state,) = reading.calibrations
    assert (state.certificate, state.due, state.overdue) == ("C-7", date(2027, 1, 1), False)


def test_a_meters_phase_error_is_turned_back_with_its_reactive_power(
    meter: Any, clock: Any
) -> None:
    """P = P'·cos δ - Q'·sin δ: the truth was S = 10 kVA at φ + δ."""
    delta = 0.01
    within = CalibratedRange(
        0.0, 1e6, Uncertainty(pct_reading=0.2, phase_rad=2e-3), phase_rad=delta
    )
    engine = calibrated(meter, clock, certificate(f"m/{P}", "W", within))
    reading = engine.reading("m", P)
    phi = math.acos(0.85)
    assert reading.value == pytest.approx(1e4 * math.cos(phi + delta))
    tangential = 2e-3 * 1e4 * math.sin(phi)
    assert reading.uncertainty == pytest.approx(
        math.hypot(0.002 * (reading.value or 0.0), tangential), rel=1e-6
    )
    meter.put("m", Q, None, "var", Quality.STALE)
    lost = engine.reading("m", P)
    assert (lost.value, lost.uncertainty) == (8500.0, None)
    assert [entry.kind for entry in lost.conditions] == ["phase-uncorrected"]


def test_an_unknown_value_stays_unknown_and_keeps_its_certificate(meter: Any, clock: Any) -> None:
    """Nothing is corrected into being."""
    meter.put("m", P, None, "W", Quality.COMM_ERROR)
    reading = calibrated(meter, clock, certificate()).reading("m", P)
    assert (reading.value, reading.quality) == (None, Quality.COMM_ERROR)
    assert reading.uncertainty is None
    assert reading.calibrations[0].certificate == "C-7"


def test_ranges_are_followed_and_what_is_beyond_is_marked(meter: Any, clock: Any) -> None:
    """From 1 kW to 1000 MW each has its coefficients."""
    ranges = (
        CalibratedRange(1e3, 1e6, Uncertainty(pct_reading=0.5), gain=1.02),
        CalibratedRange(0.9e6, 1e9, Uncertainty(pct_reading=0.1), gain=1.001),
    )
    engine = calibrated(meter, clock, certificate(f"m/{P}", "W", *ranges))
    found = []
    for raw in (5e3, 2e8, 0.95e6, 5e5, 100.0, -2e8, 2e9):
        meter.put("m", P, raw, "W")
        reading = engine.reading("m", P)
        kinds = [entry.kind for entry in reading.conditions]
        found.append(((reading.value or 0.0) / raw, reading.uncertainty is None, kinds))
    assert [gain for gain, _, _ in found] == pytest.approx(
        [1.02, 1.001, 1.001, 1.02, 1.02, 1.001, 1.001]
    )
    assert [kinds for _, _, kinds in found] == [
        [],
        [],
        [],
        [],
        ["below-range"],
        [],
        ["above-range"],
    ]
    assert [unknown for _, unknown, _ in found] == [False] * 4 + [True, False, True]


def test_the_temperature_comes_from_its_configured_point(meter: Any, clock: Any) -> None:
    """10 K above the reference at 1e-4 per K; unknown it is said."""
    effect = TemperatureEffect(
        23.0, gain_per_k=1e-4, point="rtd/t", unknown=Uncertainty(pct_reading=0.3)
    )
    engine = calibrated(meter, clock, certificate(effect=effect))
    assert engine.reading("m", P).value == pytest.approx(8500.0 * 1.001)
    meter.put("rtd", "t", None, "Cel", Quality.COMM_ERROR)
    cold = engine.reading("m", P)
    assert cold.value == 8500.0
    assert cold.uncertainty == pytest.approx(8500.0 * math.hypot(0.002, 0.003))
    assert [entry.kind for entry in cold.conditions] == ["temperature-unknown"]


def test_ranges_that_refuse_each_others_value_do_not_chatter(meter: Any, clock: Any) -> None:
    """105 W is beyond the lower range, and what the upper one makes of it is below that."""
    ranges = (
        CalibratedRange(0.0, 100.0, Uncertainty()),
        CalibratedRange(100.0, 1e6, Uncertainty(), gain=0.9),
    )
    devices = calibrated(meter, clock, certificate(f"m/{P}", "W", *ranges))
    found = []
    for power_w in (105.0, 105.0, 120.0, 105.0, 105.0, 90.0):
        meter.put("m", P, power_w, "W")
        found.append(devices.reading("m", P).value)
    assert found == pytest.approx([105.0, 105.0, 108.0, 94.5, 94.5, 90.0])


def test_the_temperatures_own_uncertainty_goes_in(meter: Any, clock: Any) -> None:
    """A sensor that is right to 2 K, at 1 ‰/K, adds 0.2 % to a certificate of 0.2 %."""
    meter.put("rtd", "t", 33.0, "Cel", uncertainty=2.0)
    effect = TemperatureEffect(23.0, gain_per_k=1e-3, point="rtd/t")
    reading = calibrated(meter, clock, certificate(effect=effect)).reading("m", P)
    assert reading.value == pytest.approx(8500.0 * 1.01)
    assert reading.uncertainty == pytest.approx(8500.0 * 1.01 * 2e-3 * math.sqrt(2))


def test_overdue_is_a_condition_and_no_quality(meter: Any, clock: Any) -> None:
    """The value is used all the same."""
    engine = calibrated(meter, clock, certificate(due=date(2026, 1, 31)))
    reading = engine.reading("m", P)
    assert (reading.value, reading.quality) == (8500.0, Quality.OK)
    assert [entry.kind for entry in reading.conditions] == ["calibration-overdue"]
    assert reading.calibrations[0].overdue


DELAY = CalibratedRange(0.0, 1.0, Uncertainty(), delay_s=1e-5)
PHASE = CalibratedRange(0.0, 1.0, Uncertainty(), phase_rad=0.01)
LOST = TemperatureEffect(23.0, point="rtd/none")
WRONG = TemperatureEffect(23.0, point=f"m/{P}")


@pytest.mark.parametrize(
    ("calibrations", "named"),
    [
        (certificate("x/y"), "calibration: x/y: device 'x' has no point 'y'"),
        (certificate(unit="V"), "is in W, not in V"),
        (certificate("f/IA", "W"), "calibration: f/IA: the channel is in A, not in W"),
        (certificate(f"m/{P}", "W", DELAY), "delay_s is for waveform channels only"),
        (certificate("rtd/t", "Cel", PHASE), "phase_rad is for waveform channels and active"),
        (certificate(effect=LOST), "temperature/point: device 'rtd' has no point 'none'"),
        (certificate(effect=WRONG), "is in W, not in Cel"),
        (certificate("g/IA", "A"), "no waveform source 'g'"),
    ],
)
def test_a_certificate_that_fits_nothing_is_refused_by_name(
    meter: Any, clock: Any, calibrations: dict[str, Calibration], named: str
) -> None:
    """When the service starts, not when the value is needed."""
    with pytest.raises(ConfigurationError) as raised:
        calibrated(meter, clock, calibrations).check_sources(["f"])
    assert named in str(raised.value)


def test_only_sources_with_certificates_have_calibrated_channels(meter: Any, clock: Any) -> None:
    """The others are analysed as before."""
    engine = calibrated(meter, clock, certificate("f/IA", "A"))
    assert engine.channels.keys() == {"f"}
