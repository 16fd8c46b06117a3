"""A laboratory: a simulated device, the world that it measures, and a table of what is true.

The world is written down here as formulas, so that the table knows nothing of any codec.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from drivers.profile import Profile
from drivers.simulation import Disturbance, SimulatedDevice, apply_to_device, parse_fault

PROFILE = """\
profile: device-profile/1
id: lab.station
vendor: Lab
model: Cooling station <1>
kind: CoolingUnit
sources: [{ref: "made up for tests", verified: restated}]
transport: {modes: [rtu, tcp], baud: [115200], framing: 8N1, unit: 1, addr_base: 0,
  max_regs: 60, max_gap: 0, gap_readable: true, turnaround_ms: 1, timeout_ms: 1000}
defaults: {fc: 3, type: f32, order: ABCD, group: fast}
groups:
  fast: {every_ms: 40, source_ms: 40, stale_after_ms: 2000}
points:
  flow.loop: {addr: 10, unit: L/min, range: [0, 6000], accuracy: {pct_reading: 0.1}}
  pressure.loop: {addr: 12, unit: bar, reference: absolute, range: [0, 16], accuracy: {abs: 0.003}}
  temperature.supply: {addr: 14, unit: Cel, range: [-50, 400], accuracy: {abs: 0.02}}
  temperature.return: {addr: 16, unit: Cel, range: [-50, 400], accuracy: {abs: 0.02}}
  temperature.silicon: {addr: 18, unit: Cel, range: [-50, 400], accuracy: {abs: 0.02}}
  power.active: {addr: 20, unit: W, range: [0, 1000000], accuracy: {pct_reading: 0.05}}
  power.thermal: {addr: 22, unit: W, range: [0, 10000000], accuracy: {pct_reading: 0.3}}
  energy.counter: {addr: 24, type: u32, unit: kJ, monotonic: true}
  pump.reference: {addr: 26, type: u16, unit: "%", scale: 0.01, write: {range: [0, 100]}}
identify: [{point: temperature.supply, in: [5, 40]}]
checks:
  - {expr: "temperature_return - temperature_supply - 10", max: 9, why: "the return is warmer"}
golden:
  - {read: {fc: 3, addr: 14, regs: [0x41A8, 0x0000]}, expect: {temperature.supply: 21.0},
     origin: "IEEE 754 by hand: 21 = 1.3125 * 2^4"}
"""


def world(seconds: float, step_at: float) -> dict[str, float]:
    """What is true, in canonical units, so many seconds after the beginning; flow steps once."""
    ripple = math.sin(2.0 * math.pi * seconds / 3.0)
    return {
        "flow.loop": (2000.0 if seconds < step_at else 2600.0) + 0.4 * ripple,
        "pressure.loop": 3.0 + 0.02 * ripple,
        "temperature.supply": 20.0 + 0.03 * ripple,
        "temperature.return": 31.0 + 0.03 * ripple,
        "temperature.silicon": 70.0 + 0.2 * ripple,
        "power.active": 50_000.0 + 60.0 * ripple,
        "power.thermal": 150_000.0 + 500.0 * ripple,
        "energy.counter": 1e9 + 150_000.0 * seconds,
    }


class Lab:
    """Moves a device with `faults` through the world, and keeps `table` (CSV) beside it."""

    def __init__(
        self,
        profile: Profile,
        folder: Path,
        faults: tuple[str, ...] = (),
        uncertainty: float = 0.0002,
    ) -> None:
        known = [parse_fault(text, profile) for text in faults]
        self.device = SimulatedDevice(profile)
        apply_to_device(self.device, known, seed=7)
        self.table = folder / "reference.csv"
        self._disturbance = Disturbance(profile, known, seed=7)
        self._uncertainty = uncertainty
        self._step_at = math.inf
        self._began = time.time()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._move, daemon=True)
        self.device.set("pump.reference", 40.0)
        self._update(0.0)

    def __enter__(self) -> Lab:
        names = list(world(0.0, math.inf))
        columns = [f"{name},{name}.uncertainty" for name in names]
        self.table.write_text(f"time,{','.join(columns)}\n")
        self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._stopping.set()
        self._thread.join()

    def step_in(self, seconds: float) -> None:
        """Let the flow step so many seconds from now."""
        self._step_at = time.time() - self._began + seconds

    def _update(self, seconds: float) -> Mapping[str, float]:
        truth = world(seconds, self._step_at)
        self.device.update(self._disturbance.shown(truth, seconds))
        return truth

    def _move(self) -> None:
        with self.table.open("a") as table:
            while not self._stopping.wait(0.01):
                now = time.time()
                truth = self._update(now - self._began)
                cells = [f"{v:.9g},{abs(v) * self._uncertainty:.3g}" for v in truth.values()]
                table.write(f"{now:.4f},{','.join(cells)}\n")
                table.flush()


def at_service(lab: Lab, seconds: float) -> Callable[[str, float], None]:
    """A progress report that lets the flow step so long after the watching in service began."""
    armed: list[str] = []

    def report(part: str, share: float) -> None:
        if part == "service" and not armed:
            armed.append(part)
            lab.step_in(seconds)

    return report
