"""IT power of the halls: a background that nobody announced, and announced AI workloads.

Powers in W, times in Unix seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.plant.chance import MeanReverting, generator, perturbed
from emulator.plant.facility import HallPlate

# Levels between baseline (0) and peak (1) after 100 ms traces of 8 H100 in training: a checkpoint
# or a wait draws about a fifth of the GPUs' limit, and nodes swing by half of it within a second.
_COMPUTE_LEVEL, _EXCHANGE_LEVEL, _CHECKPOINT_LEVEL = 1.0, 0.5, 0.1
_EXCHANGE_SHARE = 0.15  # of an iteration

_BACKGROUND_SLOW = (0.02, 600.0)  # sigma relative to the background, time constant in s
_BACKGROUND_FAST = (0.002, 1.0)


@dataclass(frozen=True, slots=True)
class Workload:
    """An announced workload: powers in W, Unix seconds; `end_unix_s` None runs until removed.

    Raises ValueError for numbers that no workload can have.
    """

    id: str
    start_unix_s: float
    end_unix_s: float | None
    baseline_w: float
    peak_w: float
    max_w: float
    ramp_w_per_s: float

    def __post_init__(self) -> None:
        numbers = (self.start_unix_s, self.baseline_w, self.peak_w, self.max_w, self.ramp_w_per_s)
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"workload {self.id!r}: every number must be finite")
        if not 0 <= self.baseline_w <= self.peak_w:
            raise ValueError(f"workload {self.id!r}: baseline_w must lie between 0 and peak_w")
        if self.max_w < 0 or self.ramp_w_per_s <= 0:
            raise ValueError(f"workload {self.id!r}: max_w must be ≥ 0 and ramp_w_per_s above 0")
        if self.end_unix_s is not None and not self.end_unix_s > self.start_unix_s:
            raise ValueError(f"workload {self.id!r}: end_unix_s must be after start_unix_s")


class Workloads:
    """All announced workloads, stepped together.

    Each computes, exchanges and checkpoints in its own rhythm (drawn from the seed and its id),
    never above `max_w` and never faster than its announced ramp.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._known: dict[str, Workload] = {}
        self._rows: dict[str, tuple[float, ...]] = {}
        self._power_w = np.zeros(0)
        self._rebuild({})

    def announce(self, workload: Workload) -> None:
        """Add a workload, or change a known one; its present power carries on."""
        powers = self.powers_w()
        self._known[workload.id] = workload
        self._rebuild(powers)

    def remove(self, workload_id: str, unix_s: float) -> None:
        """End a workload now: it ramps down and is then forgotten. Unknown: KeyError."""
        known = self._known[workload_id]
        powers = self.powers_w()
        if known.start_unix_s >= unix_s:
            del self._known[workload_id]
        else:
            self._known[workload_id] = Workload(
                known.id, known.start_unix_s, unix_s,
                known.baseline_w, known.peak_w, known.max_w, known.ramp_w_per_s,
            )  # fmt: skip
        self._rebuild(powers)

    def powers_w(self) -> dict[str, float]:
        """Present power of each known workload."""
        return dict(zip(self._known, self._power_w.tolist(), strict=True))

    def states(self, unix_s: float) -> dict[str, str]:
        """`waiting`, `running` or `ending` for each known workload."""
        return {
            known.id: "waiting" if unix_s < known.start_unix_s
            else "running" if known.end_unix_s is None or unix_s < known.end_unix_s
            else "ending"
            for known in self._known.values()
        }  # fmt: skip

    def step(self, unix_s: float, step_s: float) -> float:
        """Advance to `unix_s`; returns the sum of all workloads' powers."""
        if not self._known:
            return 0.0
        age_s = unix_s - self._start_s
        active = (age_s >= 0) & (unix_s < self._end_s)
        span_w = self._peak_w - self._baseline_w
        wanted_w = np.minimum(self._baseline_w + span_w * self._level(age_s), self._max_w)
        slew_w = self._ramp_w_per_s * step_s
        self._power_w += np.clip(np.where(active, wanted_w, 0.0) - self._power_w, -slew_w, slew_w)
        if np.any((unix_s >= self._end_s) & (self._power_w <= 0)):
            self._forget_finished(unix_s)
        return float(self._power_w.sum())

    def _level(self, age_s: NDArray[np.float64]) -> NDArray[np.float64]:
        iteration = np.mod(age_s, self._iteration_s) / self._iteration_s
        level = np.where(iteration < 1 - _EXCHANGE_SHARE, _COMPUTE_LEVEL, _EXCHANGE_LEVEL)
        saving = (
            np.mod(age_s, self._checkpoint_every_s) > self._checkpoint_every_s - self._checkpoint_s
        )
        return np.where(saving, _CHECKPOINT_LEVEL, level)

    def _forget_finished(self, unix_s: float) -> None:
        powers = self.powers_w()
        for known in list(self._known.values()):
            over = known.end_unix_s is not None and unix_s >= known.end_unix_s
            if over and powers[known.id] <= 0:
                del self._known[known.id]
        self._rebuild(powers)

    def _rebuild(self, powers_w: dict[str, float]) -> None:
        """Lay the known workloads out as arrays: a step costs the same for one and for many."""
        self._power_w = np.array([powers_w.get(known_id, 0.0) for known_id in self._known])
        self._rows = {known.id: self._row(known) for known in self._known.values()}
        (
            self._start_s,
            self._end_s,
            self._baseline_w,
            self._peak_w,
            self._max_w,
            self._ramp_w_per_s,
            self._iteration_s,
            self._checkpoint_every_s,
            self._checkpoint_s,
        ) = np.array(list(self._rows.values())).reshape(-1, 9).T

    def _row(self, known: Workload) -> tuple[float, ...]:
        rhythm = self._rows[known.id][-3:] if known.id in self._rows else self._rhythm(known.id)
        return (
            known.start_unix_s,
            math.inf if known.end_unix_s is None else known.end_unix_s,
            known.baseline_w,
            known.peak_w,
            known.max_w,
            known.ramp_w_per_s,
            *rhythm,
        )

    def _rhythm(self, workload_id: str) -> tuple[float, ...]:
        """Seconds of one iteration, between checkpoints, and of one checkpoint."""
        chance = generator(self._seed, f"workload {workload_id}")
        return tuple(chance.uniform((2.0, 480.0, 15.0), (6.0, 900.0, 40.0)).tolist())


class ItLoad:
    """Power of each hall's IT, shape (halls,)."""

    def __init__(self, plate: HallPlate, seed: int, step_s: float) -> None:
        chance = generator(seed, "it load")
        self.workloads = Workloads(seed)
        self._background_w = perturbed(chance, plate.background_power_w, plate.count)
        share = perturbed(chance, 1.0, plate.count)
        self._share = share / share.sum()
        self._walks = [
            MeanReverting(sigma=sigma, time_constant_s=time_s, step_s=step_s, size=plate.count)
            for sigma, time_s in (_BACKGROUND_SLOW, _BACKGROUND_FAST)
        ]
        self._chance = chance
        self._step_s = step_s
        self.power_w = self._background_w.copy()

    def step(self, unix_s: float) -> NDArray[np.float64]:
        """Advance to `unix_s`."""
        normals = self._chance.standard_normal((len(self._walks), self.power_w.size))
        walk = sum(process.step(draw) for process, draw in zip(self._walks, normals, strict=True))
        announced_w = self.workloads.step(unix_s, self._step_s)
        self.power_w = self._background_w * (1.0 + walk) + self._share * announced_w
        return self.power_w
