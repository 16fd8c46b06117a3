"""The physics of the campus, headless."""

from __future__ import annotations

import math

import numpy as np
import pytest

from emulator.plant.campus import STEP_S, Campus
from emulator.plant.facility import Facility
from emulator.plant.it_load import Workload
from emulator.plant.truth import truth_of

WATER_KJ_PER_M3_K = 4147.0  # at 40 °C
START = 1_790_000_000.0


def run(campus: Campus, seconds: float) -> None:
    """Let the campus run that long."""
    for _ in range(round(seconds / STEP_S)):
        campus.step()


def load_all(campus: Campus, power_w: float) -> None:
    """Announce one endless workload of constant power that starts now."""
    campus.it.workloads.announce(
        Workload("full", campus.unix_s, None, power_w, power_w, power_w, 50e6)
    )


def test_same_seed_gives_bit_identical_runs(facility: Facility) -> None:
    """Two campuses of one seed agree in every bit after the same workload."""
    truths = []
    for _ in range(2):
        campus = Campus(facility, 5, START)
        campus.it.workloads.announce(Workload("w", START + 1, START + 4, 5e6, 40e6, 30e6, 2e7))
        run(campus, 5)
        truths.append(truth_of(campus))
    assert truths[0] == truths[1]


def test_other_seed_gives_another_campus(facility: Facility) -> None:
    """Constants and chance differ between seeds: flows at one speed and powers are others."""
    first, second = (Campus(facility, seed, START) for seed in (1, 2))
    assert not np.any(first.coolant.flow_lpm == second.coolant.flow_lpm)
    assert not np.any(first.it.power_w == second.it.power_w)


def test_constants_lie_round_the_nameplate(facility: Facility) -> None:
    """At full speed every pump delivers its rated flow within 3 %, and none exactly."""
    campus = Campus(facility, 3, START)
    campus.coolant.reference_percent[:] = 100
    run(campus, 8)
    deviation = campus.coolant.flow_lpm / facility.loops.rated_flow_lpm - 1
    assert np.all(np.abs(deviation) < 0.03)
    assert np.all(deviation != 0)


def test_heat_is_conserved(facility: Facility) -> None:
    """Heat absorbed minus heat rejected is heat stored, through load steps and pump commands."""
    campus = Campus(facility, 4, START)
    before_j = campus.coolant.stored_j
    load_all(campus, 120e6)
    run(campus, 20)
    campus.coolant.reference_percent[::2] = 90
    campus.coolant.reference_percent[1] = 0
    run(campus, 20)
    coolant = campus.coolant
    gained_j = coolant.stored_j - before_j
    assert coolant.absorbed_j - coolant.rejected_j == pytest.approx(
        gained_j, abs=1e-9 * coolant.absorbed_j
    )
    assert abs(gained_j) > 1e8


def test_halls_power_becomes_heat_in_their_loops(facility: Facility) -> None:
    """In steady state each hall's loops carry the hall's electrical power, by ρ·cp·flow·ΔT."""
    campus = Campus(facility, 6, START)
    run(campus, 60)
    loops = list(truth_of(campus)["loops"].values())
    feeds = truth_of(campus)["feeds"]
    for hall, hall_id in enumerate(facility.hall_ids):
        heat_w = sum(
            WATER_KJ_PER_M3_K * 1e3 * loop["flow_lpm"] / 6e4 * (loop["return_c"] - loop["supply_c"])
            for loop in loops[6 * hall : 6 * hall + 6]
        )
        assert heat_w == pytest.approx(feeds[hall_id]["p_w"], rel=0.02)


def test_full_load_at_full_flow_is_about_30_kelvin(facility: Facility) -> None:
    """At 250 MW and full flow ΔT is about 30 K (3.5 MW per 10 K and loop), supply about 30 °C."""
    campus = Campus(facility, 8, START)
    campus.coolant.reference_percent[:] = 100
    load_all(campus, 250e6 - campus.it.power_w.sum())
    run(campus, 100)
    coolant = campus.coolant
    rise_k = coolant.return_c - coolant.supply_c
    assert campus.it.power_w.sum() == pytest.approx(250e6, rel=0.02)
    assert np.all((rise_k > 27) & (rise_k < 34))
    assert np.all(np.abs(coolant.supply_c - 30) < 1.5)
    assert np.all((coolant.silicon_c > 70) & (coolant.silicon_c < 88))
    per_10_k = coolant.heat_w / rise_k * 10 / (coolant.flow_lpm / 5000)
    assert per_10_k == pytest.approx(np.full(24, 3.456e6), rel=1e-3)


def test_pump_drives_flow_pressure_and_then_temperature(facility: Facility) -> None:
    """A speed command moves the flow at once, and the return temperature only after the pipe."""
    campus = Campus(facility, 9, START)
    run(campus, 5)
    flow, pressure = campus.coolant.flow_lpm[0], campus.coolant.pressure_bar[0]
    return_c = campus.coolant.return_c[0]
    campus.coolant.reference_percent[0] = 95
    run(campus, 0.5)
    assert 1.2 < campus.coolant.flow_lpm[0] / flow < 1.5
    run(campus, 2.5)
    ratio = campus.coolant.flow_lpm[0] / flow
    assert 1.55 < ratio < 1.67
    rise = (campus.coolant.pressure_bar[0] - 1.6) / (pressure - 1.6)
    assert rise == pytest.approx(ratio**2, rel=1e-6)
    assert campus.coolant.return_c[0] == pytest.approx(return_c, abs=0.6)
    run(campus, 30)
    assert campus.coolant.return_c[0] < return_c - 2


def test_stopped_pump_loses_its_flow_and_the_others_take_the_heat(facility: Facility) -> None:
    """With one pump at rest its hall stays cool enough, and its five neighbours carry more."""
    campus = Campus(facility, 10, START)
    before_w = campus.coolant.heat_w.copy()
    campus.coolant.reference_percent[2] = 0
    run(campus, 120)
    heat_w = campus.coolant.heat_w
    assert campus.coolant.flow_lpm[2] < 20
    assert heat_w[2] < 0.05 * before_w[2]
    assert np.all(heat_w[[0, 1, 3, 4, 5]] > 1.1 * before_w[[0, 1, 3, 4, 5]])
    assert campus.coolant.silicon_c[0] < 70


def test_pumps_protect_themselves_when_nobody_commands(facility: Facility) -> None:
    """At full load with pumps told 60 %, their own limiter holds the return near its 62 °C."""
    campus = Campus(facility, 11, START)
    load_all(campus, 150e6)
    run(campus, 160)
    coolant = campus.coolant
    assert np.all(coolant.reference_percent == 60)
    assert np.all((coolant.speed_percent > 70) & (coolant.speed_percent <= 100))
    assert np.all(np.abs(coolant.return_c - 62) < 2)


def test_site_draws_85_to_90_megawatt_unannounced(facility: Facility) -> None:
    """Without announcements the site imports 80 to 92 MW: about 160 MW remain under the limit."""
    for seed in range(5):
        campus = Campus(facility, seed, START)
        run(campus, 10)
        assert 78e6 < campus.site_power_w < 92e6
        assert campus.site_power_w == pytest.approx(math.fsum(campus.feed_powers_w().values()))
        cooling = campus.cooling_power_w / campus.it.power_w.sum()
        assert 0.04 < cooling < 0.07


def test_power_quality_improves_with_load(facility: Facility) -> None:
    """With load the power factor rises, current distortion falls and voltage distortion rises."""
    rows = []
    for power_w in (1.0, 60e6, 150e6):
        campus = Campus(facility, 12, START)
        load_all(campus, power_w)
        run(campus, 8)
        rows.append(campus.halls.quantities(0))
    light, middle, full = rows
    assert 0.95 < light["pf"] < middle["pf"] < full["pf"] < 0.995
    assert 10 > light["thd_i_percent"] > middle["thd_i_percent"] > full["thd_i_percent"] > 2
    assert 0.8 < light["thd_v_percent"] < full["thd_v_percent"] < 3
    assert light["v_rms_v"] > full["v_rms_v"] > 0.97 * 33e3 / math.sqrt(3)


def test_phasors_carry_exactly_the_halls_power(facility: Facility) -> None:
    """Re ΣV·I* over phases and harmonics equals the IT power at every step."""
    campus = Campus(facility, 13, START)
    for _ in range(200):
        campus.step()
        assert campus.halls.power_w == pytest.approx(campus.it.power_w, rel=1e-12)


def test_frequency_wanders_within_its_band(facility: Facility) -> None:
    """In ten minutes the frequency moves, and never leaves 49.95 to 50.05 Hz."""
    campus = Campus(facility, 14, START)
    seen = []
    for _ in range(60_000):
        campus.grid.step()
        seen.append(campus.grid.frequency_hz)
    assert min(seen) >= 49.95
    assert max(seen) <= 50.05
    assert max(seen) - min(seen) > 0.01


def test_energy_is_the_integral_of_power(facility: Facility) -> None:
    """Import minus export of each feed is the sum of its power over the steps."""
    campus = Campus(facility, 15, START)
    sums = dict.fromkeys(campus.feed_ids, 0.0)
    for _ in range(500):
        before = campus.feed_powers_w()
        campus.step()
        after = campus.feed_powers_w()
        for feed_id in sums:
            sums[feed_id] += 0.5 * (before[feed_id] + after[feed_id]) * STEP_S
    for feed_id, energy_j in sums.items():
        net_j = campus.import_j[feed_id] - campus.export_j[feed_id]
        assert net_j == pytest.approx(energy_j, rel=1e-9)


def test_skipped_time_moves_the_clock_only(facility: Facility) -> None:
    """Time that is left out passes for workloads and leaves the state as it was."""
    campus = Campus(facility, 16, START)
    return_c = campus.coolant.return_c.copy()
    campus.skip(1000)
    assert campus.unix_s == pytest.approx(START + 10)
    assert np.all(campus.coolant.return_c == return_c)
