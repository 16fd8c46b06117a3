"""The synthesizer: samples that say what the physics says."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.plant.campus import Campus
from emulator.plant.errors import FacilityError
from emulator.plant.facility import Facility
from emulator.plant.feeds import ORDERS
from emulator.plant.it_load import Workload
from emulator.plant.waveform import Interval, Synthesizer, phasors_of

RATE_HZ = 12_800
START = 1_790_000_000.0


@pytest.fixture
def quiet(facility: Facility) -> Facility:
    """The campus with hardly any measurement noise."""
    return dataclasses.replace(
        facility, waveform=dataclasses.replace(facility.waveform, noise_db=200.0)
    )


def record(
    campus: Campus, seconds: float, *, block_steps: int = 5
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Samples (halls, 6, n) of that long, and the physics' power (steps, halls)."""
    synthesizer = Synthesizer(campus.facility, 1, phasors_of(campus))
    blocks, powers = [], []
    for _ in range(round(seconds / 0.01 / block_steps)):
        intervals = []
        for _ in range(block_steps):
            start_rad = campus.grid.angle_rad
            campus.step()
            intervals.append(Interval(start_rad, campus.grid.frequency_hz, phasors_of(campus)))
            powers.append(campus.it.power_w.copy())
        blocks.append(synthesizer.block(intervals))
    return np.concatenate(blocks, axis=2).astype(np.float64), np.array(powers)


def test_samples_carry_the_physics_power(quiet: Facility) -> None:
    """The mean of v·i over the phases is the physics' power, at rest and under a ramp."""
    campus = Campus(quiet, 2, START)
    for announced in (False, True):
        if announced:
            campus.it.workloads.announce(Workload("w", START, None, 80e6, 80e6, 80e6, 20e6))
        samples, powers = record(campus, 2.0)
        measured_w = (samples[:, :3] * samples[:, 3:]).sum(axis=1).mean(axis=1)
        assert measured_w == pytest.approx(powers.mean(axis=0), rel=2e-3)


def test_blocks_join_without_a_seam(quiet: Facility) -> None:
    """Samples do not depend on how time is cut into blocks, and no step is larger than a sine's."""
    long, _ = record(Campus(quiet, 3, START), 1.0, block_steps=10)
    short, _ = record(Campus(quiet, 3, START), 1.0, block_steps=1)
    assert long == pytest.approx(short, abs=0.01)
    voltage = long[0, 0]
    steepest = 1.15 * np.abs(voltage).max() * math.tau * 50 / RATE_HZ
    assert np.abs(np.diff(voltage)).max() < steepest


def test_spectrum_is_that_of_the_phasors(quiet: Facility) -> None:
    """A fit at the true frequency finds each order's voltage and current and its phase sequence."""
    campus = Campus(quiet, 4, START)
    samples, _ = record(campus, 0.2)
    cycle_angle = campus.grid.angle_rad
    true = phasors_of(campus)[0]
    count = samples.shape[2]
    angle = cycle_angle + math.tau * campus.grid.frequency_hz * (np.arange(count) - count) / RATE_HZ
    basis = np.exp(1j * np.outer(ORDERS, angle)) * math.sqrt(2)
    fit, *_ = np.linalg.lstsq(np.vstack([basis.real, -basis.imag]).T, samples[0].T, rcond=None)
    found = (fit[: len(ORDERS)] + 1j * fit[len(ORDERS) :]).T
    assert np.abs(found[:3] - true[:3]).max() < 2e-3 * abs(true[0, 0])
    assert np.abs(found[3:] - true[3:]).max() < 5e-3 * abs(true[3, 0])
    turn = np.angle(true[1] / true[0]) - np.angle(true[2] / true[1])
    assert np.abs(np.angle(np.exp(1j * turn[[0, 2, 4]]))).max() < 0.05


def test_noise_is_as_declared(facility: Facility, quiet: Facility) -> None:
    """The noise on a voltage is 70 dB below nominal, fresh in every block."""
    noisy, _ = record(Campus(facility, 5, START), 1.0)
    clean, _ = record(Campus(quiet, 5, START), 1.0)
    noise = (noisy - clean)[0, 0]
    nominal_v = 33e3 / math.sqrt(3)
    assert 20 * math.log10(nominal_v / noise.std()) == pytest.approx(70, abs=0.5)
    assert abs(np.corrcoef(noise[:6400], noise[6400:])[0, 1]) < 0.05


def test_sampling_rate_must_fit_the_step(facility: Facility) -> None:
    """A rate without a whole number of samples per step is refused, naming the rate."""
    odd = dataclasses.replace(
        facility, waveform=dataclasses.replace(facility.waveform, sample_rate_hz=12_345)
    )
    campus = Campus(odd, 1, START)
    with pytest.raises(FacilityError, match="12345"):
        Synthesizer(odd, 1, phasors_of(campus))
