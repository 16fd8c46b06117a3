"""The power of an AI campus in samples, with what truly happened: a reference for event detection.

Written from the definitions alone; nothing of the detector is used. A scene is half a minute of
load: steps, ramps, staircases, training swings, checkpoints and slow drifts of 10 to 200 MW, under
flicker, tap changes, phase jumps, unbalance, harmonics, DC and noise. Its truth is the power that
the samples carry without their noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FULL_SCALE_W = 250e6
PHASE_V = 33e3 / np.sqrt(3)
NOISE_DB = 60.0
QUIET_S = 1.6  # at both ends of a scene, so that no second reaches over two of them
SCENE_S = 30.0
_LOWEST_W, _HIGHEST_W = 15e6, 245e6


@dataclass(frozen=True)
class Change:
    """One move of the load: `duration_s` 0 is a step. `is_single`: alone within a second."""

    start_s: float
    duration_s: float
    size_w: float
    is_single: bool = True


@dataclass
class Scene:
    """Samples (6, n) in V and A from `start_s` on, and the noise-free power in W at every ms."""

    start_s: float
    samples: NDArray[np.float32]
    power_w: Array
    changes: list[Change] = field(default_factory=list)


class CampusLoad:
    """Scenes without end, continuous in power, phase and time; the same for the same seed."""

    def __init__(self, seed: int, *, rate_hz: int = 4800, nominal_hz: float = 50.0) -> None:
        self._random = np.random.default_rng(seed)
        self._rate_hz = rate_hz
        self._nominal_hz = nominal_hz
        self._samples = 0
        self._level_w = 100e6
        self._tap = 1.0
        self._angle_rad = 0.0
        self._pool = self._random.standard_normal((6, 1 << 19)).astype(np.float32)
        self.frequency_hz = nominal_hz

    def scenes(self, count: int) -> Iterator[Scene]:
        """The next scenes."""
        for _ in range(count):
            yield self._scene()

    def _scene(self) -> Scene:
        size = int(SCENE_S * self._rate_hz)
        t = np.arange(size) / self._rate_hz
        shapes = (
            self._single, self._single, self._single, self._staircase, self._swings,
            self._checkpoint, self._drift, self._crowd, self._small,
        )  # fmt: skip
        plan = np.full(size, self._level_w)
        changes: list[Change] = []
        at_s = QUIET_S
        while at_s < SCENE_S - 6 - QUIET_S:
            shape: Callable[[float], list[Change]] = shapes[self._random.integers(len(shapes))]
            for change in shape(at_s):
                room = _LOWEST_W - self._level_w, _HIGHEST_W - self._level_w
                if not room[0] <= change.size_w <= room[1]:
                    continue  # the campus cannot do that
                if change.start_s + change.duration_s > SCENE_S - QUIET_S:
                    continue  # cut off it would be a step into the next scene
                plan += change.size_w * _ramp(t - change.start_s, change.duration_s)
                self._level_w += change.size_w
                changes.append(change)
                at_s = max(at_s, change.start_s + change.duration_s)
            at_s += self._random.uniform(1.1, 3.0)
        start = self._samples
        self._samples += size
        samples, power_w = self._waves(t, plan)
        return Scene(start / self._rate_hz, samples, power_w, changes)

    # Shapes of load: what happens from `at_s` on.

    def _sign(self, size_w: float) -> float:
        """Up or down, wherever there is room."""
        up, down = _HIGHEST_W - self._level_w > size_w, self._level_w - _LOWEST_W > size_w
        if up and down:
            return float(self._random.choice([-1, 1]))
        return 1.0 if up else -1.0

    def _size_w(self) -> float:
        """55 MW and more, or 45 MW and less; seldom between."""
        kind = self._random.integers(5)
        if kind == 0:
            return float(self._random.uniform(45e6, 55e6))
        if kind <= 2:
            return float(self._random.uniform(30e6, 45e6))
        return float(55e6 + self._random.exponential(25e6))

    def _single(self, at_s: float) -> list[Change]:
        size_w = min(self._size_w(), 200e6)
        lasts = 0.0 if self._random.integers(2) else 10 ** self._random.uniform(-2.3, 0.0)
        if self._random.integers(8) == 0:
            size_w, lasts = 200e6, 0.04
        return [Change(at_s, lasts, self._sign(size_w) * size_w)]

    def _staircase(self, at_s: float) -> list[Change]:
        """Small steps that add up to 40 … 80 MW within or beyond one second."""
        count = int(self._random.integers(2, 7))
        total_w = self._random.uniform(40e6, 80e6)
        over_s = self._random.uniform(0.05, 1.8)
        sign = self._sign(total_w)
        return [
            Change(at_s + k * over_s / count, 0.0, sign * total_w / count, is_single=False)
            for k in range(count)
        ]

    def _swings(self, at_s: float) -> list[Change]:
        """Compute and exchange in turn: edges of 10 to 60 ms."""
        size_w = self._random.choice([self._random.uniform(20e6, 44e6), self._size_w()])
        half_s, edge_s = self._random.uniform(0.3, 1.5), self._random.uniform(0.01, 0.06)
        sign = self._sign(size_w)
        return [
            Change(at_s + k * half_s, edge_s, sign * (-1) ** k * size_w, is_single=half_s > 1.1)
            for k in range(4)
        ]

    def _checkpoint(self, at_s: float) -> list[Change]:
        """Down to a tenth, wait, and up again in a second or two."""
        size_w = 0.9 * self._level_w
        return [
            Change(at_s, self._random.uniform(0.02, 0.3), -size_w),
            Change(at_s + self._random.uniform(1.5, 3.0), self._random.uniform(0.5, 2.5), size_w),
        ]

    def _drift(self, at_s: float) -> list[Change]:
        """More than 55 MW, but slowly."""
        size_w = self._random.uniform(55e6, 120e6)
        rate_w_per_s = self._random.uniform(8e6, 42e6)
        return [Change(at_s, size_w / rate_w_per_s, self._sign(size_w) * size_w)]

    def _crowd(self, at_s: float) -> list[Change]:
        """Jobs that start and end by themselves, within a second or two."""
        return [
            Change(
                at_s + self._random.uniform(0, 2),
                10 ** self._random.uniform(-2, -0.3),
                self._sign(30e6) * self._random.uniform(3e6, 25e6),
                is_single=False,
            )
            for _ in range(5)
        ]

    def _small(self, at_s: float) -> list[Change]:
        size_w = self._random.uniform(35e6, 45e6)
        return [Change(at_s, self._random.choice([0.0, 0.02, 0.5]), self._sign(size_w) * size_w)]

    # From power to samples.

    def _waves(self, t: Array, plan: Array) -> tuple[NDArray[np.float32], Array]:
        random, size = self._random, len(t)
        magnitude = self._voltage_pu(t)
        power = plan * magnitude ** random.choice([0.0, 1.0, 2.0])  # how the load follows
        power += self._wander(size)
        theta = self._angles(t)
        turn = np.exp(1j * theta).astype(np.complex64)
        skewed = random.uniform(-0.04, 0.04, 3)
        voltage_pu = 1 + random.uniform(-0.01, 0.01, 3)
        share = 1 + skewed - skewed.mean()  # of power, between the phases
        lag = random.uniform(-0.3, 0.3)
        peak_v = np.sqrt(2) * PHASE_V
        samples = np.empty((6, size), np.float32)
        shares = [random.uniform(0, amount) for amount in (0.03, 0.02, 0.01)]
        scale = (magnitude * peak_v).astype(np.float32)
        amperes = (power / magnitude * np.sqrt(2) / (3 * PHASE_V * np.cos(lag))).astype(np.float32)
        dc_a = random.uniform(-0.002, 0.002, 3) * FULL_SCALE_W / (3 * PHASE_V)
        for k in range(3):
            wave = turn * np.complex64(np.exp(-2j * np.pi * k / 3))
            late = wave * np.complex64(np.exp(-1j * lag))
            distortion = _harmonics(late, shares)
            samples[k] = scale * wave.real * np.float32(voltage_pu[k])
            current = amperes * (late.real + distortion) * np.float32(share[k] / voltage_pu[k])
            samples[k + 3] = current + np.float32(dc_a[k])
        start = int(random.integers(0, self._pool.shape[1] - size))
        noise = self._pool[:, start : start + size]
        level = 10 ** (-NOISE_DB / 20)
        samples[:3] += np.float32(level * PHASE_V) * noise[:3]
        samples[3:] += np.float32(level * FULL_SCALE_W / (3 * PHASE_V)) * noise[3:]
        at_ms = np.arange(0, size * 1000 // self._rate_hz) * self._rate_hz // 1000
        return samples, power[at_ms]

    def _voltage_pu(self, t: Array) -> Array:
        """Flicker of 8.8 Hz or slower rectangles, and a tap changer that steps by 1.25 %."""
        random = self._random
        voltage = np.full(len(t), self._tap)
        if random.integers(2):
            depth = random.uniform(0, 0.004)  # peak to peak; 0.25 % at 8.8 Hz is Pst 1
            wave = np.sin(2 * np.pi * 8.8 * t + random.uniform(0, 6))
            if random.integers(2):
                wave = np.sign(np.sin(2 * np.pi * random.uniform(0.5, 4) * t))
            voltage *= 1 + 0.5 * depth * wave
        if random.integers(3) == 0:
            step = float(random.choice([-0.0125, 0.0125]))
            if abs(self._tap + step - 1) < 0.04:
                at = int(random.integers(len(t)))
                voltage[at:] += step
                self._tap += step
        return voltage

    def _wander(self, size: int) -> Array:
        """Thousands of fans and pumps: ±0.2 MW, slowly."""
        knots = self._random.normal(0, 0.1e6, size // 2400 + 2)
        knots[[0, -1]] = 0
        return np.asarray(np.interp(np.arange(size), np.linspace(0, size, len(knots)), knots))

    def _angles(self, t: Array) -> Array:
        """A line frequency that wanders, and now and then a phase jump of 5 degrees."""
        random = self._random
        target = self._nominal_hz + float(np.clip(random.normal(0, 0.05), -0.15, 0.15))
        hertz = np.linspace(self.frequency_hz, target, len(t))
        self.frequency_hz = target
        theta = self._angle_rad + np.cumsum(2 * np.pi * hertz / self._rate_hz)
        for _ in range(int(random.integers(0, 4))):
            theta[int(random.integers(len(t))) :] += np.deg2rad(random.choice([-5.0, 5.0]))
        self._angle_rad = float(theta[-1] % (2 * np.pi))
        return np.asarray(theta)


def _harmonics(turn: NDArray[np.complex64], shares: list[float]) -> NDArray[np.float32]:
    """The 5th, 7th and 11th of a wave, each with its share."""
    second = turn * turn
    fourth = second * second
    fifth = fourth * turn
    seventh = fifth * second
    waves = fifth.real, seventh.real, (seventh * fourth).real
    return sum(
        (np.float32(share) * wave for share, wave in zip(shares, waves, strict=True)), np.float32(0)
    )


def _ramp(t: Array, duration_s: float) -> Array:
    if duration_s == 0:
        return np.asarray((t >= 0).astype(np.float64))
    return np.asarray(np.clip(t / duration_s, 0, 1))
