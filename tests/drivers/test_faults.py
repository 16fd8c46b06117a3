"""Seeded faults of simulated devices: what they do to a value, and what is no fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivers.profile import load_profile
from drivers.simulation import (
    Disturbance,
    RefusedRequestError,
    SimulatedBehaviour,
    SimulatedDevice,
    apply_to_device,
    parse_fault,
)

KELLER = load_profile("keller.33x")


def shown(*texts: str, seconds: int = 4, seed: int = 1, level: float = 2.0) -> np.ndarray:
    """What the pressure reads every 10 ms when it is at a level, or rises to it at once."""
    disturbance = Disturbance(KELLER, [parse_fault(text, KELLER) for text in texts], seed)
    times = np.arange(0, seconds, 0.01)
    return np.array([disturbance.shown({"pressure.P1": level}, t)["pressure.P1"] for t in times])


def test_each_fault_does_what_its_name_says() -> None:
    """Bias, factor, drift and a falling counter, in canonical units and in %."""
    assert shown("bias=0.1")[-1] == pytest.approx(2.1)
    assert shown("bias=-1%")[-1] == pytest.approx(1.98)
    assert shown("factor=10")[-1] == pytest.approx(20.0)
    assert shown("drift=0.5")[200] == pytest.approx(3.0)
    falling = shown("backwards=25%")
    assert falling[50] == 2.0
    assert falling[150] == 1.5
    assert np.all(shown("temperature.TOB1:bias=1") == 2.0)


def test_noise_is_white_seeded_and_of_its_size() -> None:
    """The same seed gives the same noise, another seed another; its deviation is what was asked."""
    noisy = shown("noise=0.1", seconds=20)
    assert np.array_equal(noisy, shown("noise=0.1", seconds=20))
    assert not np.array_equal(noisy, shown("noise=0.1", seconds=20, seed=2))
    assert noisy.std() == pytest.approx(0.1, rel=0.1)


def test_a_lag_is_a_time_constant() -> None:
    """One time constant after a step 63 % of it show."""
    fault = parse_fault("lag=0.5", KELLER)
    disturbance = Disturbance(KELLER, [fault])
    disturbance.shown({"pressure.P1": 0.0}, 0.0)
    for k in range(1, 51):
        value = disturbance.shown({"pressure.P1": 1.0}, k * 0.01)["pressure.P1"]
    assert value == pytest.approx(1.0 - np.exp(-1.0), abs=0.01)


def test_a_device_measures_at_its_own_interval() -> None:
    """Between two measurements nothing changes; a refresh fault lengthens it, stuck ends it."""
    moving = Disturbance(KELLER, [parse_fault("refresh=0.5", KELLER)])
    values = [moving.shown({"pressure.P1": float(k)}, 0.01 * k)["pressure.P1"] for k in range(200)]
    assert sorted(set(values)) == [0.0, 50.0, 100.0, 150.0]
    stuck = Disturbance(KELLER, [parse_fault("stuck=1", KELLER)])
    held = [stuck.shown({"pressure.P1": float(k)}, 0.01 * k)["pressure.P1"] for k in range(200)]
    assert max(held) == 100.0


def test_faults_of_the_device_itself() -> None:
    """Shares of requests are refused or unheard, by the seed; a shift moves every register."""
    device = SimulatedDevice(KELLER)
    SimulatedBehaviour(device)
    faults = [parse_fault(text, KELLER) for text in ("exceptions=50%", "drop-outs=0.25", "slow=2")]
    apply_to_device(device, faults, seed=3)
    assert device.delay_s == 2.0
    codes = []
    for _ in range(400):
        try:
            device.read_registers(3, 256, 2)
        except RefusedRequestError as error:
            codes.append(error.code)
    assert set(codes) == {4}
    assert 160 < len(codes) < 240
    assert 60 < sum(not device.hears() for _ in range(400)) < 140


def test_faults_do_not_feed_back() -> None:
    """A counter integrates what is true, not what a biased device shows of it."""
    shipped = load_profile("eastron.sdm630")
    # Backwards: the counter then takes the power of the step before.
    profile = replace(shipped, simulation=dict(reversed(list(shipped.simulation.items()))))
    device = SimulatedDevice(profile)
    faults = [parse_fault("power.active.total:factor=10", profile)]
    behaviour = SimulatedBehaviour(device, None, Disturbance(profile, faults))
    for _ in range(100):
        behaviour.advance(0.1)
    assert behaviour.truth["energy.active.import"] == pytest.approx(122_500.0, rel=2e-2)
    total = device.get("power.active.total")
    assert total is not None
    assert total == pytest.approx(10.0 * behaviour.truth["power.active.total"], rel=0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rust", "no fault 'rust'"),
        ("bias", "'' is not a number"),
        ("bias=much", "'much' is not a number"),
        ("bias=nan", "is not finite"),
        ("noise=-1", "less than nothing"),
        ("no.such:bias=1", "no point 'no.such'"),
        ("pressure.P1:word-order", "of the whole device"),
        ("word-order=ABDC", "none of ABCD, CDAB, BADC, DCBA"),
        ("drop-outs=150%", "at most 1"),
        ("off-by-one=0.5", "not a whole number"),
    ],
)
def test_what_is_no_fault_is_said(text: str, said: str) -> None:
    """The error names what was written and what is wrong with it."""
    with pytest.raises(ValueError, match=r".") as raised:
        parse_fault(text, KELLER)
    assert str(raised.value).startswith(text)
    assert said in str(raised.value)
