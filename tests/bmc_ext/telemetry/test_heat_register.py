"""Heat energy of loops: counted, kept over restarts and crashes, and honest about gaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bmc_ext.domain.heat_energy import HeatEnergy
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.collector import Collector
from bmc_ext.timekeeping import TimeBound
from drivers.reading import Quality

MakeConfig = Callable[..., Config]
FLOWS = ("d/flow.a", "d/flow.b")


@pytest.fixture
def config(make_config: MakeConfig, engine: Any) -> Config:
    """Two loops that share both thermometers, 10 K apart, at 600 L/min each."""
    engine.put("d", "t.supply", 30.0, "Cel", uncertainty=0.1)
    engine.put("d", "t.return", 40.0, "Cel", uncertainty=0.1)
    for point in ("flow.a", "flow.b"):
        engine.put("d", point, 600.0, "L/min", uncertainty=6.0)
    loops = tuple(
        {"id": flow[-1], "supply": "d/t.supply", "return": "d/t.return", "flow": flow}
        for flow in FLOWS
    )
    return make_config(loops=loops, devices=("d",))


def _start(config: Config, engine: Any, state: StateDirectory, clock: Any) -> Collector:
    return Collector(config, engine, state, clock, time_bound=lambda: TimeBound(0.0, "test", 1e-5))


def _run(collector: Collector, clock: Any, windows: int) -> Snapshot:
    """So many windows, one by one as the tick has them."""
    for _ in range(windows):
        clock.pass_(0.1)
        while collector.publish_due():
            pass
    snapshot = collector.store.latest()
    assert snapshot is not None
    return snapshot


def _energy(snapshot: Snapshot) -> HeatEnergy:
    return snapshot.loops[0].heat_energy


def test_heat_is_summed_over_windows(
    config: Config, engine: Any, state: StateDirectory, clock: Any
) -> None:
    """Each window adds its heat times 0.1 s; what flows back is counted apart, not netted."""
    collector = _start(config, engine, state, clock)
    _run(collector, clock, 2)
    before = _energy(_run(collector, clock, 1))
    snapshot = _run(collector, clock, 10)
    heat_w, after = snapshot.loops[0].heat_w, _energy(snapshot)
    assert heat_w is not None
    assert before.taken_up_j is not None
    assert after.taken_up_j == pytest.approx(before.taken_up_j + 10 * 0.1 * heat_w)
    assert (after.given_off_j, after.registers.gap_s) == (0.0, 0.0)
    assert after.counted_at == pytest.approx(snapshot.start_s + 0.1)
    assert after.time_error_percent == pytest.approx(1e-3)
    engine.put("d", "t.return", 25.0, "Cel", uncertainty=0.1)
    back = _run(collector, clock, 4)
    assert _energy(back).taken_up_j == after.taken_up_j
    assert back.loops[0].heat_w is not None
    assert _energy(back).given_off_j == pytest.approx(-4 * 0.1 * back.loops[0].heat_w)
    total = back.total_heat_energy
    assert total.taken_up_j == pytest.approx(2 * after.taken_up_j)
    assert total.counted_at == pytest.approx(back.start_s + 0.1)
    collector.stop()


def test_an_unknown_heat_is_a_gap(
    config: Config, engine: Any, state: StateDirectory, clock: Any
) -> None:
    """While a sensor is lost the energy stands and each window is counted as invalid."""
    collector = _start(config, engine, state, clock)
    before = _energy(_run(collector, clock, 5))
    engine.put("d", "flow.a", None, "L/min", Quality.COMM_ERROR)
    snapshot = _run(collector, clock, 7)
    after = _energy(snapshot)
    assert after.taken_up_j == before.taken_up_j
    assert after.registers.invalid_windows == 7
    assert after.registers.gap_s == pytest.approx(0.7)
    assert after.counted_at == before.counted_at
    assert (snapshot.total_heat_w, snapshot.total_heat_uncertainty_w) == (None, None)
    assert snapshot.total_heat_energy.registers.invalid_windows == 7
    assert snapshot.total_heat_energy.counted_at == after.counted_at
    collector.stop()


def test_energy_goes_on_after_a_restart(
    config: Config, engine: Any, state: StateDirectory, clock: Any
) -> None:
    """A restart goes on from where it stood, and the windows between are missing."""
    first = _start(config, engine, state, clock)
    before = _run(first, clock, 5)
    first.stop()
    clock.pass_(2.0)
    second = _start(config, engine, state, clock)
    after = _run(second, clock, 1)
    between = after.window_id - before.window_id - 1
    assert between >= 19
    assert _energy(after).registers.missing_windows == between
    assert before.loops[0].heat_w is not None
    assert _energy(before).taken_up_j is not None
    assert _energy(after).taken_up_j == pytest.approx(
        _energy(before).taken_up_j + 0.1 * before.loops[0].heat_w
    )
    assert _energy(after).registers.since_window == _energy(before).registers.since_window
    second.stop()


@pytest.mark.parametrize("lost", ["history.sqlite*", "ring/loop/*.ring"])
def test_either_of_ring_and_history_is_enough(
    lost: str, config: Config, engine: Any, state: StateDirectory, clock: Any
) -> None:
    """With the database or the rings gone, the energy goes on from the other."""
    first = _start(config, engine, state, clock)
    before = _energy(_run(first, clock, 25))
    first.stop()
    found = list(state.path.glob(lost))
    assert found
    for path in found:
        path.unlink()
    second = _start(config, engine, state, clock)
    after = _energy(_run(second, clock, 1))
    assert before.taken_up_j is not None
    assert after.taken_up_j is not None
    assert (
        0 < after.taken_up_j - before.taken_up_j == pytest.approx(before.taken_up_j / 25, rel=0.2)
    )
    second.stop()


def test_shared_thermometers_move_both_loops(
    config: Config, engine: Any, state: StateDirectory, clock: Any
) -> None:
    """The total's uncertainty adds what both share, and takes their flows as independent."""
    collector = _start(config, engine, state, clock)
    snapshot = _run(collector, clock, 1)
    assert snapshot.total_heat_w is not None
    assert snapshot.total_heat_uncertainty_w is not None
    relative = snapshot.total_heat_uncertainty_w / snapshot.total_heat_w
    flow, thermometers, water = 0.01 / 2**0.5, 2**0.5 * 0.1 / 10, 0.0015
    assert relative == pytest.approx((flow**2 + thermometers**2 + water**2) ** 0.5, rel=1e-6)
    collector.stop()


def test_a_loops_energy_is_no_feeds(
    make_config: MakeConfig, engine: Any, state: StateDirectory, clock: Any, config: Config
) -> None:
    """A loop's register has a name that no feed can have, and no power rows in the history."""
    collector = _start(config, engine, state, clock)
    _run(collector, clock, 25)
    collector.stop()
    again = _start(config, engine, state, clock)
    assert again.history.energies("a") == (None, None)
    assert again.history.energies("loop/a")[0] is not None
    assert again.history.query("loop/a", "1s", 0, 1 << 40, 9) == []
    again.stop()
