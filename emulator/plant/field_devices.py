"""The campus' meters, sensors and drives: register images that follow the physics.

Each device measures in its own interval with its own errors, within its maker's class.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.profile import Profile, load_profile
from drivers.simulation import Disturbance, Fault, SimulatedDevice
from emulator.plant.campus import STEP_S, Campus
from emulator.plant.chance import generator
from emulator.plant.facility import Facility
from emulator.plant.feeds import PHASES
from emulator.plant.instrument import Instruments
from emulator.plant.rack_pdu_device import RackPduDevice

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
_CONTROL_WORD_RUN, _STATUS_WORD_RUNNING = 0x047C, 0x0F07  # FC profile: start; in operation on bus
_FLOW_METER_HEALTH = {
    "error.code": 0.0,
    "fluid.sound_speed": 1510.0,
    "signal.quality": 87.0,
    "signal.upstream": 840.0,
    "signal.downstream": 836.0,
}


PROFILES = Path(__file__).parent / "devices"
"""Profiles of devices that exist in the plant only."""

RACK_PDU = "rack_pdu_1"
"""Identity of the rack PDU."""


def loop_device(kind: str, loop_id: str) -> str:
    """Identity of a loop's `flow`, `pressure`, `pump` or `leak` device: `loop_a_flow`."""
    return f"{loop_id.removeprefix('liquid_cooling_')}_{kind}"


def meter_of(feed_id: str) -> str:
    """Identity of a metered feed's meter: `cooling_meter`."""
    return f"{feed_id}_meter"


def temperatures_of(hall_id: str, side: str) -> str:
    """Identity of a hall's `supply` or `return` temperature module: `hall_1_supply_temperature`."""
    return f"{hall_id}_{side}_temperature"


def gateway_of(hall_id: str) -> str:
    """Identity of the gateway of a hall's loops: `hall_1_gateway`."""
    return f"{hall_id}_gateway"


def profiles_of(facility: Facility) -> dict[str, Profile]:
    """The profile of each field device by its identity."""
    of_loops = {
        "flow": load_profile("oem.tuf2000m"),
        "pressure": load_profile("keller.33x"),
        "pump": load_profile("danfoss.fc102"),
        "leak": load_profile("plant.leak_cable", [PROFILES]),
    }
    modules, meters = load_profile("advantech.adam6015"), load_profile("eastron.sdm630")
    sides = ("supply", "return")
    return {
        **{loop_device(k, loop): p for loop in facility.loop_ids for k, p in of_loops.items()},
        **{temperatures_of(hall, side): modules for hall in facility.hall_ids for side in sides},
        **{meter_of(feed): meters for feed in facility.metered},
        RACK_PDU: load_profile("plant.rack_pdu", [PROFILES]),
    }


@dataclass(slots=True)
class _Task:
    """A kind of device and its measuring interval; `measure` takes the time since the last one."""

    measure: Callable[[float], None]
    interval_s: float
    elapsed_s: float = 0.0

    def run(self) -> None:
        self.measure(self.elapsed_s)
        self.elapsed_s = 0.0


class _Disturbed(NamedTuple):
    """What is wrong with some points of a device since a step of the campus."""

    device: str
    points: frozenset[str]
    disturbance: Disturbance
    began: int


class FieldDevices:
    """All simulated devices by identity, in `devices`; `measure` refreshes their registers."""

    def __init__(self, campus: Campus, seed: int) -> None:
        self._campus = campus
        facility = campus.facility
        chance = functools.partial(generator, seed)
        loops, halls = len(facility.loop_ids), facility.halls.count
        transformers = {
            meter_of(feed_id): {"ct_ratio": plate.ct_ratio, "pt_ratio": plate.pt_ratio}
            for feed_id, plate in facility.metered.items()
        }
        self.devices = {
            name: SimulatedDevice(profile, **transformers.get(name, {}))
            for name, profile in profiles_of(facility).items()
        }
        self._disturbed: dict[str, _Disturbed] = {}
        self._prepare_loop_devices()
        self._rack_pdu = RackPduDevice(
            campus, seed, self.devices[RACK_PDU], functools.partial(self._show, RACK_PDU)
        )
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
            _Task(self._rack_pdu.measure, self._rack_pdu.interval_s),
        ]
        for task in self._tasks:
            task.run()

    def measure(self) -> None:
        """Let TICK_S pass: devices whose own interval is over take a new value."""
        for task in self._tasks:
            task.elapsed_s += TICK_S
            if task.elapsed_s > task.interval_s - TICK_S / 2:
                task.run()

    def disturb(self, key: str, device: str, fault: Fault, seed: int) -> None:
        """Let a device show something else than it measures, until `settle` with the same key."""
        points = self.devices[device].profile.points.values()
        shown = frozenset(
            p.name for p in points if p.name == fault.point or (not fault.point and not p.write)
        )
        disturbance = Disturbance(self.devices[device].profile, [fault], seed)
        now = {name: self.devices[device].get(name) for name in shown}
        # What it shows now is what it is stuck at.
        disturbance.shown({name: v for name, v in now.items() if v is not None}, 0.0)
        self._disturbed[key] = _Disturbed(device, shown, disturbance, self._campus.steps)

    def settle(self, key: str) -> None:
        """Undo `disturb`."""
        del self._disturbed[key]

    def _show(self, device: str, values: Mapping[str, float]) -> None:
        """Set a device's registers to what it measured, through its disturbances in their order."""
        for found in self._disturbed.values():
            if found.device == device:
                hit = {name: value for name, value in values.items() if name in found.points}
                elapsed_s = (self._campus.steps - found.began) * STEP_S
                values = {**values, **found.disturbance.shown(hit, elapsed_s)}
        self.devices[device].update(values)

    def _prepare_loop_devices(self) -> None:
        for position, loop_id in enumerate(self._campus.facility.loop_ids):
            self.devices[loop_device("flow", loop_id)].update(_FLOW_METER_HEALTH)
            transmitter = self.devices[loop_device("pressure", loop_id)]
            transmitter.update({"range.P1.min": 0.0, "range.P1.max": _TRANSMITTER_RANGE_BAR})
            drive = self.devices[loop_device("pump", loop_id)]
            drive.update(
                {
                    "control_word": _CONTROL_WORD_RUN,
                    "status_word": _STATUS_WORD_RUNNING,
                    "speed.reference": float(self._campus.coolant.reference_percent[position]),
                }
            )
            drive.on_write = functools.partial(self._command_pump, position)

    def _command_pump(self, position: int, point: str, value: float) -> None:
        if point == "speed.reference":
            self._campus.coolant.reference_percent[position] = np.clip(value, 0.0, 100.0)

    def _measure_flows(self, elapsed_s: float) -> None:
        coolant = self._campus.coolant
        flow_lpm = self._flow.measure(coolant.flow_lpm, elapsed_s)
        heat_w = coolant.heat_w
        for position, loop_id in enumerate(self._campus.facility.loop_ids):
            self._show(
                loop_device("flow", loop_id),
                {
                    "flow.volume": flow_lpm[position],
                    "flow.velocity": flow_lpm[position] / _LPM_PER_M3_S / _PIPE_M2,
                    "power.thermal": heat_w[position],
                },
            )

    def _measure_pressures(self, elapsed_s: float) -> None:
        coolant = self._campus.coolant
        pressure_bar = self._pressure.measure(coolant.pressure_bar, elapsed_s)
        for position, loop_id in enumerate(self._campus.facility.loop_ids):
            self._show(
                loop_device("pressure", loop_id),
                {
                    "pressure.P1": pressure_bar[position],
                    "temperature.TOB1": coolant.supply_c[position],
                },
            )

    def _measure_pumps(self, elapsed_s: float) -> None:
        del elapsed_s  # the drive knows its speed without lag
        for loop_id, speed in zip(
            self._campus.facility.loop_ids, self._campus.coolant.speed_percent, strict=True
        ):
            self._show(loop_device("pump", loop_id), {"speed.actual": speed})

    def _measure_leaks(self, elapsed_s: float) -> None:
        del elapsed_s
        for loop_id in self._campus.facility.loop_ids:
            wet = loop_id in self._campus.leaking
            humidity_percent = _WET_PERCENT if wet else _DRY_PERCENT
            self._show(
                loop_device("leak", loop_id),
                {"alarm.leak": float(wet), "humidity.relative": humidity_percent},
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
                self._show(temperatures_of(hall_id, side), _channels(channels))

    def _measure_meters(self, elapsed_s: float) -> None:
        campus = self._campus
        feed_ids = list(campus.facility.metered)
        true_w = np.array([campus.metered(feed_id).power_w for feed_id in feed_ids])
        shown_w = self._power.measure(true_w, elapsed_s)
        for feed_id, power_w in zip(feed_ids, shown_w, strict=True):
            self._show(meter_of(feed_id), self._meter_values(feed_id, float(power_w)))

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
