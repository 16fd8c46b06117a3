"""What a simulated device measures: the waves of its profile's `sim` section."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from drivers.codec import PointCodec
from drivers.simulation.device import SimulatedDevice
from drivers.simulation.faults import Disturbance

if TYPE_CHECKING:
    from drivers.simulation.point_values import PointValues


class SimulatedBehaviour:
    """Moves a device's points as its profile's `sim` says; `fixed` points stay (canonical units).

    A point that a master may write keeps what it was last written. What is true comes into the
    registers at once or, with a `disturbance`, as that shows it; `truth` is what is so, canonical.
    """

    def __init__(
        self,
        device: SimulatedDevice | PointValues,
        fixed: Mapping[str, float] | None = None,
        disturbance: Disturbance | None = None,
    ) -> None:
        self._device = device
        self._disturbance = disturbance
        self._codecs = {name: PointCodec(point) for name, point in device.profile.points.items()}
        self._waves: dict[str, Mapping[str, Any]] = dict(device.profile.simulation)
        for name, value in (fixed or {}).items():
            mean = self._codecs[name].to_device(value)
            self._waves[name] = {"wave": "const", "mean": mean}
        self._time_s = 0.0
        self._device_s = 0.0
        self._state: dict[str, float] = {}
        self.truth: dict[str, float] = {}
        self._move(0.0, writable=True)

    @property
    def fastest_s(self) -> float:
        """The shortest interval at which the device measures."""
        return min(group.source_s for group in self._device.profile.groups.values())

    def advance(self, elapsed_s: float, device_s: float | None = None) -> None:
        """Let `elapsed_s` pass and set the registers to what the device then measures.

        `device_s` is how much time passes for the device itself, when its world moves faster.
        """
        self._time_s += elapsed_s
        self._device_s += elapsed_s if device_s is None else device_s
        self._move(elapsed_s, writable=False)

    def _move(self, elapsed_s: float, *, writable: bool) -> None:
        points = self._device.profile.points
        now = {name: self._in_device_unit(name) for name in points}
        moving = {
            name: wave
            for name, wave in self._waves.items()
            if writable or points[name].write is None
        }
        # Sums and followers come last: they are made of the others.
        for name, wave in sorted(moving.items(), key=lambda entry: "wave" not in entry[1]):
            now[name] = self._next(name, wave, now, elapsed_s)
        true = {name: self._codecs[name].to_canonical(now[name]) for name in moving}
        self.truth = {**self.truth, **true}
        if self._disturbance is None:
            self._device.update(true)
        else:
            self._device.update(self._disturbance.shown(true, self._device_s))

    def _in_device_unit(self, name: str) -> float:
        """What is so: what was written into a writable point, the truth of the others."""
        value = self.truth.get(name)
        if value is None or self._device.profile.points[name].write is not None:
            value = self._device.get(name)
        return 0.0 if value is None else self._codecs[name].to_device(value)

    def _next(
        self, name: str, wave: Mapping[str, Any], now: Mapping[str, float], elapsed_s: float
    ) -> float:
        if "sum" in wave:
            return math.fsum(now[part] for part in wave["sum"])
        if "integrate" in wave:
            grown = now[wave["integrate"]] * elapsed_s / wave.get("unit_div", 1.0)
            self._state[name] = self._state.get(name, 0.0) + grown
            return self._state[name]
        if "follow" in wave:
            start = self._state.get(name, now[wave["follow"]])
            share = 1.0 - math.exp(-elapsed_s / wave.get("lag_s", 1.0))
            self._state[name] = start + share * (now[wave["follow"]] - start)
            return self._state[name]
        swing = 0.0
        if wave["wave"] == "sine":
            swing = wave.get("amp", 0.0) * math.sin(
                2.0 * math.pi * self._time_s / wave.get("period_s", 60.0)
            )
        return float(wave["mean"]) + swing
