"""Waveform and meter feeds: what a window shows, and what it does not claim."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from bmc_ext.domain.energy import EnergyRegisters
from bmc_ext.sampling import Flag
from bmc_ext.sampling.channel_calibration import Confidence, PhaseConfidence
from bmc_ext.sampling.sampler import Window
from bmc_ext.telemetry.meter_feed import MeterFeed, meter_record
from bmc_ext.telemetry.waveform_feed import WaveformFeed
from drivers.reading import CalibrationState, Condition, Quality

MakeWindow = Callable[..., Window]


@pytest.fixture
def feed() -> WaveformFeed:
    """A waveform feed that has counted energy before."""
    return WaveformFeed("a", (1000.0, 10.0), monotonic_s=0.0)


def test_a_window_shows_its_weighted_power(feed: WaveformFeed, make_window: MakeWindow) -> None:
    """Shown power is the analysis' weighted one, per phase and in total, with time and phases."""
    values, record = feed.take(make_window("a", 50, 2900.0, p_w=3000.0), 0.1)
    assert values.quality is Quality.OK
    assert values.source == "waveform"
    assert values.measured_at == 5.0
    assert (values.p_w, values.q_var, values.s_va, values.pf) == (3000.0, 2250.0, 3750.0, 0.8)
    assert values.dpf == pytest.approx(0.8)
    assert values.frequency_hz == 50.01
    assert [phase.phase for phase in values.phases] == ["L1", "L2", "L3"]
    assert [phase.p_w for phase in values.phases] == [1000.0] * 3
    assert record.p_w == 3000.0
    assert record.p_mean_w == pytest.approx(2900.0)
    assert record.v_rms_v == (230.0, 230.0, 230.0)


def test_a_window_shows_how_sure_its_certificates_are(
    feed: WaveformFeed, make_window: MakeWindow
) -> None:
    """Each phase has its own half widths; a source without certificates has none."""
    phases = tuple(PhaseConfidence(1.0 * n, 2.0 * n, 3.0 * n, 4.0 * n) for n in (1, 2, 3))
    confidence = Confidence(5.0, (), (), 6.0, phases)
    values, _ = feed.take(make_window("a", 50, 2900.0)._replace(confidence=confidence), 0.1)
    assert (values.p_uncertainty_w, values.q_uncertainty_var) == (5.0, 6.0)
    third = values.phases[2]
    assert (third.p_uncertainty_w, third.q_uncertainty_var) == (3.0, 6.0)
    assert (third.v_uncertainty_v, third.i_uncertainty_a) == (9.0, 12.0)
    plain, _ = feed.take(make_window("a", 51, 2900.0), 0.2)
    assert (plain.p_uncertainty_w, plain.phases[2].v_uncertainty_v) == (None, None)


def test_energy_follows_its_closed_form(feed: WaveformFeed, make_window: MakeWindow) -> None:
    """Import and export are the sums of the positive and negative plain means times 0.1 s."""
    powers = [1e6 * math.sin(number / 7) for number in range(500)]
    for number, power in enumerate(powers):
        values, _ = feed.take(make_window("a", number, power, p_w=1.0), 0.1)
    assert values.energy_import_j == pytest.approx(
        1000.0 + 0.1 * math.fsum(power for power in powers if power > 0), rel=1e-12
    )
    assert values.energy_export_j == pytest.approx(
        10.0 - 0.1 * math.fsum(power for power in powers if power < 0), rel=1e-12
    )


def test_not_a_number_is_unknown(feed: WaveformFeed, make_window: MakeWindow) -> None:
    """A NaN of the analysis becomes None, and without a total nothing is claimed or counted."""
    window = make_window("a", 1)
    assert window.analysis is not None
    window.analysis.frequency_hz = math.nan  # type: ignore[misc]  # a stand-in may change
    assert feed.take(window, 0.1)[0].frequency_hz is None
    before = feed.take(make_window("a", 2, 0.0), 0.1)[0].energy_import_j
    broken = make_window("a", 3, math.nan)
    values, record = feed.take(broken, 0.1)
    assert values.quality is record.quality is Quality.OUT_OF_RANGE
    assert (values.p_w, values.energy_import_j, values.phases) == (None, before, ())
    assert feed.take(make_window("a", 4, 0.0), 0.1)[0].energy_import_j == before


def test_energies_stand_in_a_gap_and_say_since_when(
    feed: WaveformFeed, make_window: MakeWindow
) -> None:
    """Torn, void and missing windows leave the energies readable, as of the last that counted."""
    first = feed.missing(99, 0.05)
    assert (first.energy_import_j, first.energy_export_j, first.counted_at) == (1000.0, 10.0, None)
    whole, _ = feed.take(make_window("a", 100, 1000.0), 0.1)
    torn, record = feed.take(make_window("a", 101, analysed=False, samples=700), 0.2)
    void, _ = feed.take(make_window("a", 102, math.nan), 0.3)
    lost = feed.missing(112, 1.3)
    assert [values.quality for values in (whole, torn, void, lost)] == [
        Quality.OK, Quality.STALE, Quality.OUT_OF_RANGE, Quality.COMM_ERROR,
    ]  # fmt: skip
    for values in (torn, void, lost):
        assert values.p_w is None
        assert (values.energy_import_j, values.energy_export_j) == (1100.0, 10.0)
        assert values.counted_at == pytest.approx(10.1)
    assert [values.registers.gap_s for values in (whole, torn, void, lost)] == pytest.approx(
        [0.0, 0.1, 0.2, 1.2]
    )
    assert record.energy_import_j == 1100.0
    again, _ = feed.take(make_window("a", 113, -1000.0), 1.4)
    assert (again.energy_export_j, again.counted_at) == (pytest.approx(110.0), pytest.approx(11.4))


def test_a_frequency_has_an_uncertainty_where_the_line_is_steady(
    feed: WaveformFeed, make_window: MakeWindow
) -> None:
    """Noise of 60 dB and the bounds of both clocks; none for a window that is not steady."""
    window = make_window("a", 1)._replace(rate_error=40e-6)
    steady, _ = feed.take(window, 0.1, clock_rate_error=10e-6)
    assert steady.f_uncertainty_hz == pytest.approx(
        math.hypot(0.026 / math.sqrt(1280), 50.01 * 50e-6 * 2 / math.sqrt(3))
    )
    for flag in (Flag.NON_STATIONARY, Flag.INTERHARMONIC, Flag.CLIPPED, Flag.COARSE):
        values, _ = feed.take(make_window("a", 2, flags=flag), 0.2)
        assert (values.frequency_hz, values.f_uncertainty_hz) == (50.01, None)


def test_energy_is_counted_without_a_frequency(feed: WaveformFeed, make_window: MakeWindow) -> None:
    """A window of which only the plain mean is known shows nothing, but its energy counts."""
    values, record = feed.take(make_window("a", 1, 3000.0, p_w=math.nan), 0.1)
    assert (values.quality, values.p_w) == (Quality.OUT_OF_RANGE, None)
    assert record.energy_import_j == pytest.approx(1300.0)


def test_registers_stand_beside_the_energy(feed: WaveformFeed, make_window: MakeWindow) -> None:
    """Reactive energy and gaps are shown, kept in the record, and shown also when stale."""
    feed.take(make_window("a", 100, 1000.0), 0.1)
    values, record = feed.take(make_window("a", 103, -1000.0), 0.4)
    registers = values.registers
    assert record.registers == registers
    assert registers[:4] == pytest.approx((75.0, 0.0, 75.0, 0.0))
    assert (registers.missing_windows, registers.since_window) == (2, 100)
    feed.take(make_window("a", 104, analysed=False, samples=700), 0.5)
    torn, record = feed.take(make_window("a", 105, math.nan), 0.6)
    assert torn.registers.missing_windows == 3
    assert torn.registers.invalid_windows == 1
    assert record.registers == torn.registers
    lost = feed.missing(115, 1.6)
    assert lost.registers.missing_windows == 3 + 10
    assert feed.missing(105, 0.6).registers.missing_windows == 3


def test_energy_counts_what_the_samples_span(feed: WaveformFeed, make_window: MakeWindow) -> None:
    """A window of one sample more holds that much more energy, bounded by its rate's error."""
    window = make_window("a", 1, 1000.0, samples=1281)._replace(
        expected=1281, sample_rate_hz=12_800.0, rate_error=3e-6, time_error_s=2e-3
    )
    values, _ = feed.take(window, 0.1, clock_rate_error=15e-6)
    assert values.energy_import_j == pytest.approx(1000.0 + 1000.0 * 1281 / 12_800, rel=1e-12)
    assert values.registers.time_error_j == pytest.approx(100.078125 * 18e-6)
    assert (values.sample_rate_hz, values.rate_error, values.time_error_s) == (12_800.0, 3e-6, 2e-3)
    assert "time-bound" in values.flags


def test_flags_of_source_and_analysis_are_named(
    feed: WaveformFeed, make_window: MakeWindow
) -> None:
    """The source's own flags come first, then the analysis' in lower case with hyphens."""
    flags = Flag.NON_STATIONARY | Flag.CLIPPED
    values, _ = feed.take(make_window("a", 1, flags=flags, source_flags=("seam",)), 0.1)
    assert values.flags == ("seam", "clipped", "non-stationary")
    assert (Flag(0)).labels == ()


def test_a_torn_window_is_stale(feed: WaveformFeed, make_window: MakeWindow) -> None:
    """A gap shows nothing but the time of the last good window; a whole unusable one is marked."""
    feed.take(make_window("a", 1), 0.1)
    gap, record = feed.take(
        make_window("a", 2, analysed=False, samples=700, source_flags=("gap",)), 0.2
    )
    assert (gap.quality, gap.p_w, gap.measured_at, gap.flags) == (
        Quality.STALE,
        None,
        0.1,
        ("gap",),
    )
    assert (record.quality, record.p_mean_w) == (Quality.STALE, None)
    unusable, _ = feed.take(make_window("a", 3, analysed=False), 0.3)
    assert unusable.quality is Quality.OUT_OF_RANGE


def test_a_silent_source_is_lost_within_a_second(
    feed: WaveformFeed, make_window: MakeWindow
) -> None:
    """Missing windows are stale at first and comm-error soon after; torn ones are no life."""
    feed.take(make_window("a", 1), 10.0)
    assert feed.missing(0, 10.2).quality is Quality.STALE
    feed.take(make_window("a", 2, analysed=False, samples=3), 10.7)
    assert feed.missing(0, 10.8).quality is Quality.COMM_ERROR
    assert not feed.is_live(10.8)
    feed.take(make_window("a", 9), 11.0)
    assert feed.is_live(11.0)


def _meter(engine: Any) -> MeterFeed:
    for phase in ("L1", "L2", "L3"):
        engine.put("m", f"voltage.{phase}", 230.0, "V")
        engine.put("m", f"current.{phase}", 5.0, "A")
        engine.put("m", f"power.active.{phase}", 1000.0, "W")
    engine.put("m", "power.active.total", 3001.0, "W")
    engine.put("m", "frequency", 50.02, "Hz")
    engine.put("m", "energy.active.import", 3.6e9, "J")
    return MeterFeed("f", "m", engine)


def test_a_meter_shows_its_points(engine: Any) -> None:
    """Canonical points become values; those that the profile lacks are unknown."""
    values = _meter(engine).values()
    assert (values.source, values.quality) == ("meter", Quality.OK)
    assert (values.p_w, values.frequency_hz, values.energy_import_j) == (3001.0, 50.02, 3.6e9)
    assert (values.q_var, values.pf, values.energy_export_j) == (None, None, None)
    assert values.measured_at == engine.points["m", "power.active.total"].measured_at
    assert [phase.i_rms_a for phase in values.phases] == [5.0] * 3
    record = meter_record(77, values)
    assert (record.window_id, record.p_mean_w, record.v_rms_v) == (77, 3001.0, (230.0,) * 3)


def test_phases_of_a_meter_may_be_wrong_alike(engine: Any) -> None:
    """Without a total the phases add, and their half widths too; one unknown makes it unknown."""
    for phase in ("L1", "L2", "L3"):
        engine.put("m", f"power.active.{phase}", 1000.0, "W", uncertainty=5.0)
    feed = MeterFeed("f", "m", engine)
    values = feed.values()
    assert (values.p_w, values.p_uncertainty_w) == (3000.0, 15.0)
    engine.put("m", "power.active.L2", 1000.0, "W")
    values = feed.values()
    assert (values.p_w, values.p_uncertainty_w) == (3000.0, None)
    engine.put("m", "power.active.L2", None, "W", Quality.STALE)
    values = feed.values()
    assert (values.p_w, values.quality) == (None, Quality.STALE)


def test_a_meter_says_of_every_point_what_is_to_be_known(engine: Any) -> None:
    """Each has its own half width; an overdue voltage is a warning although the power is not."""
    feed = _meter(engine)
    engine.put("m", "power.reactive.total", 500.0, "var", uncertainty=9.0)
    for point, unit in (("power.active", "W"), ("voltage", "V"), ("current", "A")):
        engine.put("m", f"{point}.L2", 7.0, unit, uncertainty=0.1)
    overdue = Condition("calibration-overdue", "m/voltage.L2", "it is")
    state = CalibrationState("m/voltage.L2", "C", date(2025, 1, 1), date(2026, 1, 1), overdue=True)
    engine.points["m", "voltage.L2"] = engine.points["m", "voltage.L2"]._replace(
        conditions=(overdue,), calibrations=(state,)
    )
    values = feed.values()
    assert (values.p_uncertainty_w, values.q_uncertainty_var) == (None, 9.0)
    second = values.phases[1]
    assert (second.p_uncertainty_w, second.q_uncertainty_var) == (0.1, None)
    assert (second.v_uncertainty_v, second.i_uncertainty_a) == (0.1, 0.1)
    assert (values.conditions, values.calibrations) == ((overdue,), (state,))


def test_a_meter_shows_the_registers_that_it_has(engine: Any) -> None:
    """Reactive energies by quadrant come from varh and kvarh; what it misses it does not tell."""
    feed = _meter(engine)
    engine.put("m", "energy.reactive.q1", 2.0, "varh")
    engine.put("m", "energy.reactive.q4", 3.0, "kvarh")
    engine.put("m", "energy.reactive.q2", 3.0, "J")
    values = feed.values()
    assert values.registers == EnergyRegisters(q1_var_s=7200.0, q4_var_s=10.8e6)
    assert meter_record(77, values).registers == values.registers


def test_a_lacking_point_is_asked_for_once(engine: Any) -> None:
    """What the profile does not have is not looked for in every window."""
    feed = _meter(engine)
    feed.values()
    engine.asked.clear()
    feed.values()
    assert "pf.total" not in engine.asked
    assert "power.active.total" in engine.asked


def test_a_meter_without_a_total_sums_its_phases(engine: Any) -> None:
    """The sum is known when all phases are, and takes the worst quality and oldest time."""
    feed = _meter(engine)
    del engine.points["m", "power.active.total"]
    assert feed.values().p_w == 3000.0
    engine.put("m", "power.active.L2", None, "W", Quality.STALE)
    values = feed.values()
    assert (values.quality, values.p_w) == (Quality.STALE, None)


def test_a_meter_tells_how_often_it_refreshes_its_power(engine: Any) -> None:
    """The interval is the total's, or the longest of the phases that make one."""
    feed = _meter(engine)
    for point, seconds in (("total", 0.4), ("L1", 1.0), ("L2", 2.0), ("L3", None)):
        key = "m", f"power.active.{point}"
        engine.points[key] = engine.points[key]._replace(source_interval_s=seconds)
    assert feed.values().source_interval_s == 0.4
    del engine.points["m", "power.active.total"]
    assert feed.values().source_interval_s == 2.0


def test_a_dead_meter_shows_nothing(engine: Any) -> None:
    """When no point of the meter is known the feed shows no value, but still when it was read."""
    feed = _meter(engine)
    for (device, point), reading in list(engine.points.items()):
        engine.put(device, point, None, reading.unit, Quality.COMM_ERROR)
    values = feed.values()
    assert values.quality is Quality.COMM_ERROR
    assert (values.p_w, values.frequency_hz, values.energy_import_j, values.phases) == (
        None, None, None, (),
    )  # fmt: skip
    assert values.measured_at is not None


def test_one_unknown_power_does_not_hide_the_rest(engine: Any) -> None:
    """Without its total power the feed is not OK, but shows what the meter does know."""
    feed = _meter(engine)
    engine.put("m", "power.active.total", None, "W", Quality.ABSENT)
    values = feed.values()
    assert (values.quality, values.p_w) == (Quality.ABSENT, None)
    assert (values.frequency_hz, values.energy_import_j) == (50.02, 3.6e9)
    assert [phase.p_w for phase in values.phases] == [1000.0] * 3
    record = meter_record(77, values)
    assert (record.quality, record.p_mean_w, record.frequency_hz) == (Quality.ABSENT, None, 50.02)


def test_one_phase_without_power_keeps_its_voltage(engine: Any) -> None:
    """A phase whose power is unknown is shown with its voltage and current, the feed is OK."""
    feed = _meter(engine)
    engine.put("m", "power.active.L2", None, "W", Quality.ABSENT)
    values = feed.values()
    assert (values.quality, values.p_w) == (Quality.OK, 3001.0)
    assert [phase.p_w for phase in values.phases] == [1000.0, None, 1000.0]
    assert (values.phases[1].v_rms_v, values.phases[1].i_rms_a) == (230.0, 5.0)


def test_no_engine_and_no_power_are_absent(engine: Any) -> None:
    """A feed without engine, or whose meter measures no power, is absent."""
    assert MeterFeed("f", "m", None).values().quality is Quality.ABSENT
    assert MeterFeed("f", "other", engine).values().quality is Quality.ABSENT
