"""Announced workloads."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from emulator.plant.it_load import Workload, Workloads

STEP_S = 0.01
GOOD: dict[str, Any] = {
    "id": "w",
    "start_unix_s": 100.0,
    "end_unix_s": 160.0,
    "baseline_w": 10e6,
    "peak_w": 50e6,
    "max_w": 40e6,
    "ramp_w_per_s": 20e6,
}


def trace(workloads: Workloads, start_s: float, seconds: float) -> list[float]:
    """Total power at every step."""
    return [
        workloads.step(start_s + (k + 1) * STEP_S, STEP_S) for k in range(round(seconds / STEP_S))
    ]


def test_workload_keeps_its_announcement() -> None:
    """Nothing before the start, never above max_w or faster than the ramp, zero after the end."""
    workloads = Workloads(1)
    workloads.announce(Workload(**GOOD))
    powers = trace(workloads, 95.0, 75.0)
    assert max(powers[:499]) == 0.0
    assert max(powers) == pytest.approx(40e6)
    assert max(abs(b - a) for a, b in itertools.pairwise(powers)) <= 20e6 * STEP_S + 1
    assert powers[-1] == 0.0
    assert workloads.powers_w() == {}


def test_workload_swings_between_baseline_and_peak() -> None:
    """Iterations dip for the exchange between nodes and come back, several times a minute."""
    workloads = Workloads(1)
    workloads.announce(Workload(**{**GOOD, "max_w": 60e6, "ramp_w_per_s": 200e6}))
    powers = trace(workloads, 95.0, 60.0)[1000:]
    dips = sum(a > 35e6 >= b for a, b in itertools.pairwise(powers))
    assert max(powers) == pytest.approx(50e6)
    assert 10e6 <= min(powers) < 31e6
    assert 5 <= dips <= 30


def test_state_tells_where_a_workload_is() -> None:
    """It waits, runs, and ramps down after its end."""
    workloads = Workloads(1)
    workloads.announce(Workload(**GOOD))
    assert [workloads.states(at)["w"] for at in (99.0, 100.0, 160.0)] == [
        "waiting",
        "running",
        "ending",
    ]


def test_removed_workload_ramps_down() -> None:
    """A running workload that is removed goes to zero at its ramp; a waiting one is forgotten."""
    workloads = Workloads(1)
    workloads.announce(Workload(**GOOD))
    workloads.announce(Workload(**{**GOOD, "id": "later", "start_unix_s": 150.0}))
    trace(workloads, 100.0, 10.0)
    workloads.remove("w", 110.0)
    workloads.remove("later", 110.0)
    assert set(workloads.powers_w()) == {"w"}
    powers = trace(workloads, 110.0, 3.0)
    assert powers[0] > 15e6
    assert powers[-1] == 0.0
    with pytest.raises(KeyError):
        workloads.remove("w", 113.0)


def test_changed_workload_carries_on() -> None:
    """A new cap for a running workload takes effect from its present power, at its ramp."""
    workloads = Workloads(1)
    workloads.announce(Workload(**GOOD))
    before = trace(workloads, 100.0, 10.0)[-1]
    workloads.announce(Workload(**{**GOOD, "max_w": 15e6}))
    powers = trace(workloads, 110.0, 5.0)
    assert powers[0] == pytest.approx(before, abs=20e6 * STEP_S + 1)
    assert powers[-1] == pytest.approx(15e6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseline_w": -1.0},
        {"baseline_w": 60e6},
        {"peak_w": float("nan")},
        {"max_w": -1.0},
        {"ramp_w_per_s": 0.0},
        {"end_unix_s": 100.0},
        {"start_unix_s": float("inf")},
    ],
)
def test_impossible_workload_is_refused(wrong: dict[str, float]) -> None:
    """Numbers that no workload can have are a ValueError that names the workload."""
    with pytest.raises(ValueError, match="workload 'w'"):
        Workload(**{**GOOD, **wrong})
