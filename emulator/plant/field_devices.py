"""The campus' meters, sensors and drives: register images that follow the physics.

Each device measures in its own interval with its own errors, within its maker's class.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.profile import load_profile
from drivers.simulation import SimulatedDevice
from emulator.plant.campus import Campus
from emulator.plant.chance import generator
from emulator.plant.feeds import PHASES
from emulator.plant.instrument import Instruments

TICK_S = 0.1
"""How often `measure` is to be called; faster devices than this are not needed."""

_PIPE_M2 = 0.0314  # DN 200, for the flow meter's velocity
_LPM_PER_M3_S = 60_000.0
_TRANSMITTER_RANGE_BAR = 10.0
_LEAK_CABLE_S = 1.0
_DRY_PERCENT, _WET_PERCENT = (
    45.0,
    80.0,
)  # relative humidity of an air-conditioned room, and over a puddle
PROFILES = Path(__file__).parent / "devices"
"""Profiles of devices that exist in the plant only."""

_CONTROL_WORD_RUN, _STATUS_WORD_RUNNING = 0x047C, 0x0F07  # FC profile: start; in operation on bus
_FLOW_METER_HEALTH = {
    "error.code": 0.0,
    "fluid.sound_speed": 1510.0,
    "signal.quality": 87.0,
    "signal.upstream": 840.0,
    "signal.downstream": 836.0,
}


def loop_device(kind: str, loop_id: str) -> str:
    """Identity of a loop's `flow`, `pressure`, `pump` or `leak` device: `loop_a_flow`."""
    return f"{loop_id.removeprefix('liquid_cooling_')}_{kind}"


def meter_of(feed_id: str) -> str:
    """Identity of a metered feed's meter: `cooling_meter`."""
    return f"{feed_id}_meter"


def temperatures_of(hall_id: str, side: str) -> str:
    """Identity of a hall's `supply` or `return` temperature module: `hall_1_supply_temperature`."""
    return f"{hall_id}_{side}_temperature"


@dataclass(slots=True)
class _Task:
    """A kind of device and its measuring interval; `measure` takes the time since the last one."""

    measure: Callable[[float], None]
    interval_s: float
    elapsed_s: float = 0.0

    def run(self) -> None:
        self.measure(self.elapsed_s)
        self.elapsed_s = 0.0


class FieldDevices:
    """All simulated devices by identity, in `devices`; `measure` refreshes their registers."""

    def __init__(self, campus: Campus, seed: int) -> None:
        self._campus = campus
        facility = campus.facility
        chance = functools.partial(generator, seed)
        loops, halls = len(facility.loop_ids), facility.halls.count
        self.devices: dict[str, SimulatedDevice] = {}
        self._add_loop_devices()
        self._add_temperature_modules()
        self._add_meters()
        # Clamp-on flow meter: 1 % of reading at a good signal, damped.
        self._flow = Instruments(chance("flow meters"), loops, gain=0.007, noise=3.0, lag_s=0.5)
        # X-line transmitter: 0.05 to 0.1 % of full scale.
        error_bar = 0.0005 * _TRANSMITTER_RANGE_BAR
        self._pressure = Instruments(chance("pressure"), loops, offset=error_bar, noise=0.001)
        # Pt100 module: 0.1 % of its 200 K; the sensor sits in a well.
        thermometers = functools.partial(Instruments, offset=0.12, noise=0.01, lag_s=2.0)
        self._supply = thermometers(chance("supply temperatures"), loops)
        self._return = thermometers(chance("return temperatures"), loops)
        self._silicon = Instruments(chance("silicon"), halls, offset=0.12, noise=0.02)
        self._water = thermometers(chance("facility water"), halls)
        # Energy meter of class 1 (IEC 62053-21).
        self._power = Instruments(chance("meters"), len(facility.metered), gain=0.006)
        self._tasks = [
            _Task(self._measure_temperatures, TICK_S),
            _Task(self._measure_pressures, TICK_S),
            _Task(self._measure_pumps, TICK_S),
            _Task(self._measure_flows, load_profile("oem.tuf2000m").groups["fast"].source_s),
            _Task(self._measure_leaks, _LEAK_CABLE_S),
            _Task(self._measure_meters, load_profile("eastron.sdm630").groups["fast"].source_s),
        ]
        for task in self._tasks:
            task.run()

    def measure(self) -> None:
        """Let TICK_S pass: devices whose own interval is over take a new value."""
        for task in self._tasks:
            task.elapsed_s += TICK_S
            if task.elapsed_s > task.interval_s - TICK_S / 2:
                task.run()

    def _add_loop_devices(self) -> None:
        flow, pressure, pump = map(load_profile, ("oem.tuf2000m", "keller.33x", "danfoss.fc102"))
        leak = load_profile("plant.leak_cable", [PROFILES])
        for position, loop_id in enumerate(self._campus.facility.loop_ids):
            meter = self.devices[loop_device("flow", loop_id)] = SimulatedDevice(flow)
            meter.update(_FLOW_METER_HEALTH)
            transmitter = self.devices[loop_device("pressure", loop_id)] = SimulatedDevice(pressure)
            transmitter.update({"range.P1.min": 0.0, "range.P1.max": _TRANSMITTER_RANGE_BAR})
            drive = self.devices[loop_device("pump", loop_id)] = SimulatedDevice(pump)
            drive.update(
                {
                    "control_word": _CONTROL_WORD_RUN,
                    "status_word": _STATUS_WORD_RUNNING,
                    "speed.reference": float(self._campus.coolant.reference_percent[position]),
                }
            )
            drive.on_write = functools.partial(self._command_pump, position)
            self.devices[loop_device("leak", loop_id)] = SimulatedDevice(leak)

    def _add_temperature_modules(self) -> None:
        profile = load_profile("advantech.adam6015")
        for hall_id in self._campus.facility.hall_ids:
            for side in ("supply", "return"):
                self.devices[temperatures_of(hall_id, side)] = SimulatedDevice(profile)

    def _add_meters(self) -> None:
        profile = load_profile("eastron.sdm630")
        for feed_id, plate in self._campus.facility.metered.items():
            self.devices[meter_of(feed_id)] = SimulatedDevice(
                profile, ct_ratio=plate.ct_ratio, pt_ratio=plate.pt_ratio
            )

    def _command_pump(self, position: int, point: str, value: float) -> None:
        if point == "speed.reference":
            self._campus.coolant.reference_percent[position] = np.clip(value, 0.0, 100.0)

    def _measure_flows(self, elapsed_s: float) -> None:
        coolant = self._campus.coolant
        flow_lpm = self._flow.measure(coolant.flow_lpm, elapsed_s)
        heat_w = coolant.heat_w
        for position, loop_id in enumerate(self._campus.facility.loop_ids):
            self.devices[loop_device("flow", loop_id)].update(
                {
                    "flow.volume": flow_lpm[position],
                    "flow.velocity": flow_lpm[position] / _LPM_PER_M3_S / _PIPE_M2,
                    "power.thermal": heat_w[position],
                }
            )

    def _measure_pressures(self, elapsed_s: float) -> None:
        coolant = self._campus.coolant
        pressure_bar = self._pressure.measure(coolant.pressure_bar, elapsed_s)
        for position, loop_id in enumerate(self._campus.facility.loop_ids):
            self.devices[loop_device("pressure", loop_id)].update(
                {
                    "pressure.P1": pressure_bar[position],
                    "temperature.TOB1": coolant.supply_c[position],
                }
            )

    def _measure_pumps(self, elapsed_s: float) -> None:
        del elapsed_s  # the drive knows its speed without lag
        for loop_id, speed in zip(
            self._campus.facility.loop_ids, self._campus.coolant.speed_percent, strict=True
        ):
            self.devices[loop_device("pump", loop_id)].set("speed.actual", speed)

    def _measure_leaks(self, elapsed_s: float) -> None:
        del elapsed_s
        for loop_id in self._campus.facility.loop_ids:
            wet = loop_id in self._campus.leaking
            humidity_percent = _WET_PERCENT if wet else _DRY_PERCENT
            self.devices[loop_device("leak", loop_id)].update(
                {"alarm.leak": float(wet), "humidity.relative": humidity_percent}
            )

    def _measure_temperatures(self, elapsed_s: float) -> None:
        coolant, facility = self._campus.coolant, self._campus.facility
        water_c = np.full(facility.halls.count, coolant.facility_water_c)
        modules = {
            "supply": (
                self._supply.measure(coolant.supply_c, elapsed_s),
                self._silicon.measure(coolant.silicon_c, elapsed_s),
            ),
            "return": (
                self._return.measure(coolant.return_c, elapsed_s),
                self._water.measure(water_c, elapsed_s),
            ),
        }
        for side, (loops_c, halls_c) in modules.items():
            per_hall = np.column_stack([loops_c.reshape(facility.halls.count, -1), halls_c])
            for hall_id, channels in zip(facility.hall_ids, per_hall, strict=True):
                self.devices[temperatures_of(hall_id, side)].update(_channels(channels))

    def _measure_meters(self, elapsed_s: float) -> None:
        campus = self._campus
        feed_ids = list(campus.facility.metered)
        true_w = np.array([campus.metered(feed_id).power_w for feed_id in feed_ids])
        shown_w = self._power.measure(true_w, elapsed_s)
        for feed_id, power_w in zip(feed_ids, shown_w, strict=True):
            self.devices[meter_of(feed_id)].update(self._meter_values(feed_id, float(power_w)))

    def _meter_values(self, feed_id: str, power_w: float) -> dict[str, float]:
        """All that an SDM630 shows of a balanced feed whose power it measures as `power_w`."""
        state = self._campus.metered(feed_id)
        true = state.quantities()
        scale = power_w / state.power_w if state.power_w else 1.0
        values = {
            "frequency": self._campus.grid.frequency_hz,
            "energy.active.import": self._campus.import_j[feed_id],
            "energy.active.export": self._campus.export_j[feed_id],
            "power.active.total": power_w,
            "power.reactive.total": true["q_var"] * scale,
            "power.apparent.total": true["s_va"] * scale,
            "pf.total": true["pf"],
        }
        for phase in range(1, PHASES + 1):
            values |= {
                f"voltage.L{phase}": true["v_rms_v"],
                f"current.L{phase}": true["i_rms_a"] * scale,
                f"power.active.L{phase}": power_w / PHASES,
                f"power.reactive.L{phase}": true["q_var"] * scale / PHASES,
                f"power.apparent.L{phase}": true["s_va"] * scale / PHASES,
                f"pf.L{phase}": true["pf"],
            }
        return values


def _channels(values_c: NDArray[np.float64]) -> dict[str, float]:
    return {f"temperature.ch{channel}": value for channel, value in enumerate(values_c.tolist())}
