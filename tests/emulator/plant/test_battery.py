"""The battery's local control and its bookkeeping."""

from __future__ import annotations

import pytest

from emulator.plant.battery import Battery
from emulator.plant.facility import Facility

STEP_S = 0.01
LIMIT_W = 250e6


def battery_of(facility: Facility) -> Battery:
    """The campus' battery of one seed."""
    return Battery(facility.battery, 50.0, 1, STEP_S)


def run(battery: Battery, seconds: float, *, hz: float = 50.0, others_w: float = 90e6) -> None:
    """Let it run under constant conditions."""
    for _ in range(round(seconds / STEP_S)):
        battery.step(hz, others_w, LIMIT_W)


def test_droop_supports_the_frequency(facility: Facility) -> None:
    """Low frequency discharges, high frequency charges, 200 MW/Hz beyond 10 mHz; else it rests."""
    for hz, wanted_w in ((49.96, -6e6), (50.04, 6e6), (50.005, 0.0)):
        battery = battery_of(facility)
        run(battery, 2, hz=hz)
        assert battery.power_w - battery.standby_w == pytest.approx(wanted_w, abs=5e4)


def test_it_holds_the_site_under_its_limit(facility: Facility) -> None:
    """When the rest of the site draws 270 MW of 250, the battery delivers the 20."""
    battery = battery_of(facility)
    run(battery, 2, others_w=270e6)
    assert 270e6 + battery.power_w == pytest.approx(LIMIT_W, rel=1e-4)


def test_power_is_limited_by_its_rating(facility: Facility) -> None:
    """No request takes it beyond its 60 MW."""
    battery = battery_of(facility)
    run(battery, 2, others_w=400e6)
    assert battery.power_w == pytest.approx(-60e6, rel=0.01)


def test_it_stops_when_empty(facility: Facility) -> None:
    """An exhausted battery delivers nothing more and its state of charge stays above zero."""
    battery = battery_of(facility)
    battery.soc = 0.0502
    run(battery, 20, others_w=400e6)
    assert battery.power_w == pytest.approx(battery.standby_w, abs=1e3)
    assert 0.04 < battery.soc <= 0.05


def test_losses_cost_state_of_charge(facility: Facility) -> None:
    """A discharge takes more out of the store than the feed receives, about 3 %."""
    battery = battery_of(facility)
    start, delivered_j = battery.soc, 0.0
    for _ in range(2000):
        battery.step(50.0, 290e6, LIMIT_W)
        delivered_j -= (battery.power_w - battery.standby_w) * STEP_S
    taken_j = (start - battery.soc) * facility.battery.capacity_j
    assert 1.0 < taken_j / delivered_j < 1.07


def test_it_returns_to_its_state_of_charge(facility: Facility) -> None:
    """Away from its target it charges slowly when nothing else is asked of it."""
    battery = battery_of(facility)
    battery.soc = 0.5
    run(battery, 5)
    assert battery.power_w == pytest.approx(3e6, rel=0.05)
    assert battery.soc > 0.5
